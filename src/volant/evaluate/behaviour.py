"""How a release behaves as a whole: what its columns add on average, how answers move with them, and rules."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from volant.core.protocols import Rows
from volant.core.records import Batch
from volant.evaluate.dependence import Dependence, dependence
from volant.evaluate.evaluation import plain
from volant.evaluate.explainer import EXACT, SAMPLED, Explained, Explainer
from volant.evaluate.surrogate import Surrogate, surrogate
from volant.runtime.load import Release

SECONDS = 8.0
MOST_EXPLAINED, LEAST_EXPLAINED = 200, 10
"""Rows whose contributions are averaged at the most, and at the least."""

MOST_DRAWN = 120
"""Rows that are drawn as dots."""

MOST_COLUMNS, LEAST_COLUMNS = 6, 2
"""Columns whose dependence is shown at the most, and at the least."""

MOST_DOTTED = 10
MOST_MOVED = 300
"""Rows that dependence is judged on."""

MOST_IMITATED = 4_000
_EXPLAINING = 0.5
"""Share of the time that contributions may take; rules take little."""


@dataclass(frozen=True)
class Attribution:
    """The mean size of a column's contributions with its standard error.

    `dots` are pairs of a contribution and the place of the cell among the column's cells, in [0, 1] or None.
    """

    column: str
    mean: float
    error: float
    dots: tuple[tuple[float, float | None], ...] = ()


@dataclass(frozen=True)
class Behaviour:
    """What the report shows of a release as a whole. `outputs` names what the answers of plots and rules are.

    `explained` rows were explained, on `scale`, by `how` (`exact` or `sampled`).
    """

    outputs: tuple[str, ...]
    scale: str
    how: str
    explained: int
    attributions: tuple[Attribution, ...]
    dependences: tuple[Dependence, ...]
    surrogate: Surrogate | None

    def record(self) -> dict[str, Any]:
        """Plain JSON data."""
        record: dict[str, Any] = plain(asdict(self))
        return record


def behaviour(
    release: Release,
    rows: Rows,
    train: Rows,
    *,
    background: Batch | None = None,
    seconds: float = SECONDS,
    seed: int = 0,
) -> Behaviour:
    """Study a release on `rows` that it was not trained on; rules are made on `train` and judged on `rows`.

    `background` are the rows to compare with, by default the release's own. After `seconds` no more is begun than
    what is there at the least.
    """
    until = time.monotonic() + seconds
    kinds = {field.name: field.type for field in release.signature.inputs}
    answers = _Answers(release)
    drawn = np.random.default_rng(seed).permutation(len(rows))[:MOST_EXPLAINED]
    batch = rows.take(drawn).batch(list(kinds))
    told = _explained(Explainer(release, background), batch, until - seconds * (1 - _EXPLAINING), seed)
    attributions = _attributions(told, batch, list(kinds))
    moved = _some(rows, MOST_MOVED, seed).batch(list(kinds))
    found: list[Dependence] = []
    for one in attributions:
        if len(found) == MOST_COLUMNS or not one.mean or (len(found) >= LEAST_COLUMNS and time.monotonic() > until):
            break
        made = dependence(answers, moved, one.column, kinds[one.column])
        found += [made] if made is not None else []
    return Behaviour(
        outputs=answers.names,
        scale=told[0].scale,
        how=EXACT if all(one.how == EXACT for one in told) else SAMPLED,
        explained=len(told),
        attributions=attributions,
        dependences=tuple(found),
        surrogate=_imitated(answers, rows, train, kinds, seed),
    )


@dataclass(frozen=True)
class _Answers:
    """A release's numbers (n, outputs): the value, or the probabilities of the classes that are shown."""

    release: Release

    @property
    def names(self) -> tuple[str, ...]:
        signature = self.release.signature
        return signature.classes[-1:] if len(signature.classes) == 2 else signature.options or (signature.target,)

    def __call__(self, batch: Batch) -> np.ndarray:
        whole = self.whole(batch)
        return whole[:, -1:] if len(self.release.signature.classes) == 2 else whole

    def whole(self, batch: Batch) -> np.ndarray:
        """The numbers of all classes."""
        outputs = self.release.predict(batch)
        return np.asarray(outputs["probability"] if "probability" in outputs else outputs["value"][:, None])


def _some(rows: Rows, most: int, seed: int) -> Rows:
    if len(rows) <= most:
        return rows
    return rows.take(np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False)))


def _imitated(answers: _Answers, rows: Rows, train: Rows, kinds: Mapping[str, str], seed: int) -> Surrogate | None:
    if answers.release.signature.labels:  # one tree says which class is likeliest; several may be carried
        return None
    own = _some(train, MOST_IMITATED, seed).batch(list(kinds))
    other = _some(rows, MOST_IMITATED, seed).batch(list(kinds))
    return surrogate(own, answers.whole(own), other, answers.whole(other), kinds, seed)


def _explained(explainer: Explainer, batch: Batch, until: float, seed: int) -> list[Explained]:
    """Explanations of one row after the other until the time is over: of the second of two classes, or the answer."""
    classes = explainer.release.signature.classes
    label = classes[1] if len(classes) == 2 else None
    told: list[Explained] = []
    for i in range(len(next(iter(batch.values())))):
        if len(told) >= LEAST_EXPLAINED and time.monotonic() > until:
            break
        one = {name: values[i : i + 1] for name, values in batch.items()}
        told.append(explainer.explain(one, label=label, seed=seed))
    return told


def _attributions(told: list[Explained], batch: Batch, names: list[str]) -> tuple[Attribution, ...]:
    """Columns by the mean size of their contributions, the largest first."""
    parts = np.array([one.parts for one in told])
    sizes = np.abs(parts)
    errors = sizes.std(axis=0) / np.sqrt(len(sizes))
    order = np.argsort(-sizes.mean(axis=0), kind="stable")
    return tuple(
        Attribution(
            names[i],
            float(sizes[:, i].mean()),
            float(errors[i]),
            _dots(parts[:, i], batch[names[i]]) if rank < MOST_DOTTED else (),
        )
        for rank, i in enumerate(order)
    )


def _dots(parts: np.ndarray, values: np.ndarray) -> tuple[tuple[float, float | None], ...]:
    places = _places(values[: len(parts)])
    return tuple((float(part), place) for part, place in zip(parts[:MOST_DRAWN], places[:MOST_DRAWN], strict=True))


def _places(values: np.ndarray) -> list[float | None]:
    """The rank of each cell in [0, 1]; None for cells without an order."""
    if values.dtype.kind not in "fM":
        return [None] * len(values)
    missing = np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)
    known, place = np.unique(values[~missing], return_inverse=True)
    ranks: list[float | None] = [None] * len(values)
    for i, rank in zip(np.flatnonzero(~missing), place / max(len(known) - 1, 1), strict=True):
        ranks[i] = round(float(rank), 3)
    return ranks
