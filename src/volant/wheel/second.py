"""A second look at labels: what models say of them that have not seen them, but have seen all the others.

The champion answered before anybody spoke, and may know less than what users have said since. So a quick model is
fitted on the source and on the labels of the first look, in folds; each label is then judged by models without it.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.core import plugins
from volant.core.protocols import RunContext
from volant.core.records import Problem
from volant.data.dataset import Dataset
from volant.evidence.label_view import ACCEPTED, LabelView
from volant.evidence.reference import Second
from volant.search.fits import Configuration, Fit, Fits
from volant.search.folds import fold_numbers
from volant.wheel.context import Context

if TYPE_CHECKING:
    from volant.wheel.learn import Harvest

FOLDS = 4
LEAST_LABELS, LEAST_ROWS = 30, 200
"""Labels of users, and rows altogether, from which on a second look tells more than the first."""
QUICK = ("image_features", "boosted_trees", "linear")
"""Learners that look twice, the first that fits the problem."""


def second_look(context: Context, found: Harvest, first: LabelView) -> Second | None:
    """What models without each label say of all predictions that somebody spoke about, or None where it says little."""
    from volant.wheel.learn import write_labels

    used = first.verdicts.of(ACCEPTED)
    if len(used) < LEAST_LABELS or len(used) + int((found.source.sides() == "train").sum()) < LEAST_ROWS:
        return None
    context.progress.say("a second look at the labels")
    scratch = Path(tempfile.mkdtemp(prefix=".second-", dir=context.product.home))
    try:
        target = context.product.file.task.target
        dataset = write_labels(scratch, found, first, used, target, spare=True)
        return _looked(context, found, dataset, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _looked(context: Context, found: Harvest, dataset: Dataset, scratch: Path) -> Second | None:
    rows = dataset.part("train")
    problem = context.task.problem(rows, context.product.file.task.target, context.metric)
    configuration = _quick(context, problem)
    if configuration is None:
        return None
    fold = fold_numbers(rows.keys(), context.task.encode(rows, problem) if problem.classes else None, FOLDS, 0)
    fits = Fits(scratch / "fits", problem, context.task.output)
    settings = context.product.file.train
    predicted: np.ndarray | None = None
    made: list[Fit] = []
    for number in range(FOLDS):
        inside, outside = rows.take(np.flatnonzero(fold != number)), rows.take(np.flatnonzero(fold == number))
        run = RunContext(seed=settings.seed, validation=outside, threads=settings.threads)
        fit = fits.make(str(number), configuration, inside, run)
        assert fit.predicted is not None
        predicted = np.zeros((len(rows), *fit.predicted.shape[1:])) if predicted is None else predicted
        predicted[fold == number] = fit.predicted
        made.append(fit)
    spare = dataset.part("unlabelled")
    told = [fit.predict(spare, context.task.output, settings.threads) for fit in made] if len(spare) else []
    assert predicted is not None
    both = np.concatenate([predicted, np.mean(told, axis=0)]) if told else predicted
    names = np.concatenate([rows.references(), spare.references()]) if told else rows.references()
    return _second(problem, found, names, both)


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
    if not problem.classes:
        return Second((), values=np.where(known, predicted[at], np.nan))
    return Second(problem.classes, probabilities=np.where(known[:, None], predicted[at], np.nan))
