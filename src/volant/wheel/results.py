"""What the stages give back: frozen records that the command line draws and `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volant.core.records import Column, Finding, Score, Verdict

if TYPE_CHECKING:
    from volant.compress.measure import Measured


def plain(value: Any) -> Any:
    """`value` as plain JSON data: paths become text, tuples become lists."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


class Result:
    """Base of all results."""

    def record(self) -> dict[str, Any]:
        """The result as plain JSON data."""
        return {str(k): plain(v) for k, v in asdict(self).items()}  # type: ignore[call-overload]


@dataclass(frozen=True)
class NewProduct(Result):
    """`volant new`: the file that was written and what was inferred."""

    name: str
    folder: Path
    task: str
    task_reason: str
    target: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Estimate(Result):
    """What training will take on this machine."""

    seconds: float
    memory_bytes: int
    disk_bytes: int
    memory_free: int
    disk_free: int


@dataclass(frozen=True)
class CheckReport(Result):
    """`volant check`: what was found. `quality` gives a score in [0, 1] per aspect."""

    dataset: str
    rows: int
    columns: int
    findings: tuple[Finding, ...]
    quality: Mapping[str, float]
    estimate: Estimate | None
    passed: bool
    seconds: float
    report: Path | None = None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry(Result):
    """One line of the leaderboard. `score` is the decisive metric on out-of-fold or held-out training rows."""

    name: str
    learner: str
    options: Mapping[str, Any]
    score: float | None
    fit_seconds: float
    status: str = "done"
    reason: str = ""
    weight: float = 0.0


@dataclass(frozen=True)
class TrainResult(Result):
    """`volant train`: the candidate, how it was found, how good it is, and what the gate said.

    `scores` are on the test part, `judged` on the judge part. `note` says what the user must know
    (for example that the budget was too short for anything but the baseline). `out_of_fold` is the metric of
    the release's members on training rows they have not seen, `full_ensemble` that of the best ensemble which
    heeds no limit of size and latency; both None where there is no ensemble to choose.
    """

    run: str
    dataset: str
    candidate: str
    leaderboard: tuple[Entry, ...]
    scores: tuple[Score, ...]
    judged: tuple[Score, ...]
    metric: str
    verdict: Verdict | None
    promoted: bool
    budget: str
    seconds: float
    latency_ms: float
    size_bytes: int
    report: Path | None = None
    note: str = ""
    out_of_fold: float | None = None
    full_ensemble: float | None = None


@dataclass(frozen=True)
class CompressResult(Result):
    """`volant compress`: the release as it is and what was tried, what was chosen, and whether it is deployed."""

    release: str
    table: tuple[Measured, ...]
    chosen: str = ""
    candidate: str = ""
    verdict: Verdict | None = None
    note: str = ""


@dataclass(frozen=True)
class PredictResult(Result):
    """`volant predict`: a file of answers, one per row of the input, in its order."""

    rows: int
    output: Path
    release: str
    seconds: float


@dataclass(frozen=True)
class Contribution(Result):
    """What one column adds to one answer, against typical rows. `error` is a standard error, 0 where it is exact."""

    column: str
    value: str
    contribution: float
    error: float = 0.0


@dataclass(frozen=True)
class Explanation(Result):
    """`volant explain`: `base` + the contributions = `output`, on `scale`.

    `label` is the class that is explained and `answer` its probability, or the value where there are no classes.
    `how` is `exact`, `sampled` or `surrogate`; `fit` is the surrogate's R². `reasons` say in words what pushed
    towards the answer, strongest first. `background` counts the typical rows that it is compared with.
    """

    release: str
    row: int | None
    label: str | None
    base: float
    output: float
    contributions: tuple[Contribution, ...]
    answer: float = 0.0
    scale: str = "probability"
    method: str = "shap"
    how: str = "exact"
    reasons: tuple[str, ...] = ()
    background: int = 0
    fit: float | None = None


@dataclass(frozen=True)
class ImportResult(Result):
    """`volant feedback import`: nothing is imported unless every row is valid; `erased` rows are of erased actors."""

    accepted: int
    duplicates: int
    erased: int = 0


@dataclass(frozen=True)
class ExportResult(Result):
    """`volant feedback export`: all feedback that was not withdrawn or superseded, in the order it came in."""

    rows: int
    output: Path


@dataclass(frozen=True)
class Labels(Result):
    """What a label view made of the evidence. `groups` are the sizes of groups that have agreed on what to say."""

    version: str
    evidence: int
    accepted: int
    rejected: int
    held: int
    judged: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    new_classes: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class TurnResult(Result):
    """`volant improve`: one turn of the wheel.

    `outcome` is `promoted`, `canary` (it passed and proves itself on a share of the traffic), `refused` or
    `nothing-to-learn`.
    """

    outcome: str
    labels: Labels
    train: TrainResult | None
    champion_before: str
    champion_after: str
    seconds: float


@dataclass(frozen=True)
class Deployment(Result):
    """One event of the history. `kind` is `promote`, `refuse`, `rollback`, `canary`, `split`, `shadow` or `end`."""

    seq: int
    at: str
    kind: str
    release: str
    previous: str | None
    reason: str
    contract: int = 1
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Status(Result):
    """`volant status`: where the product stands."""

    name: str
    folder: Path
    task: str
    champion: str | None
    champion_since: str | None
    dataset: str | None
    rows: int
    predictions: int
    feedback: int
    feedback_since_champion: int
    turns: int
    alpha_left: float
    running: str | None
    next_step: str


@dataclass(frozen=True)
class KeyResult(Result):
    """A key of the service. `key` is the key itself, where it was just made. `rate` is requests per second."""

    id: str
    name: str
    roles: tuple[str, ...]
    created_at: str
    rate: float | None
    quota: int | None
    period: str | None
    expires_at: str | None
    revoked_at: str | None
    replaces: str | None
    live: bool
    key: str | None = None


@dataclass(frozen=True)
class Exported(Result):
    """A release that was written on its own: where, and which files."""

    release: str
    folder: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class ExportedLog(Result):
    """The log of predictions as a file: where, and how many rows."""

    file: str
    rows: int


@dataclass(frozen=True)
class Retained(Result):
    """What retention removed, or would: how many predictions, and how much that was said of them.

    `held` is why nothing may go at all, where that is so.
    """

    predictions: int
    feedback: int
    removed: bool = True
    held: str = ""


@dataclass(frozen=True)
class Sealed(Result):
    """A release that was sealed, and the public key that proves it."""

    release: str
    signer: str


@dataclass(frozen=True)
class AuditTrail(Result):
    """`volant audit`: every change, oldest first; `broken_at` is the first row that does not fit to those before."""

    changes: tuple[Mapping[str, Any], ...]
    broken_at: int | None


@dataclass(frozen=True)
class Route(Result):
    """Who answers a share of the traffic: `kind` is `champion`, `canary`, `split` or `shadow`."""

    kind: str
    release: str
    share: float
    policy: str
    since: str
    reason: str


@dataclass(frozen=True)
class Routes(Result):
    """`volant route show`: the champion first."""

    routes: tuple[Route, ...]
