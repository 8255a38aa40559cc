"""Retention by rule: what is older than the product file allows is archived, if that is wished, and removed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from volant.core.ids import uuid7
from volant.core.product import parse_duration
from volant.store import disk
from volant.store.part import iso
from volant.store.records import PredictionRecord
from volant.wheel.context import Context
from volant.wheel.export_log import SCHEMA, table_of
from volant.wheel.results import Retained

Find = Callable[[str, str], list[PredictionRecord]]
"""Predictions older than a time, those after an id: one lot."""


def retain(context: Context, *, dry_run: bool = False) -> Retained:
    """Remove what is older than `log.keep` and `log.keep_evidence` allow; nothing while a turn is open.

    Where silence means something (`feedback.silence`), predictions that nobody spoke of are evidence, too. A lot is on
    disk in the archive before it goes. With `dry_run` everything stays, and is counted.
    """
    rules, store = context.product.file.log, context.store
    if rules.keep is None and rules.keep_evidence is None:
        return Retained(0, 0, not dry_run, "the product file names no age: everything is kept for ever")
    if store.turn_is_open():
        return Retained(0, 0, not dry_run, "a turn is open, and what it works with must stay")
    store.index_segments()
    quiet_is_evidence = context.product.file.feedback.silence is not None
    quiet = rules.keep_evidence if quiet_is_evidence else rules.keep
    predictions = feedback = 0
    for age, find, evidence in (
        (quiet, store.old_predictions, False),
        (rules.keep_evidence, store.old_evidence, True),
    ):
        for lot in _lots(find, _before(context, age)) if age is not None else ():
            done = _counted(context, lot) if dry_run else _let_go(context, lot, evidence=evidence)
            predictions, feedback = predictions + done[0], feedback + done[1]
    return Retained(predictions, feedback, not dry_run)


def _let_go(context: Context, lot: Sequence[PredictionRecord], *, evidence: bool) -> tuple[int, int]:
    ids = [one.id for one in lot]
    _archive(context, lot, ids)
    done = context.store.let_go(ids, evidence=evidence)
    return done["prediction"], done["feedback"]


def _counted(context: Context, lot: Sequence[PredictionRecord]) -> tuple[int, int]:
    return len(lot), len(context.store.feedback_on([one.id for one in lot]))


def _before(context: Context, age: str) -> str:
    """The time before which things may go: never inside the window in which labels still come."""
    file = context.product.file.feedback
    seconds = max(parse_duration(one) for one in (age, file.maturity))
    return iso(context.clock.now() - timedelta(seconds=seconds))


def _lots(find: Find, before: str) -> Iterator[list[PredictionRecord]]:
    after = ""
    while lot := find(before, after):
        yield lot
        after = lot[-1].id


def _archive(context: Context, lot: Sequence[PredictionRecord], ids: Sequence[str]) -> None:
    """Write predictions and what was said of them, each into a file of its own, and see that they are on disk."""
    named = context.product.file.log.archive
    if named is None:
        return
    folder = context.product.folder / named
    folder.mkdir(parents=True, exist_ok=True)
    name = uuid7()
    _write(folder / f"predictions-{name}.parquet", table_of(lot).cast(SCHEMA))
    said = context.store.feedback_on(ids)
    if said:
        rows = [{**one, "value": json.dumps(one["value"], ensure_ascii=False)} for one in said]
        _write(folder / f"feedback-{name}.parquet", pa.Table.from_pylist(rows))


def _write(path: Path, table: pa.Table) -> None:
    fresh = path.with_name(f".{path.name}")
    pq.write_table(table, fresh, compression="zstd")
    disk.sync_path(fresh)
    fresh.replace(path)
    disk.sync_path(path.parent)
