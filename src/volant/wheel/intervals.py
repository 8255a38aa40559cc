"""Intervals: asked for in the product file, learned on the rows that the search held out, part of the release."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from volant.core.budget import Spending
from volant.core.protocols import Rows
from volant.core.records import Pipeline, Problem
from volant.release.export import Part, extended
from volant.search.bands import VALUE, Band, HeldOutRows, expected_seconds, fit_band
from volant.search.conformal import least_keys, too_few
from volant.search.halves import Effort
from volant.search.trials import Found
from volant.wheel.context import Context

SHARE = 0.1
"""Share of a time budget that intervals may take; where they need more, they are simpler."""


def with_promise(context: Context, problem: Problem, rows: Rows) -> Problem:
    """The problem with the share of truths that the product's intervals promise to hold.

    Raises:
        BadInput: code `target-unfit`, where these training rows are too few for it whatever is held out.
    """
    promised = context.product.file.task.interval
    if promised is None:
        return problem
    keys, level = len(np.unique(rows.keys().astype(str))), (1 + promised) / 2
    if keys < least_keys(level):
        raise too_few(keys, level)
    return replace(problem, interval=promised)


def seconds_for_interval(problem: Problem, spending: Spending, threads: int) -> float:
    """Seconds to keep for the interval after the search."""
    if not problem.interval:
        return 0.0
    expected = expected_seconds(problem, threads)
    return expected if spending.budget.seconds is None else min(expected, SHARE * spending.budget.seconds)


def band_of(context: Context, rows: Rows, problem: Problem, found: Found, seconds: float) -> Band | None:
    """The interval around what a search found, or None where none is asked for.

    Raises:
        BadInput: code `target-unfit`, where there are too few rows to promise so much.
    """
    if not problem.interval:
        return None
    context.progress.say(f"learning intervals that hold {100 * problem.interval:g} % of the truths")
    settings, truth = context.product.file.train, context.task.encode(rows, problem)
    if found.held_out is None:
        predicted = found.baseline.predict(rows, context.task.output, settings.threads)
        return fit_band(HeldOutRows(rows, truth, predicted), problem, Effort(settings.seed, settings.threads, 0.0))
    places = found.held_out.positions
    known = HeldOutRows(rows.take(places), truth[places], found.held_out.predicted)
    return fit_band(known, problem, Effort(settings.seed, settings.threads, seconds))


def with_interval(pipeline: Pipeline, band: Band | None, output: str, folder: Path) -> Pipeline:
    """The pipeline with the ends of the interval as outputs; the band's files are put into `folder`."""
    if band is None:
        return pipeline
    with TemporaryDirectory(prefix="volant-") as name:
        place = Path(name)
        part = Part(band.export(place), place, 1.0)
        return extended(pipeline, part, folder, name="interval", given={VALUE: pipeline.outputs[output]})
