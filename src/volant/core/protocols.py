"""The small protocols through which everything composes. Four of them are kinds of plugin.

Column types (`volant.columns`), checks (`volant.checks`), tasks (`volant.tasks`) and learners
(`volant.learners`) are found by entry points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from volant.core.budget import Spending
from volant.core.clock import Machine
from volant.core.progress import Progress, Silent
from volant.core.records import (
    Batch,
    Column,
    Cost,
    Decision,
    FeedbackKind,
    Finding,
    Pipeline,
    Problem,
    Schema,
    Support,
)


@dataclass(frozen=True)
class Recognition:
    """How sure a column type is that a column is its own, in [0, 1], and why, in one sentence."""

    confidence: float
    reason: str


@dataclass(frozen=True)
class Parsed:
    """Canonical values, and the positions of the cells that could not be read (they are null)."""

    values: pa.Array
    unreadable: np.ndarray


class ColumnType(Protocol):
    """A column type: one set of rules that training and serving share.

    `parse_cell` defines the conversion; `parse` does the same for whole Arrow arrays, faster.
    """

    name: str
    storage: pa.DataType

    def recognise(self, name: str, values: pa.Array) -> Recognition:
        """Judge a column by its name and up to 10,000 raw non-null values as they came from the source."""

    def parse_cell(self, cell: Any) -> Any:
        """One raw cell (from JSON, CSV, a database) to its canonical value, or None where missing.

        Raises:
            ValueError: the cell cannot be read as this type; the message says what was expected.
        """

    def parse(self, raw: pa.Array) -> Parsed:
        """The same for an array of any Arrow type; cells that cannot be read become null and are listed."""

    def to_numpy(self, values: pa.Array) -> np.ndarray:
        """Canonical Arrow values as the array that pipelines take, missing as NaN, NaT or None."""

    def json_schema(self) -> dict[str, Any]:
        """What a caller may send, as JSON Schema."""


@runtime_checkable
class Media(Protocol):
    """Optional ability of a column type: its cells are files, such as pictures.

    The canonical value is the bytes of the file. Datasets hold their hashes and keep each file once; the cells that
    `Rows.batch` gives are bytes, or stand for a file that `bytes(cell)` reads, and are None where missing.
    """

    endings: frozenset[str]
    """Endings of the names of such files, in lower case: `.png`."""

    def media_type(self, data: bytes) -> str | None:
        """The media type that the first bytes of a file tell (`image/png`), or None where they tell none."""


class Rows(Protocol):
    """A dataset, or a view of some of its rows: what learners and checks are given."""

    digest: str
    schema: Schema

    def __len__(self) -> int: ...

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Canonical columns of these rows as Arrow."""

    def batch(self, columns: Sequence[str]) -> Batch:
        """Canonical columns of these rows as the arrays that pipelines take."""

    def weights(self) -> np.ndarray:
        """Sample weights, shape (n,), float64; ones where the product names no weight column."""

    def keys(self) -> np.ndarray:
        """The key of each row, shape (n,), as strings: subject, group, or a hash of its inputs."""

    def numbers(self) -> np.ndarray:
        """The number of each row in its source, counted from 0, shape (n,)."""

    def take(self, positions: np.ndarray) -> Rows:
        """A view of some rows, given their positions in this one. Nothing is copied."""

    def part(self, name: str) -> Rows:
        """A view of one side of the split: `train`, `judge` or `test`."""


@dataclass
class RunContext:
    """What a fit is given besides its rows.

    `validation` are rows for early stopping, never trained on. `seconds` is how long this fit may
    take (infinite under a work budget); a learner stops in time and keeps the best model so far.
    `threads` is fixed by the product file, so that results repeat. `folder` is the fit's own, where it may keep what
    it goes on from after it was killed, and what shows how it went; it need not exist yet.
    """

    seed: int = 0
    validation: Rows | None = None
    seconds: float = float("inf")
    threads: int = 1
    progress: Progress = field(default_factory=Silent)
    spending: Spending | None = None
    folder: Path | None = None


class Model(Protocol):
    """What `fit` returns. It lives only until it is exported."""

    def export(self, folder: Path) -> Pipeline:
        """Write the model's files into `folder` (which exists) and return the pipeline that uses them.

        The pipeline takes canonical columns and gives the outputs that the task names
        (`classify`: `probability`, shape (n, C); `regress`: `value`, shape (n,)).
        """

    def facts(self) -> dict[str, Any]:
        """Plain facts for the leaderboard: iterations used, features, and the like."""


class Learner(Protocol):
    """A model family. Stateless: options come in, a model comes out.

    Fits may run at the same time in one process. A learner for which that cannot be, because a library it uses
    keeps random state of its own, says so by an attribute `exclusive = True`. One whose fits differ by their seed so
    much that the mean of two is better says so by `restarts = True`: time that is left makes more of its last fits.
    """

    name: str
    version: int
    summary: str
    options: type[Any]

    def supports(self, problem: Problem) -> Support: ...

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        """What one fit on `problem.rows` rows takes."""

    def portfolio(self, problem: Problem) -> Sequence[Any]:
        """Options to try, best first, as instances of `options`."""

    def settle(self, options: Any, facts: Sequence[Mapping[str, Any]]) -> Any:
        """Options for the last fit, on all rows and without validation, given the facts of the fits on folds."""

    def fit(self, data: Rows, problem: Problem, options: Any, context: RunContext) -> Model: ...


@dataclass(frozen=True)
class Range:
    """Values of an option worth trying: from `low` to `high`, or one of `choices`. `log`: evenly by magnitude."""

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()


class Needs(Protocol):
    """Optional ability of a learner: it names the extra that must be installed before it works."""

    def missing(self) -> str:
        """What is missing, as it is installed (`volant[catboost]`), or nothing."""


@runtime_checkable
class Asks(Protocol):
    """Optional ability of a learner: it has options without a default that would do, which the product file sets."""

    def lacks(self, options: Any) -> str:
        """What is missing in the options, and how it is given; or nothing."""

    def example(self, folder: Path) -> Any:
        """Options that lack nothing, with what they name written into the folder: small, to try the learner with."""


@runtime_checkable
class Wakes(Protocol):
    """Optional ability of a learner that needs something heavy: to get it before its fits are timed."""

    def wake(self) -> None:
        """Import what every fit needs."""


@runtime_checkable
class Sketches(Protocol):
    """Optional ability of a learner whose usual fits take long: options with which one takes a moment."""

    def sketch(self, problem: Problem) -> Any:
        """Options for the smallest model that still learns: what the contract suite tries the learner with."""


WAYS = ("warm", "online")
"""How a fit goes on from an earlier one: over old rows and new ones until it has settled again, or over the new rows
alone, each once, in their order."""


@dataclass(frozen=True)
class Earlier:
    """A fit that another goes on from: the pipeline that it exported, the folder of what its learner kept, the way."""

    pipeline: Pipeline
    folder: Path
    way: str


class Resumes(Protocol):
    """Optional ability of a learner: a fit goes on from an earlier one of the same options, with its features."""

    ways: tuple[str, ...]
    """Those of `WAYS` that it knows."""

    def keep(self, model: Any, folder: Path) -> None:
        """Write what `resume` needs besides the exported pipeline into a folder that exists; it is never shipped."""

    def resume(self, earlier: Earlier, data: Rows, problem: Problem, options: Any, context: RunContext) -> Model:
        """Go on from an earlier fit; the model is exported like any other, and may be kept again."""


def goes_on(learner: Any, way: str) -> bool:
    """Whether a learner has the ability, in that way."""
    return way in getattr(learner, "ways", ())


class Tunes(Protocol):
    """Optional ability of a learner: it names the ranges of its options, by name, that are worth searching."""

    def space(self, problem: Problem) -> Mapping[str, Range]: ...


@dataclass(frozen=True)
class Metric:
    """A metric of a task.

    `of(units, weights)` takes the task's units and weights of shape (B, n) and gives B values, one per
    resample, so that a bootstrap is one call. `scale` says whether differences are judged absolutely or
    relative to the champion's value. `needs` names units that not every prediction comes with: where they are
    missing the metric is left out. Such a metric can be a minimum; it is never what decides.
    """

    name: str
    greater_is_better: bool
    of: Any
    scale: str = "absolute"
    summary: str = ""
    needs: tuple[str, ...] = field(default=(), kw_only=True)


class Task(Protocol):
    """What is predicted, and how predictions are judged."""

    name: str
    version: int
    summary: str
    target_type: str
    feedback: tuple[FeedbackKind, ...]
    metrics: Mapping[str, Metric]
    default_metric: str
    output: str
    """The pipeline output that learners produce: `probability` for classify, `value` for regress."""

    def problem(self, data: Rows, target: str, metric: str) -> Problem:
        """The problem that these rows pose.

        Raises:
            BadInput: the target does not fit the task.
        """

    def encode(self, data: Rows, problem: Problem) -> np.ndarray:
        """The target as learners take it: class indices (n,) int64, or values (n,) float64."""

    def units(self, truth: np.ndarray, predicted: Batch, problem: Problem) -> Batch:
        """One record of statistics per unit (here: per row), mergeable by concatenation.

        `predicted` holds the task's output, and whatever else a finished pipeline answers.
        """

    def finish(self, pipeline: Pipeline, problem: Problem, decision: Decision | None = None) -> Pipeline:
        """Add the steps that turn the learner's output into the answer a caller gets, by a decision if there is one."""

    def parse_feedback(self, kind: str, value: Any, problem_classes: Sequence[str]) -> Any:
        """The canonical value of one piece of feedback.

        Raises:
            BadInput: code `feedback-invalid`.
        """

    def label(self, kind: str, value: Any, answer: Mapping[str, Any]) -> Any | None:
        """The label that feedback implies for the predicted row, or None where it implies none."""


@runtime_checkable
class Bounded(Protocol):
    """An optional ability of a task: its answers may come with an interval that holds a stated share of the truths."""

    bounds: tuple[str, str]
    """The two outputs beside `output`, the lower end first."""
    interval_metric: str
    """The metric that tells which of two intervals is the better one."""


class Check(Protocol):
    """A data check. `trains` tells that it fits models, so that it can be left out for speed."""

    name: str
    summary: str
    aspect: str
    trains: bool

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]: ...


@dataclass
class CheckContext:
    """What a check is given besides the rows.

    `unreadable` maps columns to the source rows whose cells could not be read as the column's type.
    `notes` are facts that the reader of the source wrote down (encoding, delimiter, ragged rows).
    """

    task: Task | None = None
    target: str | None = None
    unreadable: Mapping[str, Sequence[int]] = field(default_factory=dict)
    unreadable_count: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    machine: Machine | None = None
    seed: int = 0


__all__ = [
    "WAYS",
    "Asks",
    "Bounded",
    "Check",
    "CheckContext",
    "Column",
    "ColumnType",
    "Earlier",
    "Learner",
    "Media",
    "Metric",
    "Model",
    "Parsed",
    "Range",
    "Recognition",
    "Resumes",
    "Rows",
    "RunContext",
    "Sketches",
    "Task",
    "Tunes",
    "Wakes",
    "goes_on",
]
