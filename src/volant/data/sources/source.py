"""A source of raw rows: names, one schema, and chunks that can be read again and again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from volant.columns.missing import null_missing, tokens
from volant.core.ids import digest
from volant.errors import BadInput, Trouble

MOST_ROWS = 65_536
MOST_EVIDENCE = 20
SAMPLE_CHUNKS = 2
REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class Hint:
    """What a source itself knows of a column: its type, its role, and why."""

    type: str
    role: str
    reason: str


@dataclass
class Source:
    """Raw rows in their order, in chunks of at most 65,536 rows that all have the same schema.

    Cells are texts in CSV, and have the types of the source elsewhere; texts that mean missing are null.
    `notes` hold what was found out on the way (format, encoding, delimiter, …) and are complete after reading.
    `beside` is the folder that paths in cells are relative to. `hints` tell of columns what the source knows of
    them, `answer` which one is to be predicted, and `shown` gives rows to tell types by, where the first ones are
    not the best.
    """

    location: str
    schema: pa.Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]
    identify: Callable[[], str]
    notes: dict[str, Any] = field(default_factory=dict)
    missing: Collection[str] | None = None
    damaged: bool = False
    beside: Path | None = None
    hints: Mapping[str, Hint] = field(default_factory=dict)
    shown: Callable[[], pa.Table] | None = None
    answer: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.schema.names)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what the source holds and of how it is read, as 64 hex digits."""
        return self.identify() if self.missing is None else digest([self.identify(), sorted(tokens(self.missing))])

    def chunks(self) -> Iterator[pa.RecordBatch]:
        """Read from the beginning.

        Raises:
            BadInput: codes `source-unreadable`, naming the line, and `source-empty`.
        """
        rows, damaged = 0, Damage()
        for batch in self.batches():
            for start in range(0, len(batch), MOST_ROWS):
                piece = batch.slice(start, MOST_ROWS)
                if self.damaged:
                    damaged.look(piece, rows)
                rows += len(piece)
                yield self._clean(piece)
        if not rows:
            raise no_rows(self.location)
        self.notes["rows"] = rows
        if self.damaged:
            self.notes |= damaged.notes()

    def sample(self) -> pa.Table:
        """Rows enough to tell types by: the first ones, unless the source knows better."""
        if self.shown is not None:
            return self.shown()
        return pa.Table.from_batches(list(islice(self.chunks(), SAMPLE_CHUNKS)))

    def renamed(self, names: Mapping[str, str]) -> Source:
        """The source with other names for some columns."""
        told = [names.get(name, name) for name in self.names]
        schema = pa.schema([field.with_name(name) for field, name in zip(self.schema, told, strict=True)])

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in self.batches():
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)

        hints = {names.get(name, name): hint for name, hint in self.hints.items()}
        return replace(self, schema=schema, batches=batches, hints=hints)

    def _clean(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        words = tokens(self.missing)
        columns = [null_missing(c, words) if is_text(c.type) else c for c in batch.columns]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


@dataclass
class Damage:
    """Rows that hold a character which could not be decoded."""

    rows: list[int] = field(default_factory=list)
    count: int = 0

    def look(self, batch: pa.RecordBatch, before: int) -> None:
        """Note the damaged rows of a batch; `before` rows were read earlier."""
        flags = [pc.fill_null(pc.match_substring(c, REPLACEMENT), False) for c in batch.columns if is_text(c.type)]
        found = pc.indices_nonzero(_any(flags)) if flags else pa.array([], pa.uint64())
        self.count += len(found)
        self.rows += [before + row for row in found.slice(0, MOST_EVIDENCE - len(self.rows)).to_pylist()]

    def notes(self) -> dict[str, Any]:
        return {"encoding_damage": self.rows, "encoding_damage_count": self.count} if self.count else {}


def _any(flags: Sequence[pa.Array]) -> pa.Array:
    whole = flags[0]
    for flag in flags[1:]:
        whole = pc.or_(whole, flag)
    return whole


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def no_rows(location: str, what: str = "there are no rows in it") -> BadInput:
    """The error for a source without rows."""
    fix = "point data.source at data with at least one row below the names of the columns"
    return BadInput(what, code="source-empty", where=location, fix=fix)


def unreadable(
    what: str, location: str, *, got: str | None = None, fix: str, places: Sequence[Trouble] = ()
) -> BadInput:
    """The error for a source that is damaged or is not what its name says."""
    return BadInput(what, code="source-unreadable", where=location, got=got, fix=fix, troubles=places)


def repaired_names(names: Sequence[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Column names with white space cut off, empty ones filled in and repeated ones numbered; and notes about it.

    >>> repaired_names(["a", " b", "", "a"])
    (('a', 'b', 'column_3', 'a_2'), {'renamed': {'3': 'column_3', '4': 'a_2'}})
    """
    wanted = [name.strip() or f"column_{place}" for place, name in enumerate(names, start=1)]
    given, taken = set(wanted), dict[str, None]()
    renamed: dict[str, str] = {}
    for place, (name, free) in enumerate(zip(names, wanted, strict=True), start=1):
        number, first = 1, free
        while free in taken or (number > 1 and free in given):
            number += 1
            free = f"{first}_{number}"
        taken[free] = None
        if free != name.strip():
            renamed[str(place)] = free
    return tuple(taken), {"renamed": renamed} if renamed else {}
