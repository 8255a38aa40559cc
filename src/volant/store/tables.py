"""The tables of the ledger. Migrations create them; a test holds both to the same schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

SCHEMAS = ("0001", "0002", "0003", "0004")
"""The schema versions that this volant knows, oldest first; the last one is what it works with."""


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a fact of type {type(value).__name__} is not plain data")


_encoder = msgspec.json.Encoder(enc_hook=_plain)


def as_stored(value: Any) -> Any:
    """Plain data as it comes back from the store."""
    return msgspec.json.decode(_encoder.encode(value))


class Plain(TypeDecorator[Any]):
    """Plain data as JSON text: the same characters in every database. NaN and infinity become null."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else _encoder.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else msgspec.json.decode(value)


metadata = MetaData()
Number = BigInteger().with_variant(Integer(), "sqlite")


def _text(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=null)


def _facts() -> Column[Any]:
    return Column("facts", Plain, nullable=False)


def _seq() -> Column[Any]:
    return Column("seq", Number, primary_key=True, autoincrement=True)


prediction = Table(
    "prediction",
    metadata,
    Column("id", Text, primary_key=True),
    _text("release"),
    Column("deployment", BigInteger, nullable=True),
    _text("policy"),
    Column("propensity", Double, nullable=False),
    Column("audit", Boolean, nullable=False),
    Column("slice_keys", Plain, nullable=False),
    _text("subject", null=True),
    _text("config_hash"),
    Column("input", Plain, nullable=False),
    Column("output", Plain, nullable=False),
    Column("latency_us", BigInteger, nullable=False),
    _text("at"),
    Index("prediction_subject", "subject"),
)

impression = Table(
    "impression",
    metadata,
    _text("prediction_id"),
    _text("item"),
    Column("position", Integer, nullable=False),
    Column("propensity", Double, nullable=False),
    PrimaryKeyConstraint("prediction_id", "position"),
)

feedback = Table(
    "feedback",
    metadata,
    _seq(),
    _text("id"),
    _text("prediction_id"),
    _text("target"),
    _text("kind"),
    Column("value", Plain, nullable=True),
    _text("actor"),
    _text("source"),
    _text("event_at", null=True),
    _text("received_at"),
    _text("idempotency_key", null=True),
    _text("supersedes", null=True),
    Column("valid", Boolean, nullable=False),
    _text("rationale", null=True),
    _text("api_key", null=True),
    UniqueConstraint("id", name="feedback_id"),
    UniqueConstraint("source", "idempotency_key", name="feedback_key"),
    Index("feedback_voice", "prediction_id", "target", "kind", "actor"),
    Index("feedback_supersedes", "supersedes"),
    sqlite_autoincrement=True,
)

actor = Table(
    "actor",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alpha", Double, nullable=False),
    Column("beta", Double, nullable=False),
    _text("updated_at"),
    _facts(),
)

label_view = Table(
    "label_view",
    metadata,
    _seq(),
    _text("version"),
    _text("rule"),
    _text("at"),
    _facts(),
    UniqueConstraint("version", name="label_view_version"),
    sqlite_autoincrement=True,
)

dataset = Table(
    "dataset",
    metadata,
    _seq(),
    _text("digest"),
    Column("rows", BigInteger, nullable=False),
    _text("at"),
    _facts(),
    UniqueConstraint("digest", name="dataset_digest"),
    sqlite_autoincrement=True,
)

dataset_member = Table(
    "dataset_member",
    metadata,
    _text("dataset"),
    Column("row", BigInteger, nullable=False),
    _text("subject"),
    PrimaryKeyConstraint("dataset", "row"),
    Index("dataset_member_subject", "subject"),
)

run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    _text("dataset"),
    _text("config_hash"),
    _text("budget"),
    _text("status"),
    _text("started_at"),
    _text("finished_at", null=True),
    _facts(),
)

candidate = Table(
    "candidate",
    metadata,
    Column("digest", Text, primary_key=True),
    _text("run", null=True),
    _text("dataset", null=True),
    Column("contract", Integer, nullable=False),
    _text("at"),
    _facts(),
)

release = Table(
    "release",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("contract", Integer, nullable=False),
    _text("at"),
)

evaluation = Table(
    "evaluation",
    metadata,
    _seq(),
    _text("candidate"),
    _text("dataset"),
    _text("part"),
    _text("at"),
    _facts(),
    Index("evaluation_candidate", "candidate"),
    sqlite_autoincrement=True,
)

verdict = Table(
    "verdict",
    metadata,
    _seq(),
    _text("challenger"),
    _text("champion", null=True),
    Column("passed", Boolean, nullable=False),
    _text("judge"),
    Column("turn", Integer, nullable=False),
    Column("alpha", Double, nullable=False),
    Column("reasons", Plain, nullable=False),
    Column("comparisons", Plain, nullable=False),
    _text("at"),
    Column("gaps", Plain, nullable=True),
    _text("run", null=True),
    Index("verdict_judge", "judge"),
    sqlite_autoincrement=True,
)

deployment_event = Table(
    "deployment_event",
    metadata,
    _seq(),
    _text("at"),
    _text("kind"),
    _text("release"),
    _text("previous", null=True),
    _text("reason"),
    Column("contract", Integer, nullable=False),
    _facts(),
    sqlite_autoincrement=True,
)

erasure = Table(
    "erasure",
    metadata,
    _seq(),
    _text("subject_hash"),
    _text("at"),
    _facts(),
    sqlite_autoincrement=True,
)

question = Table(
    "question",
    metadata,
    _seq(),
    _text("prediction_id"),
    _text("asked_at"),
    _text("why"),
    Column("score", Double, nullable=False),
    Column("propensity", Double, nullable=False),
    _text("state"),
    _text("closed_at", null=True),
    _facts(),
    UniqueConstraint("prediction_id", name="question_prediction"),
    Index("question_state", "state"),
    sqlite_autoincrement=True,
)

alarm = Table(
    "alarm",
    metadata,
    _seq(),
    _text("at"),
    _text("kind"),
    _text("what"),
    Column("effect", Double, nullable=False),
    Column("low", Double, nullable=False),
    Column("high", Double, nullable=False),
    Column("level", Double, nullable=False),
    _text("action"),
    _facts(),
    sqlite_autoincrement=True,
)

turn = Table(
    "turn",
    metadata,
    Column("id", Text, primary_key=True),
    _text("begun_at"),
    _text("ended_at", null=True),
    _text("why"),
    _text("step"),
    _text("outcome", null=True),
    _facts(),
    Index("turn_begun", "begun_at"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    _text("name"),
    Column("roles", Plain, nullable=False),
    _text("salt"),
    _text("hash"),
    Column("rate", Double, nullable=True),
    Column("burst", BigInteger, nullable=True),
    Column("quota", BigInteger, nullable=True),
    _text("period", null=True),
    _text("created_at"),
    _text("expires_at", null=True),
    _text("revoked_at", null=True),
    _text("replaces", null=True),
)

audit = Table(
    "audit",
    metadata,
    _seq(),
    _text("at"),
    _text("actor"),
    _text("action"),
    _text("subject"),
    _facts(),
    _text("chain"),
    sqlite_autoincrement=True,
)

shadow = Table(
    "shadow",
    metadata,
    _text("prediction_id"),
    _text("release"),
    Column("deployment", BigInteger, nullable=True),
    Column("output", Plain, nullable=False),
    Column("latency_us", BigInteger, nullable=False),
    _text("at"),
    PrimaryKeyConstraint("prediction_id", "release"),
)

segment = Table(
    "segment",
    metadata,
    Column("name", Text, primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("cut", BigInteger, nullable=False),
)
