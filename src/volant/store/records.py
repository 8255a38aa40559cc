"""What the store takes and gives back: frozen records of plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import msgspec

from volant.core.records import Verdict

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class PredictionRecord(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One predicted row: what came in, what went out, and who answered under which rules.

    `input`, `output` and `slice_keys` are plain JSON. `at` is an ISO 8601 time in UTC. `deployment` is
    the number of the deployment that served it. `audit` tells that the row belongs to the random share
    whose label is asked for whatever was predicted. The order of the fields is the order on disk: new
    fields come last and have a default.
    """

    id: str
    release: str
    at: str
    input: dict[str, Any]
    output: dict[str, Any]
    deployment: Count | None = None
    policy: str = "champion"
    propensity: Share = 1.0
    audit: bool = False
    slice_keys: dict[str, Any] = {}
    subject: str | None = None
    config_hash: str = ""
    latency_us: Count = 0


@dataclass(frozen=True)
class ShadowRow:
    """What a shadow would have answered to a request, and the `answer` that was given, `by` which release."""

    prediction_id: str
    release: str
    deployment: int | None
    output: Mapping[str, Any]
    latency_us: int
    at: str
    answer: Mapping[str, Any]
    by: str


@dataclass(frozen=True)
class Receipt:
    """Proof that a piece of feedback is on disk. `duplicate` tells that it was there already."""

    seq: int
    id: str
    duplicate: bool = False


@dataclass(frozen=True)
class FeedbackRow:
    """A stored piece of feedback, in the order of `seq`. `valid` is False once it is withdrawn."""

    seq: int
    id: str
    prediction_id: str
    target: str
    kind: str
    value: Any
    actor: str
    source: str
    event_at: str | None
    received_at: str
    idempotency_key: str | None
    supersedes: str | None
    valid: bool
    rationale: str | None = None
    api_key: str | None = None

    def record(self) -> dict[str, Any]:
        """The row as plain JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class Voice:
    """What one actor says now about one prediction: the latest feedback that still counts."""

    seq: int
    id: str
    prediction: PredictionRecord
    kind: str
    value: Any
    actor: str
    source: str
    event_at: str | None
    received_at: str
    target: str = ""


@dataclass(frozen=True)
class ActorRow:
    """The trust that an actor has earned: a Beta posterior of being right, its 5 % quantile, what it rests on, and the
    number of the group that has agreed on what to say, 0 for none."""

    id: str
    alpha: float
    beta: float
    low: float
    answers: int
    group: int = 0


@dataclass(frozen=True)
class DatasetRow:
    """A dataset version."""

    digest: str
    rows: int
    at: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRow:
    """A training run; `status` is `running` until it is finished."""

    id: str
    dataset: str
    config_hash: str
    budget: str
    status: str
    started_at: str
    finished_at: str | None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CandidateRow:
    """A candidate: an exported pipeline, and the run and dataset that it came from."""

    digest: str
    run: str | None
    dataset: str | None
    contract: int
    at: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationRow:
    """An evaluation of a candidate on one part of a dataset."""

    seq: int
    candidate: str
    dataset: str
    part: str
    at: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class VerdictRow:
    """What the gate decided, as recorded."""

    seq: int
    at: str
    verdict: Verdict


@dataclass(frozen=True)
class DeploymentRow:
    """One event of the history; `kind` is one of `volant.store.history.KINDS`."""

    seq: int
    at: str
    kind: str
    release: str
    previous: str | None
    reason: str
    contract: int
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ApiKeyRow:
    """A key of the service as it lies in the ledger: what proves it, never the key itself.

    `rate` is requests per second on average, `burst` how many may come at once, `quota` rows per `period`; None is
    no limit. `replaces` is the key that this one was made for when that one was rotated.
    """

    id: str
    name: str
    roles: tuple[str, ...]
    salt: str
    hash: str
    created_at: str
    rate: float | None = None
    burst: int | None = None
    quota: int | None = None
    period: str | None = None
    expires_at: str | None = None
    revoked_at: str | None = None
    replaces: str | None = None

    def record(self) -> dict[str, Any]:
        """What may be shown of it."""
        hidden = ("salt", "hash")
        return {name: value for name, value in asdict(self).items() if name not in hidden}


@dataclass(frozen=True)
class AuditRow:
    """One change of state: who did what to what. `chain` binds it to all rows before it."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str
    facts: Mapping[str, Any]
    chain: str

    def record(self) -> dict[str, Any]:
        """The row as plain JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class LabelViewRow:
    """A label view: the rule by which evidence became labels."""

    version: str
    rule: str
    at: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TurnRow:
    """A turn of the loop: `step` is the last one that is done, `facts` what each of them found."""

    id: str
    begun_at: str
    ended_at: str | None
    why: str
    step: str
    outcome: str | None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AlarmRow:
    """An alarm: how large the effect is, its bounds, which hold but with probability `level`, and what was done."""

    seq: int
    at: str
    kind: str
    what: str
    effect: float
    low: float
    high: float
    level: float
    action: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class QuestionRow:
    """A prediction that reviewers are asked about, why, and how probable it was that this one is asked about."""

    seq: int
    prediction_id: str
    asked_at: str
    why: str
    score: float
    propensity: float
    state: str
    closed_at: str | None
    facts: Mapping[str, Any] = field(default_factory=dict)
