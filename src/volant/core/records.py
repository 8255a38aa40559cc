"""The nouns: frozen records that stages hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

Batch = Mapping[str, np.ndarray]
"""Named arrays that share their first dimension, one entry per row. What runs through a pipeline."""

PARTS = ("train", "judge", "test")
"""The sides of a split. Rows of `judge` decide promotions; rows of `test` are for reports only."""

ROLES = ("input", "target", "subject", "group", "time", "weight", "position", "propensity", "sensitive", "ignored")


FAIRNESS = (
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equal_opportunity_difference",
    "equalized_odds_difference",
    "accuracy_difference",
    "mean_error_difference",
    "mae_difference",
)
"""How far groups of people lie apart: metrics of fairness, the last two of them for numbers."""


@dataclass(frozen=True)
class Column:
    """A column of a dataset: its type (a plugin of `volant.columns`), its role, and why it has them.

    `monotone` is `increasing` or `decreasing` where predictions must rise or fall with the column, else empty.
    """

    name: str
    type: str
    role: str = "input"
    reason: str = ""
    monotone: str = ""


@dataclass(frozen=True)
class Schema:
    """The columns of a dataset in their order."""

    columns: tuple[Column, ...]

    def of_role(self, role: str) -> tuple[Column, ...]:
        return tuple(c for c in self.columns if c.role == role)

    @property
    def inputs(self) -> tuple[Column, ...]:
        """Columns a model may see. Of role `sensitive` it sees none: they are kept to look at fairness.

        A column that a model may see and that fairness is looked at by is an input that `fairness.columns` names.
        """
        return self.of_role("input")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)

    def __getitem__(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)


@dataclass(frozen=True)
class Problem:
    """What is to be learned: the task, its columns and its sizes. Learners decide on it alone.

    `classes` are labels in the order of every probability vector; empty where the task has none.
    `costs` is what answers cost, `costs[truth][answer]`, (C, C); empty where every mistake costs the same.
    `interval` is the share of truths that the interval given with every answer is to hold; 0 where none is given.
    `picture` is the usual width and height of pictures among the inputs in pixels, zeros where it is not known.
    `labels` are those that a row may carry, none, one or more; empty where a row has one class, or a number.
    """

    task: str
    target: str
    inputs: tuple[Column, ...]
    rows: int
    classes: tuple[str, ...] = ()
    metric: str = ""
    costs: tuple[tuple[float, ...], ...] = ()
    interval: float = 0.0
    picture: tuple[int, int] = (0, 0)
    labels: tuple[str, ...] = ()

    def types(self) -> frozenset[str]:
        return frozenset(c.type for c in self.inputs)


@dataclass(frozen=True)
class Support:
    """Whether a learner can take a problem; the reason why not is shown to the user, and so is what it leaves out."""

    yes: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.yes


@dataclass(frozen=True)
class Cost:
    """What one fit is expected to take: seconds on this machine, bytes at its peak, work units."""

    seconds: float
    bytes: int
    units: int = 1


@dataclass(frozen=True)
class Decision:
    """How an answer follows from probabilities; where nothing is set it is the likeliest class.

    `threshold`: the second of two classes is the answer from this probability on. `weights` (C,): the answer is
    the class whose probability times its weight is largest. `costs` (C, C), `costs[truth][answer]`: the answer is
    the class of least expected cost. `thresholds`: a threshold per canonical value of the input `column`; rows of
    any other value are decided by `threshold`. `marks` (L,): a row carries each label from this probability on.
    """

    threshold: float | None = None
    weights: tuple[float, ...] = ()
    costs: tuple[tuple[float, ...], ...] = ()
    column: str = ""
    thresholds: tuple[tuple[Any, float], ...] = ()
    marks: tuple[float, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step of a pipeline: an operation of the closed vocabulary, from named values to one named value.

    `params` is plain JSON. `file` names a file of the artifact (an ONNX model, arrays as safetensors).
    """

    op: str
    inputs: tuple[str, ...]
    output: str
    params: Mapping[str, Any] = field(default_factory=dict)
    file: str | None = None


@dataclass(frozen=True)
class Pipeline:
    """A typed graph of steps in the order they run. `outputs` maps names of the answer to values."""

    steps: tuple[Step, ...]
    outputs: Mapping[str, str]
    version: int = 1

    def record(self) -> dict[str, Any]:
        return {**asdict(self), "outputs": dict(self.outputs)}

    @staticmethod
    def of(record: Mapping[str, Any]) -> Pipeline:
        steps = tuple(
            Step(s["op"], tuple(s["inputs"]), s["output"], dict(s.get("params") or {}), s.get("file"))
            for s in record["steps"]
        )
        return Pipeline(steps, dict(record["outputs"]), int(record["version"]))


@dataclass(frozen=True)
class Field:
    """One field of a signature: what a caller sends or gets."""

    name: str
    type: str
    required: bool = False
    example: Any = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signature:
    """The contract of a release with its callers. `contract` rises when inputs, outputs or classes change.

    `missing` are the texts that mean missing, where the product names its own; None stands for the usual ones.
    `beside` are fields that a caller may send and no model sees; they are logged, so that fairness can be judged.
    `labels` are those that a row may carry, in the order of their probabilities.
    """

    task: str
    target: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    classes: tuple[str, ...] = ()
    contract: int = 1
    missing: tuple[str, ...] | None = None
    beside: tuple[Field, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """What there is a probability of: classes, one of which is true, or labels."""
        return self.classes or self.labels

    def record(self) -> dict[str, Any]:
        """Plain data; without `labels` where there are none, so that digests stay what they were before there were."""
        record = asdict(self)
        return record if self.labels else {name: value for name, value in record.items() if name != "labels"}

    @staticmethod
    def of(record: Mapping[str, Any]) -> Signature:
        def fields(listed: Any) -> tuple[Field, ...]:
            return tuple(Field(**{**f, "choices": tuple(f.get("choices", ()))}) for f in listed)

        return Signature(
            task=record["task"],
            target=record["target"],
            inputs=fields(record["inputs"]),
            outputs=fields(record["outputs"]),
            classes=tuple(record.get("classes", ())),
            contract=int(record.get("contract", 1)),
            missing=None if record.get("missing") is None else tuple(record["missing"]),
            beside=fields(record.get("beside", ())),
            labels=tuple(record.get("labels", ())),
        )


@dataclass(frozen=True)
class Finding:
    """What a data check found. `rows` are row numbers of the source, counted from 0, at most 20 of them.

    `severity` is `stop` (training is refused) or `warn`. `aspect` says which part of the quality report
    it belongs to: `completeness`, `diversity`, `accuracy` or `privacy`. `score` is the strength of evidence in [0, 1].
    """

    check: str
    severity: str
    what: str
    fix: str
    column: str | None = None
    rows: tuple[int, ...] = ()
    count: int = 0
    aspect: str = "accuracy"
    score: float = 1.0


@dataclass(frozen=True)
class Score:
    """A metric with its interval. `value` is in the metric's own orientation."""

    metric: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """A paired difference, challenger minus champion, oriented so that positive is better.

    `low` and `high` bound it at the level the gate asked for. `slice` is `""` for all rows. `scale` is
    `absolute`, or `relative` where the difference is divided by the champion's value. `heaviest` is the share of the
    weight that lies on rows of one key: they are alike, or of one subject or group, and tell as much as one.
    """

    metric: str
    slice: str
    n: int
    difference: float
    low: float
    high: float
    champion: float
    challenger: float
    scale: str = "absolute"
    heaviest: float = 0.0


@dataclass(frozen=True)
class Gap:
    """How far apart the groups of people in a column lie, by a metric of fairness.

    `low` and `high` bound `value`, each at the level that was asked for. `most` and `least` are the groups that lie
    furthest apart; groups in `left_out` have too few rows behind them to be compared. `champion` is the
    champion's value on the same rows.
    """

    metric: str
    column: str
    n: int
    value: float
    low: float
    high: float
    most: str = ""
    least: str = ""
    left_out: tuple[str, ...] = ()
    champion: float | None = None


LOGGED = "logged traffic"
"""The slice by which a comparison of rewards is named in a verdict."""
REWARD = "reward"


@dataclass(frozen=True)
class Worth:
    """What a release earns more than the one that serves, by logged traffic that others answered, as shares of the
    largest reward, per person.

    `rows` of `people` were looked at; `low` and `high` bound `gain`. The two decide differently on the share `differs`;
    on the share `untold` of all rows one of them decides what was hardly ever shown, and the bounds allow for any
    reward there. `effective` is how many people of equal weight tell as much of what the release earns.
    """

    rows: int
    people: int
    gain: float
    low: float
    high: float
    champion: float
    challenger: float
    differs: float
    untold: float
    effective: float

    def comparison(self) -> Comparison:
        """The same as verdicts hold it."""
        return Comparison(REWARD, LOGGED, self.people, self.gain, self.low, self.high, self.champion, self.challenger)


@dataclass(frozen=True)
class Verdict:
    """What the gate decided, and why. Refusals are recorded like promotions."""

    challenger: str
    champion: str | None
    passed: bool
    reasons: tuple[str, ...]
    comparisons: tuple[Comparison, ...] = ()
    alpha: float = 0.05
    turn: int = 1
    judge: str = ""
    gaps: tuple[Gap, ...] = ()

    def record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class FeedbackKind:
    """A kind of feedback that a task understands. `says` is what a value of it means.

    `looks` tells that the label which it implies depends on what was answered.
    """

    name: str
    says: str
    looks: bool = True


@dataclass(frozen=True)
class Feedback:
    """One answer of one actor to one prediction. Evidence, not truth. `api_key` is the key that it was sent with.

    What is not `valid` is kept and does not count, and neither does what it supersedes: so something is taken back.
    """

    prediction_id: str
    kind: str
    value: Any
    actor: str
    source: str = "user"
    event_at: str | None = None
    idempotency_key: str | None = None
    target: str = ""
    supersedes: str | None = None
    rationale: str | None = None
    api_key: str | None = None
    valid: bool = True


@dataclass(frozen=True)
class Call:
    """What a caller asks of a prediction besides its rows."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    deadline: float | None = None
    seed: int = 0
