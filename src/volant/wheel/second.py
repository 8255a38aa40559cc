"""A second look at labels: what models say of them that have not seen them, but have seen all the others.

The champion answered before anybody spoke, and may know less than what users have said since. So a quick model is
fitted on the source and on the labels of the first look, in folds; each label is then judged by models without it.
It may take a share of the turn's time; where it would take more, the first look must do.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.core import plugins
from volant.core.budget import Spending
from volant.core.protocols import Rows, RunContext
from volant.core.records import Problem
from volant.data.dataset import Dataset
from volant.evidence.label_view import ACCEPTED, LabelView
from volant.evidence.reference import Second
from volant.search.fits import Configuration, Fit, Fits
from volant.search.folds import fold_numbers, strata_of
from volant.search.pace import SHORT
from volant.wheel.context import Context

if TYPE_CHECKING:
    from volant.wheel.learn import Harvest

FOLDS = 4
LEAST_LABELS, LEAST_ROWS = 30, 200
"""Labels of users, and rows altogether, from which on a second look tells more than the first."""
QUICK = ("image_features", "boosted_trees", "linear")
"""Learners that look twice, the first that fits the problem."""
SHARE = 0.2
"""Share of the time left that a second look may take."""


class Allowance:
    """The seconds of a second look: infinite where the turn has no deadline."""

    def __init__(self, spending: Spending | None) -> None:
        self._spending = spending
        left = float("inf") if spending is None else spending.remaining_seconds()
        self._end = left - SHARE * left if left != float("inf") else 0.0

    def left(self) -> float:
        """Seconds left; below zero when it took too long."""
        return float("inf") if self._spending is None else self._spending.remaining_seconds() - self._end

    def affords(self, seconds: float) -> bool:
        """Whether work that is expected to take so long, and can end early, is worth beginning."""
        return SHORT * seconds <= self.left()


def second_look(context: Context, found: Harvest, first: LabelView, spending: Spending | None = None) -> Second | None:
    """What models without each label say of all predictions that somebody spoke about.

    None where there are too few labels, or too little time.
    """
    from volant.wheel.learn import write_labels

    used = first.verdicts.of(ACCEPTED)
    if len(used) < LEAST_LABELS or len(used) + int((found.source.sides() == "train").sum()) < LEAST_ROWS:
        return None
    context.progress.say("a second look at the labels")
    allowance = Allowance(spending)
    scratch = Path(tempfile.mkdtemp(prefix=".second-", dir=context.product.home))
    try:
        target = context.product.file.task.target
        dataset = write_labels(scratch, found, first, used, target, spare=True)
        return _looked(context, found, dataset, scratch, allowance)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _looked(context: Context, found: Harvest, dataset: Dataset, scratch: Path, allowance: Allowance) -> Second | None:
    rows = dataset.part("train")
    problem = context.task.problem(rows, context.product.file.task.target, context.metric)
    configuration = _quick(context, problem)
    if configuration is None:
        return None
    if not allowance.affords(FOLDS * configuration.learner.estimate(problem, context.machine).seconds):
        context.progress.say("there is no time for a second look")
        return None
    fold = fold_numbers(rows.keys(), strata_of(context.task.encode(rows, problem), problem), FOLDS, 0)
    made = _folded(context, Fits(scratch / "fits", problem, context.task.output), configuration, rows, fold, allowance)
    if made is None:
        context.progress.say("the second look took too long: the first one must do")
        return None
    predicted, spare = _unseen(made, fold), dataset.part("unlabelled")
    names = rows.references()
    if len(spare):
        told = [fit.predict(spare, context.task.output, context.product.file.train.threads) for fit in made]
        predicted = np.concatenate([predicted, np.mean(told, axis=0)])
        names = np.concatenate([names, spare.references()])
    return _second(problem, found, names, predicted)


def _folded(
    context: Context, fits: Fits, configuration: Configuration, rows: Rows, fold: np.ndarray, allowance: Allowance
) -> list[Fit] | None:
    """A fit per fold, each with its part of the time; None as soon as they are seen not to end in it."""
    settings = context.product.file.train
    made: list[Fit] = []
    for number in range(FOLDS):
        before, ahead = allowance.left(), FOLDS - number
        inside, outside = rows.take(np.flatnonzero(fold != number)), rows.take(np.flatnonzero(fold == number))
        run = RunContext(settings.seed, outside, max(before / ahead, 0.2), settings.threads)
        made.append(fits.make(str(number), configuration, inside, run))
        spent = before - allowance.left() if before != float("inf") else 0.0
        if ahead > 1 and not allowance.affords((ahead - 1) * spent):
            return None
    return made


def _unseen(made: Sequence[Fit], fold: np.ndarray) -> np.ndarray:
    """The prediction (n, …) of each row by the fit that has not seen it."""
    first = made[0].predicted
    assert first is not None
    predicted = np.zeros((len(fold), *first.shape[1:]))
    for number, fit in enumerate(made):
        predicted[fold == number] = fit.predicted
    return predicted


def _quick(context: Context, problem: Problem) -> Configuration | None:
    """The first quick learner that the product may use and that fits the problem, as it begins its portfolio."""
    allowed = context.product.file.train.learners
    known = [name for name in QUICK if name in plugins.names("learners")]
    others = [name for name in allowed or () if name not in known and name != "prior"]
    for name in [*(n for n in known if allowed is None or n in allowed), *others, *known]:
        learner = plugins.load("learners", name)
        listed = learner.portfolio(problem) if learner.supports(problem) else []
        if listed:
            return Configuration(learner, listed[0])
    return None


def _second(problem: Problem, found: Harvest, names: np.ndarray, predicted: np.ndarray) -> Second:
    """What was predicted, in the order of the predictions; NaN where nothing was."""
    place = pc.index_in(found.evidence.predictions.ids, value_set=pa.array(names, pa.string()))
    known = place.is_valid().to_numpy(zero_copy_only=False)
    at = place.fill_null(0).to_numpy(zero_copy_only=False)
    if problem.labels:
        return Second(problem.labels, probabilities=np.where(known[:, None], predicted[at], np.nan))
    if not problem.classes:
        return Second((), values=np.where(known, predicted[at], np.nan))
    return Second(problem.classes, probabilities=np.where(known[:, None], predicted[at], np.nan))
