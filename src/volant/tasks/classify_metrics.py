"""The metrics of `classify`.

Units are `y` (n,) int64, class indices; `p` (n, C), probabilities; where answers are not just the likeliest class
`a` (n,) int64, the class that was answered; and where mistakes have costs `c` (n, C), what the answer costs if the
truth is each of the classes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from volant.core.records import Batch
from volant.tasks.metrics import Measure, Resampled, mean_measure, measure
from volant.tasks.ranking import average_precision, roc_area

LEAST = 1e-7
"""Probabilities below this count as this: the resolution of the 32-bit numbers that models give."""

BINS = 15
"""Bins of the calibration error. Source: Guo et al., On Calibration of Modern Neural Networks, 2017."""

_ONE_HOT = 16
"""Up to so many classes, sums per class are one matrix product."""


def surprise(units: Batch) -> np.ndarray:
    """Minus the logarithm of the probability that the truth was given, (n,)."""
    given = units["p"][np.arange(len(units["y"])), units["y"]]
    return np.asarray(-np.log(np.clip(given, LEAST, 1.0)))


def answered(units: Batch) -> np.ndarray:
    """The class that was answered, (n,) int64: what was decided, else the likeliest; -1 for one that is not known."""
    return np.asarray(units["a"] if "a" in units else units["p"].argmax(axis=1))


def correct(units: Batch) -> np.ndarray:
    """1.0 where the answer is the truth, else 0.0, (n,)."""
    return np.asarray(answered(units) == units["y"], dtype=np.float64)


def cost(units: Batch) -> np.ndarray:
    """What each answer costs, (n,); where nothing else is said a mistake costs 1."""
    if "c" not in units:
        return 1.0 - correct(units)
    return np.asarray(units["c"][np.arange(len(units["y"])), units["y"]])


def squared_distance(units: Batch) -> np.ndarray:
    """Squared distance of the probabilities from the truth, (n,); halved for two classes, as is customary."""
    p = units["p"]
    given = p[np.arange(len(p)), units["y"]]
    return np.asarray(((p * p).sum(axis=1) - 2 * given + 1) * (0.5 if p.shape[1] == 2 else 1.0))


def class_sums(index: np.ndarray, classes: int) -> Resampled:
    """What takes weights (B, n) to their sums over the units of each class, (B, classes); -1 is no class."""
    if classes <= _ONE_HOT:
        member = (index[:, None] == np.arange(classes)).astype(np.float64)  # (n, classes)
        return lambda weights: np.asarray(weights @ member)
    place = index + 1
    return lambda weights: np.stack([np.bincount(place, row, classes + 1)[1:] for row in weights])


def _counts(units: Batch) -> Callable[[np.ndarray], tuple[np.ndarray, ...]]:
    """What takes weights to the sums per class of what is true, what is guessed and what is both."""
    y, guess, classes = units["y"], answered(units), units["p"].shape[1]
    sums = [class_sums(index, classes) for index in (y, guess, np.where(guess == y, y, -1))]
    return lambda weights: tuple(one(weights) for one in sums)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 0))


def _average(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Mean over the classes that are present, (B,); NaN where none is."""
    return np.asarray(np.where(present, values, 0.0).sum(axis=1) / present.sum(axis=1))


def _of_positive_or_macro(score: Callable[..., np.ndarray]) -> Callable[[Batch], Resampled]:
    """`score(true, guessed, hit)` of the positive class where there are two, else the mean over classes.

    NaN where no unit is of the positive class, as nothing can be said there.
    """

    def prepare(units: Batch) -> Resampled:
        sums = _counts(units)

        def value(weights: np.ndarray) -> np.ndarray:
            true, guessed, hit = sums(weights)
            values, present = score(true, guessed, hit), true + guessed > 0
            if values.shape[1] != 2:
                return _average(values, present)
            return np.where(true[:, 1] > 0, values[:, 1], np.nan)

        return value

    return prepare


def _precision(_true: np.ndarray, guessed: np.ndarray, hit: np.ndarray) -> np.ndarray:
    return _ratio(hit, guessed)


def _recall(true: np.ndarray, _guessed: np.ndarray, hit: np.ndarray) -> np.ndarray:
    return _ratio(hit, true)


def _f1(true: np.ndarray, guessed: np.ndarray, hit: np.ndarray) -> np.ndarray:
    return _ratio(2 * hit, true + guessed)


def _balanced_accuracy(units: Batch) -> Resampled:
    sums = _counts(units)

    def value(weights: np.ndarray) -> np.ndarray:
        true, _, hit = sums(weights)
        return _average(_ratio(hit, true), true > 0)

    return value


def _over_classes(area: Callable[[np.ndarray, np.ndarray], Resampled]) -> Callable[[Batch], Resampled]:
    """The area for the positive class where there are two, else the mean of one class against the rest."""

    def prepare(units: Batch) -> Resampled:
        y, p = units["y"], units["p"]
        columns = [1] if p.shape[1] == 2 else range(p.shape[1])
        areas = [area(p[:, c], y == c) for c in columns]

        def value(weights: np.ndarray) -> np.ndarray:
            values = np.stack([one(weights) for one in areas], axis=1)  # (B, C)
            return _average(values, np.isfinite(values))

        return value

    return prepare


def confidence(units: Batch) -> tuple[np.ndarray, np.ndarray]:
    """What is checked for calibration, (n,) each: a probability, and whether what it spoke of came true.

    For two classes it is the probability of the positive class, for more that of the likeliest class.
    """
    y, p = units["y"], units["p"]
    if p.shape[1] == 2:
        return p[:, 1], (y == 1).astype(np.float64)
    return p.max(axis=1), (p.argmax(axis=1) == y).astype(np.float64)


def _calibration_error(units: Batch) -> Resampled:
    said, came = confidence(units)
    inside = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    sums, gaps = class_sums(inside, BINS), said - came
    return lambda weights: np.asarray(np.abs(sums(weights * gaps)).sum(axis=1) / weights.sum(axis=1))


def _share(name: str, prepare: Callable[[Batch], Resampled], summary: str) -> Measure:
    return measure(name, prepare, summary, greater=True)


_ALL = (
    mean_measure(
        "log_loss",
        surprise,
        "Mean surprise at the truth; 0 is perfect.",
        relative=True,
        bounds=(0.0, float(-np.log(LEAST))),
    ),
    mean_measure("accuracy", correct, "Share of rows answered right.", greater=True),
    mean_measure(
        "cost",
        cost,
        "Mean cost of a row by `decide.costs`; where none are given, the share answered wrong.",
        relative=True,
        bounds=(-np.inf, np.inf),
    ),
    _share("balanced_accuracy", _balanced_accuracy, "Mean over classes of the share answered right."),
    _share("roc_auc", _over_classes(roc_area), "Probability that a positive is ranked above a negative."),
    _share("pr_auc", _over_classes(average_precision), "Mean precision over all levels of recall."),
    _share("f1", _of_positive_or_macro(_f1), "Harmonic mean of precision and recall (positive or macro)."),
    _share("precision", _of_positive_or_macro(_precision), "Share of the alarms that are right (positive or macro)."),
    _share("recall", _of_positive_or_macro(_recall), "Share of the positives that are found (positive or macro)."),
    mean_measure("brier", squared_distance, "Mean squared error of the probabilities.", bounds=(0.0, 2.0)),
    measure("ece", _calibration_error, "Mean gap between stated and true probability, over 15 bins."),
)

METRICS = {metric.name: metric for metric in _ALL}
