"""Labels that are probably wrong, by confident learning on a quick out-of-fold model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volant.bind import cleanlab, lightgbm
from volant.bind.boosting import Part
from volant.columns.descriptors import described
from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, inputs_of, is_classes, target_of
from volant.data.checks.extremes import apart
from volant.data.checks.study import Study

ROWS = 20_000
LEAST = 200
FOLDS = 4
PER_CLASS = 25
PER_CLASS_SHARE = 0.005
"""Smaller classes are left out: a quick model is not sure of anything about them."""

MOST_CATEGORIES = 1_000
SIDE, COMPONENTS = 32, 64
"""Pixels of the square that pictures are looked at, and the main directions that are kept of their descriptions."""

ROUNDS = 50
TREES = 240


@dataclass(frozen=True)
class Rule:
    """When the errors among the surest predictions count: `share` of the rows, for a model this good.

    Where labels are right, a good model errs the less the surer it is; wrong labels keep it from that.
    """

    skill: float
    share: float
    most: float
    fewest: int


RULES = (
    Rule(skill=0.8, share=0.3, most=0.01, fewest=60),
    Rule(skill=0.7, share=0.3, most=0.02, fewest=60),
    Rule(skill=0.35, share=0.1, most=0.08, fewest=200),
)
"""The first whose skill is reached applies. Tables that no quick model can predict are not judged."""

HOPELESS = 0.4
LEVEL = 0.6
"""Where labels are wrong, the surest third of the sure rows errs at least this part as often as all of them."""


class WrongLabels(DataCheck):
    """Predicts every row by models that did not see it, and looks for labels that contradict the surest predictions."""

    name = "wrong_labels"
    summary = "The labels agree with what the other rows teach."
    aspect = "accuracy"
    trains = True

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        target = target_of(data, problem, context)
        names = [c.name for c in inputs_of(data, problem) if c.name != target]
        if target is None or not names:
            return []
        sample = Study.of(data).sample(ROWS)
        judge = self._classes if is_classes(data, problem, context) else self._numbers
        return judge(sample, target, names, context.seed)

    def _classes(self, sample: Study, target: str, names: Sequence[str], seed: int) -> list[Finding]:
        codes = sample.codes(target)
        large = np.append(codes.sizes() >= max(PER_CLASS, PER_CLASS_SHARE * len(sample)), False)
        rows = np.flatnonzero(large[codes.codes])
        labels = np.unique(codes.codes[rows], return_inverse=True)[1]
        if len(rows) < LEAST or labels.max() < 1:
            return []
        probabilities = _out_of_fold(_matrix(sample, names)[rows], labels, int(labels.max()) + 1, seed)
        rate = noise_rate(labels, probabilities)
        if rate == 0:
            return []
        wrong = cleanlab.suspicious_labels(labels, probabilities)[: max(1, round(rate * len(rows)))]
        return [self._wrong(sample, target, rows[wrong], len(rows))] if len(wrong) else []

    def _wrong(self, sample: Study, target: str, wrong: np.ndarray, judged: int) -> Finding:
        count = len(wrong)
        return self._warn(
            f"about {count:,} of {judged:,} labels ({count / judged:.1%}) are probably wrong{sample.said}",
            "look at these rows, the most suspicious first, and correct their labels",
            column=target,
            rows=sample.evidence(wrong),
            count=count,
            score=min(1.0, 0.2 + 4 * count / judged),
        )

    def _numbers(self, sample: Study, target: str, names: Sequence[str], seed: int) -> list[Finding]:
        values = sample.values(target)
        rows = np.flatnonzero(np.isfinite(values) & (np.abs(values) < 1e30))
        if len(rows) < LEAST or np.ptp(values[rows]) == 0:
            return []
        scaled = (values[rows] - np.median(values[rows])) / values[rows].std()
        residuals = scaled - _out_of_fold(_matrix(sample, names)[rows], scaled, 0, seed)[:, 0]
        wrong = np.flatnonzero(apart(residuals) & ~apart(scaled))
        if not len(wrong):
            return []
        ordered = wrong[np.argsort(-np.abs(residuals[wrong]), kind="stable")]
        return [self._wrong(sample, target, rows[ordered], len(rows))]


def noise_rate(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The share of labels that are probably wrong, 0 where the errors may be the model's own.

    Args:
        labels: class indices, shape (n,).
        probabilities: out-of-fold, shape (n, K).
    """
    prior = np.bincount(labels, minlength=probabilities.shape[1]) / len(labels)
    wrong = float((probabilities.argmax(axis=1) != labels).mean())
    skill = 1 - wrong / (1 - prior.max())
    rule = next((r for r in RULES if skill >= r.skill), None)
    if rule is None:
        return 0.0
    errors, n = _surest_errors(labels, probabilities / prior, rule.share)
    rate = errors / max(n, 1)
    if n < rule.fewest or rate >= HOPELESS or _at_least(errors, n) <= rule.most:
        return 0.0
    surest, few = _surest_errors(labels, probabilities / prior, rule.share / 3)
    return rate if surest >= LEVEL * rate * few else 0.0


def _surest_errors(labels: np.ndarray, evidence: np.ndarray, share: float) -> tuple[int, int]:
    """Errors among the surest `share` of the rows of each predicted class, and how many rows these are.

    Probabilities come divided by how frequent the classes are, or all sure rows would be of the largest. With
    three classes or more the better half of them counts: two classes that look alike are not wrong labels.
    """
    evidence = evidence / evidence.sum(axis=1, keepdims=True)
    predicted, surety = evidence.argmax(axis=1), evidence.max(axis=1)
    found = []
    for label in np.unique(predicted):
        mine = np.flatnonzero(predicted == label)
        sure = mine[np.argsort(-surety[mine], kind="stable")[: round(share * len(mine))]]
        found.append((int((labels[sure] != label).sum()), len(sure)))
    found.sort(key=lambda pair: pair[0] / max(pair[1], 1))
    better = found if len(found) < 3 else found[: (len(found) + 1) // 2]
    return sum(errors for errors, _ in better), sum(n for _, n in better)


def _at_least(errors: int, n: int, z: float = 2.6) -> float:
    """A lower limit of the rate behind `errors` of `n`.

    Source: Wilson, Probable inference, 1927.
    """
    rate = errors / max(n, 1)
    middle = rate + z * z / (2 * max(n, 1))
    return float(
        (middle - z * np.sqrt(rate * (1 - rate) / max(n, 1) + (z / (2 * max(n, 1))) ** 2)) / (1 + z * z / max(n, 1))
    )


def _matrix(sample: Study, names: Sequence[str]) -> np.ndarray:
    """Inputs as float32, shape (n, k): numbers as they are, categories by frequency, nothing that is an identifier."""
    columns = []
    for name in names:
        if sample.kind(name) in ("number", "boolean", "time"):
            columns.append(sample.values(name))
        elif sample.kind(name) == "text" and sample.distinct(name) <= MOST_CATEGORIES:
            codes = sample.codes(name)
            by_size = np.empty(codes.count + 1)
            by_size[np.argsort(-codes.sizes(), kind="stable")] = np.arange(codes.count)
            by_size[-1] = np.nan
            columns.append(by_size[codes.codes])
        elif sample.schema[name].type == "image":
            columns += list(_components(described(sample.batch([name])[name], SIDE, threads=2)).T)
    if not columns:
        return np.zeros((len(sample), 1), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.nan_to_num(np.stack(columns, axis=1).astype(np.float32), nan=np.nan)


def _components(x: np.ndarray) -> np.ndarray:
    """Descriptions of pictures (n, k) by their main directions, (n, `COMPONENTS`) at the most."""
    from sklearn.utils.extmath import randomized_svd

    known = np.flatnonzero(~np.isnan(x[:, 0]))
    out = np.full((len(x), min(COMPONENTS, max(len(known) - 1, 0))), np.nan)
    if out.shape[1]:
        inner = x[known] - x[known].mean(axis=0)
        left, size, _ = randomized_svd(inner, out.shape[1], random_state=0)
        out[known] = left * size
    return out


def _out_of_fold(x: np.ndarray, y: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Predict each row by a quick model of the other folds: probabilities (n, K), or values (n, 1) without classes."""
    fold = np.random.default_rng(seed).permutation(len(y)) % FOLDS
    params = _params(classes, seed)
    margins = classes if classes > 2 else 1
    rounds = int(np.clip(TREES // margins, 10, ROUNDS))
    predicted = np.zeros((len(y), max(classes, 1)))
    for index in range(FOLDS):
        inside = fold != index
        part = Part(x[inside], y[inside], np.ones(int(inside.sum())))
        booster, *_ = lightgbm.train(
            params, part, None, categorical=(), rounds=rounds, patience=0, seconds=float("inf")
        )
        answer = np.asarray(booster.predict(x[~inside]))
        predicted[~inside] = (
            np.stack([1 - answer, answer], axis=1) if classes == 2 else answer.reshape(-1, max(classes, 1))
        )
    return predicted


def _params(classes: int, seed: int) -> dict[str, Any]:
    objective = {"objective": "huber"} if not classes else {"objective": "binary"}
    if classes > 2:
        objective = {"objective": "multiclass", "num_class": classes}  # type: ignore[dict-item]
    quick = {"learning_rate": 0.15, "num_leaves": 15, "min_data_in_leaf": 20, "max_bin": 63}
    return {**objective, **quick, "seed": seed, "deterministic": True, "force_row_wise": True, "num_threads": 1}
