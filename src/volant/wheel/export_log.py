"""The log of predictions as Parquet, for whatever else wants to read it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from volant.errors import BadInput
from volant.store.records import PredictionRecord
from volant.wheel.context import Context
from volant.wheel.results import ExportedLog

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("release", pa.string()),
        ("deployment", pa.int64()),
        ("policy", pa.string()),
        ("propensity", pa.float64()),
        ("audit", pa.bool_()),
        ("subject", pa.string()),
        ("config_hash", pa.string()),
        ("latency_us", pa.int64()),
        ("input", pa.string()),
        ("output", pa.string()),
        ("slice_keys", pa.string()),
    ]
)
"""The columns. What came in, what went out and the keys of slices are JSON, as they were logged."""

_JSON = ("input", "output", "slice_keys")


def export_log(context: Context, out: Path, *, since: str | None = None) -> ExportedLog:
    """Write all predictions, or those from a time on, into one Parquet file. The file is there whole or not at all.

    Raises:
        BadInput: code `usage`: the time is none, or the file's folder does not exist.
    """
    if not out.parent.is_dir():
        raise BadInput("there is no such folder", code="usage", where=str(out.parent), fix="make it, or name another")
    fresh, rows = out.with_name(f".{out.name}.{os.getpid()}"), 0
    try:
        with pq.ParquetWriter(fresh, SCHEMA, compression="zstd") as writer:
            for lot in context.store.each_prediction(_time(since)):
                writer.write_table(table_of(lot))
                rows += len(lot)
        fresh.replace(out)
    finally:
        fresh.unlink(missing_ok=True)
    context.store.note("log.export", out.name, {"rows": rows})
    return ExportedLog(str(out), rows)


def _time(text: str | None) -> str:
    if text is None:
        return ""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fix = 'write it like "2026-01-31" or "2026-01-31T12:00:00+00:00"'
        raise BadInput("that is no time", code="usage", where="--since", got=text, fix=fix) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def table_of(lot: Sequence[PredictionRecord]) -> pa.Table:
    """Predictions as a table of `SCHEMA`."""
    columns = {
        name: [
            json.dumps(getattr(one, name), ensure_ascii=False) if name in _JSON else getattr(one, name) for one in lot
        ]
        for name in SCHEMA.names
        if name != "at"
    }
    columns["at"] = [datetime.fromisoformat(one.at) for one in lot]
    return pa.table(
        {name: pa.array(columns[name], type=SCHEMA.field(name).type) for name in SCHEMA.names}, schema=SCHEMA
    )
