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

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volant.bind import lightgbm
from volant.bind.boosting import Part
from volant.bind.onnx import Trees, trees_model
from volant.core.protocols import Rows
from volant.core.records import Pipeline, Problem, Step
from volant.learners.tabular.features import Features, tree_features, usable
from volant.search.conformal import reach
from volant.search.folds import fold_numbers
from volant.tasks.regress_metrics import interval_loss

VALUE = "interval:value"
"""The name that the prediction has in the pipeline of a band."""

REPEATS = 5
"""How often the rows are halved; each half is fitted."""

ROUNDS = 50
FITS = 3 * 2 * REPEATS
"""Fits of all that is tried: sizes, and two quantiles."""

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
class Effort:
    """Seed, threads, and the seconds that fitting may take."""

    seed: int
    threads: int
    seconds: float = float("inf")


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
    return 0.3 + FITS * (0.02 + ROUNDS * (3e-4 + rows / 2 * width * 3e-8 / max(threads, 1)))


def fit_band(known: HeldOutRows, problem: Problem, effort: Effort) -> Band:
    """Learn an interval that holds the share `problem.interval` of the truths of new rows.

    Where `effort.seconds` are too few for trees, every row gets the same reach.

    Raises:
        BadInput: code `target-unfit`, where there are too few rows to promise so much.
    """
    errors = _Errors.of(known, problem.interval, effort.seed)
    best = _constant(errors)
    if effort.seconds < 0.5 or not usable(problem) or errors.keys_known < LEAST_KEYS or not errors.size:
        return best.band
    fitting = _Fitting(errors, tree_features(errors.rows, problem), effort)
    for shape in (_spread(fitting), _quantiles(fitting)):
        if shape.loss < best.loss * (1 - LEAST_GAIN * (best.band.trees is None)):
            best = shape
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
    units = {"y": errors.errors, "low": low, "high": high, "promised": np.float64(errors.promised)}
    return float(np.average(interval_loss(units), weights=errors.weights))


def _constant(errors: _Errors) -> _Shape:
    """The same reach for every row."""
    nothing, one = np.zeros(len(errors.errors)), np.ones(len(errors.errors))
    below, above = _reaches(errors, nothing, nothing, one)
    band = Band(End(shift=-below), End(shift=above), floor=errors.floor)
    return _Shape(band, _loss(errors, nothing - below, nothing + above))


def _spread(fitting: _Fitting) -> _Shape:
    """A reach in proportion to the size of the error that the inputs let expect."""
    errors = fitting.errors
    sizes = np.abs(errors.errors) / errors.size + SMALLEST
    margins, trees = fitting.crossed([({"objective": "gamma"}, sizes)])
    scale = errors.size * np.exp(margins[:, 0])
    nothing = np.zeros(len(scale))
    below, above = _reaches(errors, nothing, nothing, scale)
    low, high = End(factor=-below * errors.size), End(factor=above * errors.size)
    band = Band(low, high, True, errors.floor, fitting.features, trees)
    return _Shape(band, _loss(errors, -below * scale, above * scale))


def _quantiles(fitting: _Fitting) -> _Shape:
    """Quantiles of the error, moved outwards by the same for every row."""
    errors, tail = fitting.errors, (1 - fitting.errors.promised) / 2
    target = errors.errors / errors.size
    wanted = [({"objective": "quantile", "alpha": alpha}, target) for alpha in (tail, 1 - tail)]
    margins, trees = fitting.crossed(wanted)
    low, high = errors.size * margins[:, 0], errors.size * margins[:, 1]
    below, above = _reaches(errors, low, high, np.ones(len(target)))
    ends = End(-below, errors.size, 0), End(above, errors.size, 1)
    band = Band(*ends, False, errors.floor, fitting.features, trees)
    return _Shape(band, _loss(errors, low - below, high + above))


class _Fitting:
    """Fits boosted trees on the inputs and the prediction, on halves of the rows by key."""

    def __init__(self, errors: _Errors, features: Features, effort: Effort) -> None:
        self.errors, self.features, self.effort = errors, features, effort
        value = np.clip(errors.predicted, -3e38, 3e38).astype(np.float32)
        self.x = np.concatenate([features.matrix(errors.rows), value[:, None]], axis=1)
        self._halves = [fold_numbers(errors.keys, None, 2, effort.seed + i) for i in range(REPEATS)]
        self._fits_left = FITS
        self._ends = None if effort.seconds == float("inf") else time.monotonic() + effort.seconds

    def crossed(self, wanted: Sequence[tuple[Mapping[str, Any], np.ndarray]]) -> tuple[np.ndarray, Trees]:
        """Margins of each wanted (parameters, target): the mean of the fits without a row, and of all fits."""
        margins = np.zeros((len(self.x), len(wanted)))
        trees = Trees(width=self.x.shape[1], targets=len(wanted))
        for column, (params, target) in enumerate(wanted):
            for halves in self._halves:
                for out in (halves == 0, halves == 1):
                    booster, rounds = self._fit(params, target, ~out)
                    margins[out, column] += lightgbm.margins(booster, self.x[out], rounds) / REPEATS
                    lightgbm.add_trees(trees, booster, rounds, target=column, share=1 / (2 * REPEATS))
        return margins, trees

    def _fit(self, params: Mapping[str, Any], target: np.ndarray, inside: np.ndarray) -> tuple[Any, int]:
        return lightgbm.train(
            {**_params(int(inside.sum()), self.effort), **params},
            Part(self.x[inside], target[inside], self.errors.weights[inside]),
            None,
            categorical=self.features.categorical,
            rounds=ROUNDS,
            patience=0,
            seconds=self._share(),
        )

    def _share(self) -> float:
        """Seconds for the next fit."""
        left = float("inf") if self._ends is None else max((self._ends - time.monotonic()) / self._fits_left, 0.01)
        self._fits_left -= 1
        return left


def _params(rows: int, effort: Effort) -> dict[str, Any]:
    """Small trees: there is far less to learn in errors than in what was predicted."""
    return {
        "learning_rate": 0.1,
        "num_leaves": 8,
        "min_data_in_leaf": max(20, rows // 100),
        "feature_fraction": 0.7,
        "lambda_l2": 1.0,
        "cat_smooth": 20.0,
        "max_bin": 255,
        "seed": effort.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": effort.threads,
        "feature_pre_filter": False,
    }
