"""Shards: each row teaches one fit of a configuration alone, so that letting it go costs one fit and not all of them.

The rows are dealt by a hash of their keys. A fit learns from its own shard and stops early by a part of it, so nothing
of any other shard is in it; the release is the mean of the fits on all shards. What is said of a row without having
seen it comes from the fits on the other shards. Fits are kept by the content of their shard: whatever is trained
later on the same rows of a shard takes them as they are.

Source: Bourtoule et al., Machine Unlearning (sharded, isolated, sliced, aggregated training), IEEE S&P 2021, without
slices.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from volant.columns.media import is_media
from volant.core.ids import digest, keyed_unit
from volant.core.protocols import Rows
from volant.core.records import Problem
from volant.data.splits import content_hashes
from volant.errors import BadInput
from volant.search.crossing import Crossing
from volant.search.fits import Configuration, Fit, Fits
from volant.search.pace import MOST_LANES, Layout, Pace

STOPPING = 0.2
"""Share of a shard that its fit does not learn from, but stops early by."""
FITS, LEARNING = "fits", "learning"


def shard_of(keys: Sequence[Any] | np.ndarray, count: int) -> np.ndarray:
    """The shard of each key, (n,): the same for everything of a person, whoever else there is."""
    return np.floor(np.array(keyed_unit("shards", map(str, keys))) * count).astype(np.int64)


def of_one(problem: Problem, count: int) -> Problem:
    """The problem as fits on one of so many shards have it. Its rows are a power of two: what learners conclude from
    their number may not change with each person who goes."""
    return replace(problem, rows=1 << max(problem.rows // count, 1).bit_length() - 1)


@dataclass(frozen=True, kw_only=True)
class Sharding(Crossing):
    """Rows in shards in the place of folds: the fit of number k learns from shard k alone.

    `own` are their fits, and `contents` say what each shard holds.
    """

    own: Fits
    contents: tuple[str, ...]

    def _fold(self, configuration: Configuration, fold: int, seconds: float, threads: int) -> Fit:
        name = f"{configuration.key[:12]}-{fold}-{self.contents[fold]}"
        made = self.own.load(name)
        if made is not None:
            return made
        rows = np.flatnonzero(self.numbers == fold)
        stops = np.array(keyed_unit("stopping", map(str, self.data.keys()[rows]))) < STOPPING
        context = replace(self.pace.context(seconds, threads), validation=self.data.take(rows[stops]))
        return self.own.make(name, configuration, self.data.take(rows[~stops]), context)

    def predicted(self, fits: list[Fit]) -> np.ndarray:
        """The mean of what the fits on all other shards predict for each row, (n, …)."""
        total: np.ndarray | float = 0.0
        for shard, fit in enumerate(fits):
            others = np.flatnonzero(self.numbers != shard)
            found = fit.predict(self.data.take(others), self.fits.output, self.layout.threads)
            whole = np.zeros((len(self.numbers), *found.shape[1:]))
            whole[others] = found
            total = total + whole
        return np.asarray(total / (len(fits) - 1))


def sharding(data: Rows, problem: Problem, fits: Fits, pace: Pace) -> Sharding:
    """The shards of some rows, as the rules of `pace` have them. Fits on other rows than these are deleted.

    Raises:
        BadInput: code `product-file-invalid`: a shard would be too small to learn from.
    """
    count, folder = pace.rules.shards, pace.rules.shard_folder
    numbers = shard_of(data.keys(), count)
    sizes = np.bincount(numbers, minlength=count)
    if sizes.min() < 2 * max(len(problem.classes), 5):
        raise BadInput(
            "there are too few rows for so many shards",
            code="product-file-invalid",
            where="volant.toml, train.shards",
            got=f"{count} shards, the smallest of {int(sizes.min())} rows",
            fix="take fewer shards, or bring more rows",
        )
    about = of_one(problem, count)
    lots = [data.take(np.flatnonzero(numbers == shard)) for shard in range(count)]
    contents = tuple(_content(lot, about, fits, pace) for lot in lots)
    for path in [*folder.glob(f"{FITS}/*"), *folder.glob(f"{LEARNING}/*")]:
        if path.name.rpartition("-")[2] not in contents:
            shutil.rmtree(path, ignore_errors=True)
    own = Fits(folder / FITS, about, fits.output, fits.correction, fits.told)
    layout = Layout.of(count, pace.rules.threads, 1 if pace.by_work else MOST_LANES)
    return Sharding(data, numbers, layout, fits, pace, own=own, contents=contents)


def _content(rows: Rows, problem: Problem, fits: Fits, pace: Pace) -> str:
    """A name for what a fit on these rows depends on, besides its configuration."""
    inputs = [[one.name, one.type, one.monotone] for one in problem.inputs]
    asked: list[Any] = [problem.task, problem.classes, problem.metric, problem.costs, problem.rows, inputs]
    asked += [fits.correction, pace.rules.seed, pace.rules.threads, rows.weights().tolist(), rows.keys().tolist()]
    names = [column.name for column in (*rows.schema.inputs, rows.schema[problem.target])]
    if any(is_media(rows.schema[name].type) for name in names):
        return digest([rows.digest, *asked])[:16]
    return digest([content_hashes(rows.table(names)).tolist(), *asked])[:16]


def forget(folder: Path, shards: Collection[int]) -> None:
    """Delete the fits on some shards, and whatever fits were in the middle of."""
    for path in folder.glob(f"{FITS}/*"):
        parts = path.name.split("-")
        if path.name.startswith(".new-") or (len(parts) == 3 and int(parts[1]) in shards):
            shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder / LEARNING, ignore_errors=True)
