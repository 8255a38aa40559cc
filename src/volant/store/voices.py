"""Voices: what every actor says now about every prediction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Select, and_, func, select

from volant.store import tables
from volant.store.records import PredictionRecord, Voice

_table = tables.feedback
_VOICE = ("seq", "id", "kind", "value", "actor", "source", "event_at", "received_at", "target")


def current_voices(after_seq: int) -> Select[Any]:
    """The latest row of each (prediction, target, kind, actor) that is valid and not superseded by a valid one."""
    heir = _table.alias("heir")
    superseded = select(heir.c.seq).where(and_(heir.c.supersedes == _table.c.id, heir.c.valid)).exists()
    voice = (_table.c.prediction_id, _table.c.target, _table.c.kind, _table.c.actor)
    counts = and_(_table.c.seq > after_seq, _table.c.valid, ~superseded)
    latest = select(func.max(_table.c.seq)).where(counts).group_by(*voice)
    of_prediction = [column.label(f"prediction_{column.name}") for column in tables.prediction.c]
    joined = _table.join(tables.prediction, tables.prediction.c.id == _table.c.prediction_id)
    query = select(*(c for c in _table.c if c.name != "prediction_id"), *of_prediction).select_from(joined)
    return query.where(_table.c.seq.in_(latest)).order_by(_table.c.seq)


def voice_of(row: Row[Any]) -> Voice:
    """A row of `current_voices`."""
    of_prediction = {c.name: getattr(row, f"prediction_{c.name}") for c in tables.prediction.c}
    said = {name: getattr(row, name) for name in _VOICE}
    return Voice(prediction=PredictionRecord(**of_prediction), **said)
