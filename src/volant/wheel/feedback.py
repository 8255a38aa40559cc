"""Feedback from files and to files: all of it or nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from volant.core.ids import digest
from volant.core.records import Feedback
from volant.data.sources import read_source
from volant.errors import BadInput, Trouble
from volant.store import Receipt
from volant.store.records import FeedbackRow
from volant.store.validity import Which
from volant.wheel.context import Context
from volant.wheel.predict import need_champion, whole_file, writer_of
from volant.wheel.results import ExportResult, ImportResult

_BOTH_WAYS = ("prediction_id", "kind", "value", "actor", "source", "event_at", "idempotency_key", "rationale")
COLUMNS = (*_BOTH_WAYS, "supersedes", "valid")
NEEDED = ("prediction_id", "value")
MOST_TROUBLES = 20
_VALID = {"true": True, "1": True, "yes": True, "": True, "none": True, "false": False, "0": False, "no": False}


def import_feedback(context: Context, path: Path) -> ImportResult:
    """Import a CSV, Parquet, JSON Lines or Excel file with the columns of `COLUMNS`; of erased actors nothing.

    Raises:
        BadInput: codes `feedback-invalid`, `prediction-unknown`, `source-…`; nothing is imported then.
    """
    source = read_source(str(path), folder=Path.cwd())
    missing = [name for name in NEEDED if name not in source.names]
    unknown = [name for name in source.names if name not in COLUMNS]
    if missing or unknown:
        troubles = [Trouble(f"the column {n!r} is missing", str(path.name), choices=COLUMNS) for n in missing]
        troubles += [Trouble(f"unknown column {n!r}", str(path.name), n, COLUMNS) for n in unknown]
        raise BadInput("the file is not feedback", code="feedback-invalid", troubles=troubles)
    rows = [row for chunk in source.chunks() for row in chunk.to_pylist()]
    gone = context.store.tombstones()
    kept = [(number, row) for number, row in enumerate(rows) if not gone.holds(str(row.get("actor") or "import"))]
    receipts = _added(context, [number for number, _ in kept], list(_items(context, kept)))
    duplicates = sum(r.duplicate for r in receipts)
    return ImportResult(len(receipts) - duplicates, duplicates, erased=len(rows) - len(kept))


def _added(context: Context, numbers: Sequence[int], items: list[Feedback]) -> Sequence[Receipt]:
    """What the store says to it, with its items called by their rows."""

    def row_of(place: re.Match[str]) -> str:
        return f"row {numbers[int(place[1])]}"

    try:
        return context.store.add_feedback(items)
    except BadInput as bad:
        troubles = [replace(t, where=re.sub(r"^items\[(\d+)\]", row_of, t.where)) for t in bad.troubles if t.where]
        if len(troubles) < len(bad.troubles):
            raise
        raise BadInput(bad.what, code=bad.code, troubles=troubles) from None


def _items(context: Context, rows: list[tuple[int, dict[str, Any]]]) -> Iterator[Feedback]:
    classes = need_champion(context).signature.options
    troubles: list[Trouble] = []
    items: list[Feedback] = []
    keys: dict[tuple[Any, str], tuple[int, dict[str, Any]]] = {}
    for number, row in rows:
        kind = row.get("kind") or "correction"
        try:
            value = context.task.parse_feedback(kind, row.get("value"), classes)
        except BadInput as bad:
            troubles += [Trouble(t.what, f"row {number}", t.got, t.choices, t.fix) for t in bad.troubles]
            continue
        valid = _VALID.get(str(row.get("valid", "")).strip().casefold())
        if valid is None:
            troubles.append(Trouble("valid is true or false", f"row {number}", choices=("true", "false")))
            continue
        if not row.get("prediction_id"):
            troubles.append(Trouble("the prediction_id is missing", f"row {number}"))
            continue
        key = str(row.get("idempotency_key") or _own_key(row, kind))
        first = keys.setdefault((row.get("source"), key), (number, row))
        if first[1] != row:  # a file that says both that something counts and that it does not contradicts itself
            what = f"row {first[0]} has the same idempotency_key and says something else"
            troubles.append(Trouble(what, f"row {number}", fix="give each answer a key of its own, or none"))
            continue
        given = {k: str(row[k]) for k in ("event_at", "supersedes", "rationale") if row.get(k)}
        items.append(
            Feedback(
                prediction_id=str(row["prediction_id"]),
                kind=kind,
                value=value,
                actor=str(row.get("actor") or "import"),
                source=str(row.get("source") or "user"),
                idempotency_key=key,
                target=context.product.file.task.target,
                valid=valid,
                **given,
            )
        )
    if troubles:
        raise BadInput(
            f"{len(troubles)} {'row is' if len(troubles) == 1 else 'rows are'} not valid feedback",
            code="feedback-invalid",
            troubles=troubles[:MOST_TROUBLES],
        )
    yield from items


def _own_key(row: dict[str, Any], kind: str) -> str:
    """A key of the row's own content, so that importing a file twice adds nothing."""
    return "import-" + digest([kind, *[str(row.get(name)) for name in COLUMNS if name != "valid"]])[:32]


def export_feedback(context: Context, path: Path) -> ExportResult:
    """Write all feedback that still counts, in the order it came in; `import_feedback` takes the file back.

    What was withdrawn or superseded is left out: ids are given anew, so nothing would keep it from counting again.

    Raises:
        BadInput: code `usage`: a format that is not known, or no such folder.
    """
    write = writer_of(path)
    names = _BOTH_WAYS
    rows = [row.record() for row in context.store.feedback_rows() if row.valid]
    past = {row["supersedes"] for row in rows}
    texts = [{name: _text(row[name]) for name in names} for row in rows if row["id"] not in past]
    with whole_file(path) as stream:
        sink = write(stream)
        sink.add(pa.Table.from_pylist(texts, pa.schema([(name, pa.string()) for name in names])))
        sink.close()
    return ExportResult(len(texts), path)


def _text(value: Any) -> str | None:
    """A value as a cell of a file that `import_feedback` reads back."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else str(value)


def find_feedback(context: Context, which: Which, most: int | None = None) -> list[FeedbackRow]:
    """The feedback that is meant, withdrawn or not, in the order it came in.

    Raises:
        BadInput: code `usage`: a time is none.
    """
    for name in ("since", "before"):
        try:
            datetime.fromisoformat(getattr(which, name) or "2026-01-01")
        except ValueError:
            fix = "write it as 2026-01-31 or 2026-01-31T12:00:00Z"
            raise BadInput("this is no time", code="usage", where=f"--{name}", got="text", fix=fix) from None
    return context.store.find_feedback(which, most)


def mark_feedback(context: Context, which: Which, *, valid: bool, reason: str = "") -> int:
    """Withdraw the feedback that is meant, or let it count again; how many pieces that changed.

    The next label view is made without it. What was learned from it stays until the next turn.

    Raises:
        BadInput: code `usage`: nothing says which; code `feedback-invalid`: there is no such feedback.
    """
    if which == Which():
        fix = "name ids, or choose by --actor, --prediction, --source, --since or --before"
        raise BadInput("it is not said which feedback is meant", code="usage", fix=fix)
    found = find_feedback(context, which)
    missing = set(which.ids) - {row.id for row in found}
    if missing or not found:
        got = min(missing, default=None)
        raise BadInput("there is no such feedback", code="feedback-invalid", where="id", got=got and got[:64])
    return context.store.mark_feedback([row.id for row in found], valid=valid, reason=reason)
