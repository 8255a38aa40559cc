"""Reasons that people give, questions to reviewers, alarms, and turns of the wheel that can be resumed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _text(*names: str, null: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=null) for name in names]


def _real(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Double(), nullable=False) for name in names]


def _seq() -> sa.Column[int]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("seq", number, primary_key=True, autoincrement=True, nullable=False)


def upgrade() -> None:
    op.add_column("feedback", sa.Column("rationale", sa.Text(), nullable=True))
    op.add_column("verdict", sa.Column("run", sa.Text(), nullable=True))
    op.create_table(
        "question",
        _seq(),
        *_text("prediction_id", "asked_at", "why"),
        *_real("score", "propensity"),
        *_text("state"),
        *_text("closed_at", null=True),
        *_text("facts"),
        sa.UniqueConstraint("prediction_id", name="question_prediction"),
        sqlite_autoincrement=True,
    )
    op.create_index("question_state", "question", ["state"])
    op.create_table(
        "alarm",
        _seq(),
        *_text("at", "kind", "what"),
        *_real("effect", "low", "high", "level"),
        *_text("action", "facts"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "turn",
        sa.Column("id", sa.Text(), primary_key=True, nullable=False),
        *_text("begun_at"),
        *_text("ended_at", null=True),
        *_text("why", "step"),
        *_text("outcome", null=True),
        *_text("facts"),
    )
    op.create_index("turn_begun", "turn", ["begun_at"])
