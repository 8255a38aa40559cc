"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _events()
    _making()
    _deciding()
    _keeping()


def _text(*names: str, null: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), nullable=null) for name in names]


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _real(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Double(), nullable=False)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _sequence(name: str, *columns: Any) -> None:
    """A table whose rows are numbered in their order; numbers are never given twice."""
    seq = sa.Column("seq", NUMBER, primary_key=True, autoincrement=True, nullable=False)
    op.create_table(name, seq, *columns, sqlite_autoincrement=True)


def _events() -> None:
    op.create_table(
        "prediction",
        *_text("id", "release", "policy", "slice_keys", "config_hash", "input", "output", "at"),
        *_text("subject", null=True),
        sa.Column("deployment", sa.BigInteger(), nullable=True),
        _real("propensity"),
        _flag("audit"),
        _number("latency_us"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("prediction_subject", "prediction", ["subject"])
    op.create_table(
        "impression",
        *_text("prediction_id", "item"),
        _count("position"),
        _real("propensity"),
        sa.PrimaryKeyConstraint("prediction_id", "position"),
    )
    _sequence(
        "feedback",
        *_text("id", "prediction_id", "target", "kind", "actor", "source", "received_at"),
        *_text("value", "event_at", "idempotency_key", "supersedes", null=True),
        _flag("valid"),
        sa.UniqueConstraint("id", name="feedback_id"),
        sa.UniqueConstraint("source", "idempotency_key", name="feedback_key"),
    )
    op.create_index("feedback_supersedes", "feedback", ["supersedes"])
    op.create_index("feedback_voice", "feedback", ["prediction_id", "target", "kind", "actor"])
    op.create_table(
        "actor", *_text("id", "updated_at", "facts"), _real("alpha"), _real("beta"), sa.PrimaryKeyConstraint("id")
    )


def _making() -> None:
    unique = sa.UniqueConstraint("digest", name="dataset_digest")
    _sequence("dataset", *_text("digest", "at", "facts"), _number("rows"), unique)
    op.create_table(
        "dataset_member", *_text("dataset", "subject"), _number("row"), sa.PrimaryKeyConstraint("dataset", "row")
    )
    op.create_index("dataset_member_subject", "dataset_member", ["subject"])
    op.create_table(
        "run",
        *_text("id", "dataset", "config_hash", "budget", "status", "started_at", "facts"),
        *_text("finished_at", null=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "candidate",
        *_text("digest", "at", "facts"),
        *_text("run", "dataset", null=True),
        _count("contract"),
        sa.PrimaryKeyConstraint("digest"),
    )


def _deciding() -> None:
    _sequence("evaluation", *_text("candidate", "dataset", "part", "at", "facts"))
    op.create_index("evaluation_candidate", "evaluation", ["candidate"])
    _sequence(
        "verdict",
        *_text("challenger", "judge", "reasons", "comparisons", "at"),
        *_text("champion", null=True),
        _flag("passed"),
        _count("turn"),
        _real("alpha"),
    )
    op.create_index("verdict_judge", "verdict", ["judge"])
    op.create_table("release", *_text("digest", "at"), _count("contract"), sa.PrimaryKeyConstraint("digest"))
    _sequence(
        "deployment_event",
        *_text("at", "kind", "release", "reason", "facts"),
        *_text("previous", null=True),
        _count("contract"),
    )
    unique = sa.UniqueConstraint("version", name="label_view_version")
    _sequence("label_view", *_text("version", "rule", "at", "facts"), unique)


def _keeping() -> None:
    _sequence("erasure", *_text("subject_hash", "at", "facts"))
    op.create_table("segment", *_text("name"), _number("offset"), _number("cut"), sa.PrimaryKeyConstraint("name"))
