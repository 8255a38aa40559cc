"""Intervals around predicted numbers: how far truths lie from predictions, learned on rows that were held out.

Three shapes are tried, and the one of the least interval score is taken: the same reach for all rows; a reach in
proportion to the expected size of the error; quantiles of the error. The latter two are boosted trees on
the inputs and the prediction, fitted on halves of the rows, by key, again and again; the release runs the mean of all
these trees. Every shape is then stretched until the rows, each judged by the mean of the trees that did not see it,
keep the promise on both sides. Halves, rather than folds, make the two means alike: trees of five folds would
judge every row by one noisy fit and then serve the smoother mean of five, and promise too little.

Sources: Romano, Patterson and Candès, Conformalized Quantile Regression, 2019 (theorem 2: both sides apart); Lei et
al., Distribution-Free Predictive Inference for Regression, 2018, section 5.2 (errors over their expected size);
Kim, Xu and Barber, Predictive Inference is Free with the Jackknife+-after-Bootstrap, 2020 (means of the fits that left
a row out); Steinberger and Leeb, Conditional Predictive Inference for Stable
Algorithms, 2023 (why residuals of folds serve a model that was fitted on all rows).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from volant.bind.onnx import Trees, trees_model
from volant.core.protocols import Rows
from volant.core.records import Pipeline, Problem, Step
from volant.learners.tabular.features import tree_features, usable
from volant.learners.tabular.matrix import Features
from volant.search.conformal import reach
from volant.search.halves import FITS, ROUNDS, Effort, Halves
from volant.tasks.regress_metrics import interval_loss

VALUE = "interval:value"
"""The name that the prediction has in the pipeline of a band."""

TRIED = 3
"""Targets of all that is tried: the size of an error, and two quantiles."""

MOST_ROWS = 20_000
LEAST_KEYS = 60
"""Rows or subjects below which one reach for all is the best that can be learned."""

LEAST_GAIN = 0.01
"""Share of the interval score that a reach which varies must save."""

SMALLEST = 0.03
"""What is added to sizes of errors, as a share of their mean, so that a lucky row does not count for too much."""


@dataclass(frozen=True)
class HeldOutRows:
    """Rows, their truths (n,), and what models that did not see them predicted, (n,)."""

    rows: Rows
    truth: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class End:
    """One end of the interval: the value, plus `shift`, plus `factor` times the margin of `column`."""

    shift: float = 0.0
    factor: float = 0.0
    column: int = 0


@dataclass(frozen=True)
class Band:
    """Both ends; `trees` on `features` and the prediction give the margins, whose exponentials may be meant."""

    low: End
    high: End
    exponential: bool = False
    floor: float | None = None
    features: Features | None = None
    trees: Trees | None = None

    def export(self, folder: Path) -> Pipeline:
        """Write the trees into `folder`; the pipeline takes `VALUE` and inputs, and gives `low` and `high`."""
        steps: list[Step] = []
        if self.features is not None and self.trees is not None:
            (folder / "trees.onnx").write_bytes(trees_model(self.trees))
            steps = [*self.features.steps, *_prediction_beside(), _margins()]
        inputs = (VALUE, "interval_margins") if steps else (VALUE,)
        for side, end in (("low", self.low), ("high", self.high)):
            params = {**vars(end), "exponential": self.exponential, "side": side}
            if side == "low" and self.floor is not None:
                params["floor"] = self.floor
            steps.append(Step("interval_end", inputs, side, params))
        return Pipeline(tuple(steps), {"low": "low", "high": "high"})


def _prediction_beside() -> Iterator[Step]:
    yield Step("float", (VALUE,), "interval_value")
    yield Step("stack", ("matrix", "interval_value"), "interval_matrix")


def _margins() -> Step:
    return Step("onnx", ("interval_matrix",), "interval_margins", {"output": "y"}, "trees.onnx")


def expected_seconds(problem: Problem, threads: int) -> float:
    """Seconds that `fit_band` takes: measured on two cores."""
    rows, width = min(problem.rows, MOST_ROWS), len(usable(problem)) + 1
    return 0.3 + TRIED * FITS * (0.02 + ROUNDS * (3e-4 + rows / 2 * width * 3e-8 / max(threads, 1)))


def fit_band(known: HeldOutRows, problem: Problem, effort: Effort) -> Band:
    """Learn an interval that holds the share `problem.interval` of the truths of new rows.

    Where `effort.seconds` are too few for trees, every row gets the same reach.

    Raises:
        BadInput: code `target-unfit`, where there are too few rows to promise so much.
    """
    errors = _Errors.of(known, problem.interval, effort.seed)
    best = _constant(errors)
    hasty = effort.seconds < expected_seconds(problem, effort.threads) / 2
    if hasty or not usable(problem) or errors.keys_known < LEAST_KEYS or not errors.size:
        return best.band
    features = tree_features(errors.rows, problem, paired=False)
    halves = Halves(errors.matrix(features), errors.weights, errors.keys, features.categorical, effort)
    for shape, targets in ((_spread, 1), (_quantiles, 2)):
        found = shape(errors, features, halves) if halves.affords(targets) else best
        if found.loss < best.loss * (1 - LEAST_GAIN * (best.band.trees is None)):
            best = found
    return best.band


@dataclass(frozen=True)
class _Errors:
    """What truths of held-out rows are above their predictions, (n,), and all that is known of these rows."""

    rows: Rows
    predicted: np.ndarray
    errors: np.ndarray
    weights: np.ndarray
    keys: np.ndarray
    promised: float
    floor: float | None

    @staticmethod
    def of(known: HeldOutRows, promised: float, seed: int) -> _Errors:
        errors = known.truth - known.predicted
        usable_rows = np.flatnonzero(np.isfinite(errors) & (known.rows.weights() > 0))
        if len(usable_rows) > MOST_ROWS:
            usable_rows = np.sort(np.random.default_rng(seed).choice(usable_rows, MOST_ROWS, replace=False))
        rows = known.rows.take(usable_rows)
        never_negative = bool(len(usable_rows)) and float(np.nanmin(known.truth)) >= 0.0
        return _Errors(
            rows=rows,
            predicted=known.predicted[usable_rows],
            errors=errors[usable_rows],
            weights=rows.weights(),
            keys=rows.keys(),
            promised=promised,
            floor=0.0 if never_negative else None,
        )

    def matrix(self, features: Features) -> np.ndarray:
        """The inputs, and the prediction as one more column, float32 (n, width + 1)."""
        value = np.clip(self.predicted, -3e38, 3e38).astype(np.float32)
        return np.concatenate([features.matrix(self.rows), value[:, None]], axis=1)

    @property
    def size(self) -> float:
        """The mean size of an error."""
        return float(np.average(np.abs(self.errors), weights=self.weights))

    @property
    def keys_known(self) -> int:
        return len(np.unique(self.keys.astype(str)))


@dataclass(frozen=True)
class _Shape:
    """A band and its mean interval score on the held-out rows."""

    band: Band
    loss: float


def _reaches(errors: _Errors, low: np.ndarray, high: np.ndarray, scale: np.ndarray) -> tuple[float, float]:
    """How many times `scale` the ends `low` and `high` (n,), given as errors, must be moved outwards."""
    level = (1 + errors.promised) / 2
    below = reach((low - errors.errors) / scale, errors.weights, errors.keys, level)
    return below, reach((errors.errors - high) / scale, errors.weights, errors.keys, level)


def _loss(errors: _Errors, low: np.ndarray, high: np.ndarray) -> float:
    """The mean interval score of ends that are given as errors."""
    low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    units = {"y": errors.errors, "low": low, "high": high, "promised": np.asarray(errors.promised)}
    return float(np.average(interval_loss(units), weights=errors.weights))


def _constant(errors: _Errors) -> _Shape:
    """The same reach for every row."""
    nothing, one = np.zeros(len(errors.errors)), np.ones(len(errors.errors))
    below, above = _reaches(errors, nothing, nothing, one)
    band = Band(End(shift=-below), End(shift=above), floor=errors.floor)
    return _Shape(band, _loss(errors, nothing - below, nothing + above))


def _spread(errors: _Errors, features: Features, halves: Halves) -> _Shape:
    """A reach in proportion to the size of the error that the inputs let expect."""
    sizes = np.abs(errors.errors) / errors.size + SMALLEST
    margins, trees = halves.crossed([({"objective": "gamma"}, sizes)])
    scale = errors.size * np.exp(margins[:, 0])
    nothing = np.zeros(len(scale))
    below, above = _reaches(errors, nothing, nothing, scale)
    low, high = End(factor=-below * errors.size), End(factor=above * errors.size)
    band = Band(low, high, True, errors.floor, features, trees)
    return _Shape(band, _loss(errors, -below * scale, above * scale))


def _quantiles(errors: _Errors, features: Features, halves: Halves) -> _Shape:
    """Quantiles of the error, moved outwards by the same for every row."""
    tail = (1 - errors.promised) / 2
    target = errors.errors / errors.size
    wanted = [({"objective": "quantile", "alpha": alpha}, target) for alpha in (tail, 1 - tail)]
    margins, trees = halves.crossed(wanted)
    low, high = errors.size * margins[:, 0], errors.size * margins[:, 1]
    below, above = _reaches(errors, low, high, np.ones(len(target)))
    ends = End(-below, errors.size, 0), End(above, errors.size, 1)
    band = Band(*ends, False, errors.floor, features, trees)
    return _Shape(band, _loss(errors, low - below, high + above))
