"""A small tree that imitates a model, as rules that can be read; and how far it can be trusted to do so.

Source: Craven and Shavlik, Extracting Tree-Structured Representations of Trained Networks, 1996.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volant.core.records import Batch
from volant.evaluate.reasons import shown

DEPTH = 4
LEAST_SHARE = 0.02
"""Share of the rows that a rule needs to be made, and never fewer than `LEAST_ROWS` of them."""

LEAST_ROWS = 10
MOST_CATEGORIES = 12
LEAST_GAIN = 0.002
"""Share of the answers' variance that a split must explain: rules that say the same are one."""


@dataclass(frozen=True)
class Rule:
    """Conditions that hold together, the mean answer (outputs,) of the rows that meet them, and their share."""

    conditions: tuple[str, ...]
    answer: tuple[float, ...]
    share: float


@dataclass(frozen=True)
class Surrogate:
    """Rules that cover every row once, and how well they imitate the model on other rows than they were made on.

    `fidelity` is the share of the variance of the model's answers that the rules explain; `agreement` the share of
    rows with the same likeliest class, None for numbers.
    """

    rules: tuple[Rule, ...]
    fidelity: float
    agreement: float | None
    rows: int


def surrogate(
    rows: Batch, answers: np.ndarray, other: Batch, others: np.ndarray, kinds: Mapping[str, str], seed: int = 0
) -> Surrogate | None:
    """Imitate the model's `answers` (n, outputs) to `rows`, judged on the `others` to `other` rows.

    None where there is nothing to tell apart.
    """
    from sklearn.tree import DecisionTreeRegressor

    features = _features(rows, kinds)
    if not features or len(answers) < 2 * LEAST_ROWS or not answers.var(axis=0).any():
        return None
    least = max(LEAST_ROWS, int(LEAST_SHARE * len(answers)))
    whole = float(answers.var(axis=0).mean())
    tree = DecisionTreeRegressor(
        max_depth=DEPTH, min_samples_leaf=least, min_impurity_decrease=LEAST_GAIN * whole, random_state=seed
    )
    tree.fit(_matrix(rows, features), answers)
    imitated = tree.predict(_matrix(other, features)).reshape(others.shape)
    spread = ((others - others.mean(axis=0)) ** 2).sum()
    fidelity = 1.0 - float(((others - imitated) ** 2).sum() / spread) if spread > 0 else 1.0
    same = (imitated.argmax(axis=1) == others.argmax(axis=1)).mean() if others.shape[1] > 1 else None
    rules = sorted(_rules(tree.tree_, features), key=lambda rule: -rule.answer[-1])
    return Surrogate(tuple(rules), fidelity, None if same is None else float(same), len(others))


@dataclass(frozen=True)
class _Feature:
    """A column as a number, or whether it holds one `category`; `other` is the only other one, if it is so.

    `holes` tells whether cells are missing.
    """

    column: str
    kind: str
    category: str | None
    holes: bool
    other: str | None = None

    def of(self, values: np.ndarray) -> np.ndarray:
        if self.category is not None:
            return np.asarray(values == self.category, dtype=np.float64)
        if self.kind == "timestamp":
            numbers = values.astype("datetime64[us]").astype(np.int64).astype(np.float64)
            return np.where(np.isnat(values), np.nan, numbers)
        return values.astype(np.float64)


def _features(rows: Batch, kinds: Mapping[str, str]) -> list[_Feature]:
    found = []
    for name, kind in kinds.items():
        if kind == "category":
            found += _categories(name, rows[name])
        elif kind in ("number", "boolean", "timestamp"):
            plain = _Feature(name, kind, None, False)
            found.append(_Feature(name, kind, None, bool(np.isnan(plain.of(rows[name])).any())))
    return found


def _categories(name: str, values: np.ndarray) -> list[_Feature]:
    names, counts = np.unique([v for v in values if v is not None], return_counts=True)
    if len(names) == 2 and counts.sum() == len(values):
        return [_Feature(name, "category", str(names[1]), False, str(names[0]))]
    order = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
    return [_Feature(name, "category", str(names[i]), False) for i in order if counts[i] >= LEAST_ROWS]


def _matrix(rows: Batch, features: Sequence[_Feature]) -> np.ndarray:
    limit = np.finfo(np.float32).max
    return np.stack([np.clip(feature.of(rows[feature.column]), -limit, limit) for feature in features], axis=1)


def _rules(tree: Any, features: Sequence[_Feature]) -> Iterator[Rule]:
    """One rule per leaf, its conditions merged by column."""
    total = tree.n_node_samples[0]
    waiting: list[tuple[int, tuple[tuple[_Feature, bool, float, bool], ...]]] = [(0, ())]
    while waiting:
        node, path = waiting.pop()
        left, right = int(tree.children_left[node]), int(tree.children_right[node])
        if left < 0:
            answer = tuple(float(v) for v in np.ravel(tree.value[node]))
            yield Rule(tuple(_conditions(path)), answer, float(tree.n_node_samples[node] / total))
            continue
        feature, cut = features[tree.feature[node]], float(tree.threshold[node])
        holes_left = feature.holes and bool(tree.missing_go_to_left[node])
        waiting.append((left, (*path, (feature, True, cut, holes_left))))
        waiting.append((right, (*path, (feature, False, cut, feature.holes and not holes_left))))


def _conditions(path: Sequence[tuple[_Feature, bool, float, bool]]) -> Iterator[str]:
    columns = list(dict.fromkeys(feature.column for feature, *_ in path))
    for column in columns:
        steps = [step for step in path if step[0].column == column]
        if steps[0][0].kind == "category":
            yield _named(column, steps)
        elif steps[0][0].kind == "boolean":
            yield f"{column} is {'no' if steps[-1][1] else 'yes'}{' or missing' if all(s[3] for s in steps) else ''}"
        else:
            yield _between(column, steps)


def _named(column: str, steps: Sequence[tuple[_Feature, bool, float, bool]]) -> str:
    held = [str(feature.category) for feature, below, *_ in steps if not below]
    if held:
        return f"{column} is {held[-1]}"
    if (other := steps[0][0].other) is not None:
        return f"{column} is {other}"
    return f"{column} is not {' or '.join(str(feature.category) for feature, *_ in steps)}"


def _between(column: str, steps: Sequence[tuple[_Feature, bool, float, bool]]) -> str:
    if any(not is_below and np.isinf(cut) for _, is_below, cut, _ in steps):
        return f"{column} is missing"
    above = max([cut for _, is_below, cut, _ in steps if not is_below], default=None)
    below = min([cut for _, is_below, cut, _ in steps if is_below and np.isfinite(cut)], default=None)
    if above is None and below is None:
        return f"{column} is known"
    parts = [f"> {_cut(above, steps[0][0])}"] if above is not None else []
    parts += [f"≤ {_cut(below, steps[0][0])}"] if below is not None else []
    return f"{column} {' and '.join(parts)}{' or missing' if all(step[3] for step in steps) else ''}"


def _cut(value: float, feature: _Feature) -> str:
    return shown(np.datetime64(int(value), "us") if feature.kind == "timestamp" else value)
