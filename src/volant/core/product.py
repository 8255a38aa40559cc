"""The product file `volant.toml`: its schema, its defaults, and reading it with all problems at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from volant.core import plugins
from volant.core.ids import digest
from volant.core.loop_file import (
    DriftSection,
    FeedbackSection,
    ImproveSection,
    NotifySection,
    ReviewSection,
    SignalSection,
)
from volant.core.records import FAIRNESS, ROLES
from volant.core.section import Positive, Section, Share, checked_budget, parse_duration
from volant.errors import BadInput, Trouble, VolantError, nearest

__all__ = ["Product", "ProductFile", "SignalSection", "json_schema", "parse", "parse_duration", "read"]
FILE = "volant.toml"
VERSION = 1


class TaskSection(Section):
    """What is predicted."""

    type: str = Field(description="The task, a plugin: `classify`, `regress` or `tag`; `volant tasks` lists them.")
    target: str = Field(min_length=1, description="The column that is predicted.")
    labels: tuple[str, ...] = Field(
        (),
        description="For `tag`: columns of yes and no that are joined into the target, which is none of the data's "
        "columns then; each one is a label.",
    )
    interval: float | None = Field(
        None,
        ge=0.5,
        le=0.99,
        description="Share of the truths that an interval `low` to `high`, given with every number, is to hold "
        "(0.9: nine in ten); none by default. For tasks that predict a number.",
    )


class Split(Section):
    """Who trains, who judges, who is only reported on. A row's side depends on its key alone."""

    by: Literal["random", "stratified", "group", "time"] = Field(
        "random",
        description="`random`: a hash of the row decides. `stratified`: the same with exact shares per class. "
        "`group`: a column of role group or subject stays whole (so it does under random). `time`: the latest rows "
        "judge and test, those of one time together; a subject stays where its first row stands.",
    )
    judge: Share = Field(0.1, description="Share of rows (and of traffic) that decides promotions and never trains.")
    test: Share = Field(0.1, description="Share of rows that is used for reports only.")
    key: str = Field("volant", min_length=1, description="Key of the hash that assigns rows to sides.")

    @model_validator(mode="after")
    def _room(self) -> Split:
        if self.judge == 0:
            raise ValueError("judge must be above 0: without rows that judge, nothing can be promoted")
        if self.judge + self.test >= 0.9:
            raise ValueError("judge and test together must leave at least a tenth of the rows for training")
        return self


class DataSection(Section):
    """Where the data comes from."""

    source: str = Field(
        min_length=1,
        description="A CSV, Parquet, JSON Lines or Excel file, a folder of these, a folder, a .zip or a pattern "
        "(`photos/*/*.jpg`) of pictures, or a database URL; relative to the product file. `${NAME}` takes an "
        "environment variable, for secrets.",
    )
    query: str | None = Field(None, description="The SQL query, when the source is a database URL.")
    missing: tuple[str, ...] | None = Field(None, description="Cell texts that mean missing; replaces the usual list.")
    files: str | None = Field(
        None,
        description="The folder that paths of pictures in the table are relative to, and that none of them may leave; "
        "by default the one that the table lies in.",
    )
    unreadable: Literal["keep", "leave_out"] = Field(
        "keep", description="Rows with a file, such as a picture, that cannot be read: kept without it, or left out."
    )
    split: Split = Field(default=Split(), description="How rows are divided.")


class ColumnSection(Section):
    """Overrides what was inferred for one column."""

    type: str | None = Field(None, description="A column type, a plugin; `volant columns` lists them.")
    role: Literal[ROLES] | None = Field(None, description="What the column is for.")  # type: ignore[valid-type]
    monotone: Literal["increasing", "decreasing"] | None = Field(
        None,
        description="How predictions must change when only this number grows: they never fall (`increasing`) or never "
        "rise (`decreasing`); of two classes, the probability of the second one. Learners that cannot promise it are "
        "left out.",
    )


class TrainSection(Section):
    """How a candidate is trained."""

    budget: str = Field("60s", description='A time ("60s", "5m") or work ("12 units"; results then repeat exactly).')
    seed: int = Field(0, ge=0, description="Seed of everything random.")
    threads: int = Field(2, ge=1, le=256, description="Threads, fixed so that results repeat.")
    learners: tuple[str, ...] | None = Field(None, description="Learners to try; by default all that fit the problem.")
    options: dict[str, dict[str, bool | int | float | str]] = Field(
        {}, description="Options of learners by their names, in place of those that the learners choose themselves."
    )
    ensemble: bool = Field(True, description="Whether the release may be a weighted ensemble.")
    shards: int = Field(
        0,
        ge=0,
        le=64,
        description="Parts of the rows, dealt by their keys, each of which teaches fits of its own: the release is "
        "their mean, and when a person is erased only the fits on their part are made again. 0 trains on all at once.",
    )
    class_weight: Literal["balanced"] | dict[str, Positive] | None = Field(
        None,
        description='What a row counts in training by its class: `"balanced"` (each class as much as any other), or a '
        "number per class, 1 where none is given. Probabilities are put right again; nothing is judged by it.",
    )

    personal: str | None = Field(
        None,
        description="An input of categories, or the column of role `subject`, each of whose values gets an offset of "
        "its own on the answer, as far as its rows prove one out of fold (empirical Bayes).",
    )

    @field_validator("budget")
    @classmethod
    def _budget(cls, value: str) -> str:
        return checked_budget(value)


class Limits(Section):
    """What a release may cost; `none` where not limited."""

    latency_ms: float | None = Field(None, gt=0, description="Median milliseconds for one row.")
    memory_mb: float | None = Field(None, gt=0, description="Memory of the loaded release in megabytes.")
    size_mb: float | None = Field(None, gt=0, description="Size of the release on disk in megabytes.")


class QualitySection(Section):
    """How good the product must be: the rules of the gate."""

    metric: str | None = Field(None, description="What decides; by default the task's own (log_loss, rmse).")
    minimum: dict[str, float] = Field(default=dict(), description="Least value per metric, for any release.")
    min_gain: float = Field(0.0, ge=0, description="The gain that a challenger must surely exceed.")
    tolerance: float = Field(0.02, ge=0, description="The loss that a required slice may at most surely suffer.")
    alpha: float = Field(
        0.05, gt=0, le=0.5, description="Probability of ever promoting something worse, per judge set."
    )
    slices: tuple[str, ...] = Field((), description="Columns whose values are slices that must not get worse.")
    min_rows: int = Field(
        30, ge=2, description="Judge rows (overall and per required slice) below which the gate refuses."
    )
    limits: Limits = Field(default=Limits(), description="Limits on latency, memory and size.")


class DecideSection(Section):
    """How the answer follows from the probabilities: by `threshold`, else by `metric`, else by `costs`."""

    costs: dict[str, dict[str, float]] = Field(
        default=dict(),
        description="What an answer costs, `costs.TRUTH.ANSWER`; 0 for right answers and 1 for mistakes where nothing "
        "is given. The answer is the class of least expected cost, and the metric `cost` is reckoned by it.",
    )
    metric: Literal["accuracy", "balanced_accuracy", "f1", "precision", "recall", "cost"] | None = Field(
        None, description="The metric that the threshold is chosen for, on training rows held out in turn."
    )
    minimum: dict[Literal["accuracy", "balanced_accuracy", "f1", "precision", "recall"], Share] = Field(
        default=dict(),
        description="Least values of other metrics that the threshold must keep on these rows, `minimum.recall = 0.9`.",
    )
    threshold: float | None = Field(
        None, gt=0, lt=1, description="Fixed: the second of two classes is the answer from this probability on."
    )

    @model_validator(mode="after")
    def _agree(self) -> DecideSection:
        if self.threshold is not None and (self.metric or self.minimum):
            raise ValueError("threshold is fixed, so metric and minimum have nothing to choose: give one or the other")
        if self.minimum and not self.metric:
            raise ValueError("minimum goes with metric: say which metric is made as large as possible")
        if self.metric in ("precision", "recall") and not set(self.minimum) - {self.metric}:
            other = "recall" if self.metric == "precision" else "precision"
            raise ValueError(f"{self.metric} alone is best at a useless threshold: add minimum.{other}")
        return self


class FairnessSection(Section):
    """Whom the product must not treat differently, and by how much at most."""

    columns: tuple[str, ...] | None = Field(
        None,
        description="Columns whose groups are compared; by default those of role `sensitive`. An input may be named "
        "too: models see it then.",
    )
    metric: Literal[FAIRNESS] | None = Field(  # type: ignore[valid-type]
        None, description="What is limited; by default `equalized_odds_difference`, for regress `mae_difference`."
    )
    limit: float | None = Field(
        None,
        ge=0,
        description="Largest difference (least ratio) that the gate lets pass, on the judge rows. Without it, groups "
        "are reported only.",
    )
    sure: bool = Field(
        False, description="Whether the bound of the difference must keep the limit too, not only its measured value."
    )
    positive: str | None = Field(
        None, description="The class that counts as being selected; by default the second of two."
    )
    min_rows: int = Field(30, ge=2, description="Groups of fewer rows are put together.")
    mitigation: Literal["reweight", "threshold", "group_threshold"] | None = Field(
        None,
        description="`reweight`: training rows get weights that make group and class independent. `threshold`: one "
        "threshold that keeps the limit. `group_threshold`: one per group, whose column must be an input.",
    )

    @model_validator(mode="after")
    def _agree(self) -> FairnessSection:
        if self.limit is None and self.mitigation in ("threshold", "group_threshold"):
            raise ValueError(f"mitigation {self.mitigation!r} needs a limit to keep")
        if self.limit is None and self.sure:
            raise ValueError("sure needs a limit to keep")
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise ValueError("a column is named twice")
        return self


class ChecksSection(Section):
    """Which data checks run."""

    skip: tuple[str, ...] = Field((), description="Checks to leave out; `volant checks` lists them.")
    warn: tuple[str, ...] = Field((), description="Checks whose findings only warn.")


class TlsSection(Section):
    """Encryption, where both files are named. SIGHUP makes a running service read them again."""

    certificate: str | None = Field(None, min_length=1, description="PEM file with the certificate and its chain.")
    key: str | None = Field(None, min_length=1, description="PEM file with the private key.")

    @model_validator(mode="after")
    def _both(self) -> TlsSection:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: name both files, or neither")
        return self


class WatchSection(Section):
    """When a release that answers is taken back by itself."""

    error_rate: float = Field(
        0.05,
        gt=0,
        le=1,
        description="Share of requests without a usable answer above which a new release is surely bad.",
    )
    latency_ms: float | None = Field(
        None, gt=0, description="Milliseconds in the model that 19 of 20 requests must keep to; not limited by default."
    )
    window: str = Field("60s", description="Over how long both are measured.")
    min_requests: int = Field(20, ge=1, description="Requests below which nothing is concluded.")
    probation: str = Field(
        "15m", description="How long after its promotion a champion is watched; canaries always are."
    )

    @field_validator("window", "probation")
    @classmethod
    def _duration(cls, value: str) -> str:
        parse_duration(value)
        return value


class RolloutSection(Section):
    """How what passes the gate comes to answer."""

    share: Share = Field(
        0.0, description="Share of the subjects that it answers first, as a canary; 0 makes it champion at once."
    )
    after: str = Field("30m", description="After which time without trouble a canary is promoted.")

    @field_validator("after")
    @classmethod
    def _duration(cls, value: str) -> str:
        parse_duration(value)
        return value


class ServeSection(Section):
    """How the product is served."""

    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless you say otherwise.")
    port: int = Field(8000, ge=0, le=65535, description="Port; 0 takes a free one.")
    unknown_category: Literal["flag", "refuse"] = Field(
        "flag", description="What happens to a category never seen in training: answered and flagged, or refused."
    )
    max_rows: int = Field(10_000, ge=1, description="Rows that one request may hold.")
    max_body_mb: float = Field(8.0, gt=0, description="Megabytes that one request may hold.")
    max_megapixels: float = Field(
        64.0, gt=0, le=64.0, description="Million pixels that a picture in a request may have, width times height."
    )
    key: str | None = Field(
        None,
        description="A key that may do everything, for services without a ledger of their own; `${NAME}` takes it "
        "from the environment. Other keys are made by `volant keys create`.",
    )
    workers: int = Field(0, ge=0, le=63, description="Processes that answer; 0 is one per core.")
    model_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes beside each of them that predict with slow models and for large requests; started when "
        "they are needed.",
    )
    model_memory_mb: float = Field(
        0, ge=0, description="Megabytes of memory that each of those may use; 0 is all there is."
    )
    deadline_ms: float = Field(10_000, ge=10, description="Milliseconds an answer may take before it is given up.")
    cors: tuple[str, ...] = Field(
        (),
        description='Origins whose pages may use the service (`"https://app.example.com"`, or `"*"`); none by default.',
    )
    max_log_mb: float = Field(
        4096,
        gt=0,
        description="Megabytes of predictions that may wait to be moved into the ledger; beyond, none are taken.",
    )
    log: Literal["text", "json"] = Field(
        "text", description="What the service writes to standard error: lines for people, or an object per line."
    )
    access_log: bool = Field(False, description="Whether it writes a line for every answered request, too.")
    watch: WatchSection = Field(default=WatchSection(), description="When a release is taken back by itself.")
    rollout: RolloutSection = Field(default=RolloutSection(), description="How what passes the gate comes to answer.")
    tls: TlsSection = Field(default=TlsSection(), description="Certificate and key, for HTTPS.")


class SignSection(Section):
    """Who vouches for releases."""

    key: str | None = Field(
        None,
        description="A file with the Ed25519 key that seals what passes the gate, relative to the product file; "
        "`${NAME}` takes its path from the environment. None by default.",
    )
    signers: tuple[str, ...] = Field(
        (),
        description="Public keys (`ed25519:…`). If there are any, the service runs no release but those that one of "
        "them sealed.",
    )

    @field_validator("signers")
    @classmethod
    def _public(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"ed25519:[A-Za-z0-9+/]{43}=", one) for one in value):
            raise ValueError('a public key looks like "ed25519:" and 44 letters, as `volant sign --new FILE` prints it')
        return value


class StoreSection(Section):
    """Where events and artifacts are kept."""

    url: str | None = Field(None, description="PostgreSQL URL of the ledger; by default SQLite in `.volant/`.")


class LogSection(Section):
    """How long predictions, and what was said of them, are kept. A service removes what is older once an hour."""

    keep: str | None = Field(
        None,
        description='How old a prediction may be that nobody said anything of (`"400d"`); for ever by default. Never '
        "less than `feedback.maturity`, and not while a turn or a question needs it.",
    )
    keep_evidence: str | None = Field(
        None,
        description="The same for predictions with feedback, counted from the last of it; they go together. What is "
        "gone teaches nothing in the next turn. For ever by default.",
    )
    archive: str | None = Field(
        None,
        description="A folder, beside the product file, into which all that is removed is written as Parquet first.",
    )

    @field_validator("keep", "keep_evidence")
    @classmethod
    def _age(cls, value: str | None) -> str | None:
        if value is not None:
            parse_duration(value)
        return value


class ProductFile(Section):
    """One file that describes a product."""

    version: Literal[1] = Field(description="Version of this format.")
    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$", description="Name of the product.")
    task: TaskSection = Field(description="What is predicted.")
    data: DataSection = Field(description="Where the data comes from and how it is divided.")
    columns: dict[str, ColumnSection] = Field(default=dict(), description="Overrides per column.")
    checks: ChecksSection = Field(default=ChecksSection(), description="Data checks.")
    train: TrainSection = Field(default=TrainSection(), description="Training.")
    decide: DecideSection = Field(default=DecideSection(), description="From probabilities to answers.")
    quality: QualitySection = Field(default=QualitySection(), description="Rules of the gate.")
    fairness: FairnessSection = Field(default=FairnessSection(), description="Fairness between groups of people.")
    serve: ServeSection = Field(default=ServeSection(), description="Serving.")
    feedback: FeedbackSection = Field(default=FeedbackSection(), description="Feedback.")
    improve: ImproveSection = Field(default=ImproveSection(), description="Improving.")
    drift: DriftSection = Field(default=DriftSection(), description="Watching what comes.")
    review: ReviewSection = Field(default=ReviewSection(), description="Questions to reviewers.")
    notify: NotifySection = Field(default=NotifySection(), description="Messages about what happened by itself.")
    store: StoreSection = Field(default=StoreSection(), description="Storage.")
    log: LogSection = Field(default=LogSection(), description="How long predictions and feedback are kept.")
    sign: SignSection = Field(default=SignSection(), description="Seals of releases.")

    @field_validator("version", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        if isinstance(value, bool | float):  # both can equal 1
            raise ValueError("version is a whole number, such as 1")
        return value

    @model_validator(mode="after")
    def _sharded(self) -> ProductFile:
        if self.train.shards == 1:
            raise ValueError("train.shards is 0, or at least 2")
        if self.train.shards and self.improve.learning != "scratch":
            raise ValueError('train.shards goes with improve.learning = "scratch": shards are fitted anew or kept')
        if self.train.shards and self.data.split.by == "time":
            raise ValueError("train.shards deals rows by their keys, so data.split.by cannot be time")
        return self


@dataclass(frozen=True)
class Product:
    """A product file and the folder it lies in."""

    folder: Path
    file: ProductFile

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def home(self) -> Path:
        """Where volant keeps everything about the product."""
        return self.folder / ".volant"

    @property
    def config_hash(self) -> str:
        """Digest of the whole configuration with its defaults; stands on every record."""
        return digest(self.file.model_dump(mode="json"))


def json_schema() -> dict[str, Any]:
    """JSON Schema of the product file, for editors."""
    schema = ProductFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "volant.toml"}


def read(folder: Path) -> Product:
    """Read `volant.toml` in `folder` and report everything that is wrong with it at once.

    Raises:
        BadInput: codes `product-file-missing`, `-syntax`, `-version`, `-invalid`.
    """
    path = folder / FILE
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(
            f"there is no {FILE} here",
            code="product-file-missing",
            where=str(folder),
            fix=f"run `volant new NAME --data FILE --target COLUMN`, or point to the folder that holds {FILE} with -C",
        ) from None
    except (UnicodeDecodeError, IsADirectoryError) as cause:
        raise BadInput(
            f"{FILE} is not a UTF-8 text file", code="product-file-syntax", where=str(path), fix="save it as UTF-8"
        ) from cause
    return Product(folder.resolve(), parse(text, str(path)))


def parse(text: str, where: str = FILE) -> ProductFile:
    """Parse the text of a product file; `where` names it in errors."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as cause:
        raise BadInput(
            f"{FILE} is not valid TOML: {cause}", code="product-file-syntax", where=where, fix="see https://toml.io"
        ) from cause
    _refuse_unknown_version(raw, where)
    lines = locate(text)
    try:
        file = ProductFile.model_validate(_frozen(raw))
    except ValidationError as bad:
        troubles = [_trouble(error, lines, where) for error in bad.errors(include_url=False)]
        raise _invalid(troubles, where) from None
    troubles = [*_wrong_names(file, lines, where), *_wrong_metrics(file, lines, where)]
    troubles += [*_wrong_roles(file, lines, where), *_wrong_interval(file, lines, where)]
    if troubles:
        raise _invalid(troubles, where)
    return file


def _frozen(value: Any) -> Any:
    """The parsed text with its arrays as the tuples that the sections hold."""
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _invalid(troubles: list[Trouble], where: str) -> VolantError:
    number = "one problem" if len(troubles) == 1 else f"{len(troubles)} problems"
    return BadInput(f"{where} has {number}", code="product-file-invalid", troubles=troubles)


def _refuse_unknown_version(raw: Mapping[str, Any], where: str) -> None:
    version = raw.get("version")
    if isinstance(version, int) and version > VERSION:
        raise BadInput(
            f"this volant reads versions up to {VERSION} of {FILE}",
            code="product-file-version",
            where=f"{where}, version",
            got=str(version),
            fix="upgrade volant",
        )


def locate(text: str) -> dict[tuple[str, ...], int]:
    """The line (from 1) on which each key and table of a TOML text stands."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*(.+?)\s*\]+\s*(#.*)?$", line)
        if header and "=" not in line.split("]")[0]:
            table = _dotted(header[1])
            found.setdefault(table, number)
            continue
        key = re.match(r"""\s*((?:"[^"]*"|'[^']*'|[\w.-]|\s*\.\s*)+?)\s*=""", line)
        if key:
            found.setdefault(table + _dotted(key[1]), number)
    return found


def _dotted(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in re.findall(r""""[^"]*"|'[^']*'|[^.]+""", text))


def _place(path: tuple[str, ...], lines: Mapping[tuple[str, ...], int], where: str) -> str:
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return f"{where}, line {lines[path[:length]]}, {'.'.join(path)}"
    return f"{where}, {'.'.join(path)}"


_WORDS: dict[str, tuple[str, str]] = {
    "tuple_type": ("input should be an array", 'write it in brackets: ["…", "…"]'),
    "model_type": ("input should be a table", "write it in braces: { key = … }"),
    "dict_type": ("input should be a table", "write it in braces: { key = … }"),
    "string_pattern_mismatch": (
        "that is no name for a product",
        "begin with a letter; use letters, digits, - and _; at most 64 characters",
    ),
}
"""What pydantic says in the words of Python, said in those of TOML, and how to mend it."""


def _trouble(error: Any, lines: Mapping[tuple[str, ...], int], where: str) -> Trouble:
    path = tuple(part for part in map(str, error["loc"]) if not re.fullmatch(r"(literal|dict)?\[.*\]", part))
    place = _place(path, lines, where)
    if error["type"] == "extra_forbidden":
        known = _keys_at(path[:-1])
        return Trouble(f"unknown key {path[-1]!r}", place, path[-1], known, None, nearest(path[-1], known))
    if error["type"] == "missing":
        return Trouble(f"the key {path[-1]!r} is missing", place, fix=f"add {path[-1]} = …")
    expected = error.get("ctx", {}).get("expected")
    value = error.get("input")
    choices = tuple(re.findall(r"'([^']*)'", expected)) if expected else ()
    meant = nearest(value, choices) if isinstance(value, str) else None
    message = str(error["msg"]).removeprefix("Value error, ")
    what, fix = _WORDS.get(error["type"], (message[:1].lower() + message[1:], None))
    return Trouble(what, place, _got(value), choices, fix, meant)


def _got(value: Any) -> str:
    if isinstance(value, bool | int | float | str):
        return f"{type(value).__name__} {value!r}"
    words = {"dict": "a table", "tuple": "an array"}
    return words.get(type(value).__name__, type(value).__name__)


def _keys_at(path: tuple[str, ...]) -> tuple[str, ...]:
    model: Any = ProductFile
    for part in path:
        if model is ProductFile and part == "columns":
            model = {"": ColumnSection}
            continue
        model = model[""] if isinstance(model, dict) else _section(model, part)
        if model is None:
            return ()
    return tuple(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else ()


def _section(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    field = model.model_fields.get(name)
    kind = field.annotation if field else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _wrong_names(file: ProductFile, lines: Mapping[tuple[str, ...], int], where: str) -> list[Trouble]:
    named: list[tuple[tuple[str, ...], str, str]] = [(("task", "type"), "tasks", file.task.type)]
    named += [(("columns", c, "type"), "columns", s.type) for c, s in file.columns.items() if s.type]
    named += [(("train", "learners"), "learners", name) for name in file.train.learners or ()]
    named += [(("train", "options", name), "learners", name) for name in file.train.options]
    named += [(("checks", "skip"), "checks", name) for name in file.checks.skip]
    named += [(("checks", "warn"), "checks", name) for name in file.checks.warn]
    troubles = []
    for path, kind, name in named:
        known = plugins.names(kind)
        if name not in known:
            what = f"there is no plugin {name!r} among the {kind}"
            troubles.append(Trouble(what, _place(path, lines, where), name, known, None, nearest(name, known)))
    return troubles


ONCE = ("subject", "time", "weight")
"""Roles that one column at most may have."""


def _wrong_roles(file: ProductFile, lines: Mapping[tuple[str, ...], int], where: str) -> Iterator[Trouble]:
    """Roles that contradict `task.target` or each other."""
    target, first = file.task.target, dict[str, str]()
    for name, section in file.columns.items():
        place = _place(("columns", name, "role"), lines, where)
        if (section.role == "target") != (name == target) and section.role is not None:
            fix = "take the role away, or name this column in task.target"
            yield Trouble(f"task.target names {target!r} as the target", place, section.role, (), fix)
        elif section.role in ONCE and first.setdefault(section.role, name) != name:
            what = f"{first[section.role]!r} has the role {section.role} already, and one column at most may have it"
            yield Trouble(what, place, section.role, (), "give one of them another role, such as ignored")


def _wrong_metrics(file: ProductFile, lines: Mapping[tuple[str, ...], int], where: str) -> Iterator[Trouble]:
    """Metrics that the task does not have; the task is loaded only if there are any to look up."""
    named: list[tuple[tuple[str, ...], str]] = []
    if file.quality.metric is not None:
        named.append((("quality", "metric"), file.quality.metric))
    named += [(("quality", "minimum", name), name) for name in file.quality.minimum]
    if not named or file.task.type not in plugins.names("tasks"):
        return
    known = tuple(plugins.load("tasks", file.task.type).metrics)
    for path, name in named:
        if name not in known:
            what = f"the task {file.task.type} has no metric {name!r}"
            yield Trouble(what, _place(path, lines, where), name, known, None, nearest(name, known))


def _wrong_interval(file: ProductFile, lines: Mapping[tuple[str, ...], int], where: str) -> Iterator[Trouble]:
    """Intervals that the task cannot give, and metrics of intervals where none are given or where one would decide."""
    asked, decisive = file.task.interval is not None, file.quality.metric or ""
    named = {*file.quality.minimum, decisive} - {""}
    if not (asked or named) or file.task.type not in plugins.names("tasks"):
        return
    task = plugins.load("tasks", file.task.type)
    if asked and not hasattr(task, "bounds"):
        what = f"the task {task.name} gives no intervals"
        yield Trouble(what, _place(("task", "interval"), lines, where), fix="take the key away")
    optional = {name for name in named if name in task.metrics and task.metrics[name].needs}
    for name in sorted(optional & set(file.quality.minimum)) if not asked else ():
        place = _place(("quality", "minimum", name), lines, where)
        yield Trouble(f"{name} judges intervals, and none are given", place, name, (), "add task.interval = 0.9")
    if decisive in optional:
        what = f"{decisive} judges intervals alone: it can be a minimum, not what decides"
        yield Trouble(what, _place(("quality", "metric"), lines, where), decisive, (), "name another metric")
