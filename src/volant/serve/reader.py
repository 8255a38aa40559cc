"""Bodies to columns. What is well-formed is read by types made from the signature; all else by the careful way.

The quick way decodes JSON straight into records whose fields are those of the signature, so that what is usual costs
no dictionaries and no checks cell by cell. Where it meets anything that it is not sure about (a number sent as text is
fine, a field that is missing or unknown, a key twice), it gives up without a word and the careful way reads the body
again: that one knows what to say. Both give the same columns for the same body; a test holds them to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as made_by
from typing import Any

import msgspec
import pyarrow as pa
from msgspec import UNSET, UnsetType
from msgspec.structs import astuple

from volant.core.records import Field, Signature
from volant.runtime.rows import type_of
from volant.serve.body import has_pairs

LONGEST_TEXT = 1024
"""Characters that a subject may have."""

_REMEMBERED = 4096
_LONGEST_REMEMBERED = 64
_NUMBERS = {float, type(None)}
_FLOAT = {float}


class Table(msgspec.Struct, frozen=True):
    """The rows of one request. `inputs` are the rows as they are logged, `columns` their canonical cells by field.

    `flags` says per row what is worth knowing about its fields; `single` tells that the row came as `row`.
    """

    inputs: Sequence[Any]
    columns: Mapping[str, Sequence[Any]]
    flags: Mapping[int, dict[str, str]]
    subjects: Sequence[str | None]
    single: bool = False

    def __len__(self) -> int:
        return len(self.inputs)


class GaveUp(Exception):
    """The body is not of the usual kind."""


@dataclass
class _Reading:
    """How the cells of one field are read."""

    field: Field
    parse: Callable[[Any], Any]
    is_number: bool
    choices: frozenset[str] = frozenset()
    known: dict[str, Any] = made_by(default_factory=dict)

    def column(self, cells: Sequence[Any]) -> tuple[Sequence[Any], int]:
        """The canonical cells of a column, and how many of them were sent.

        Raises:
            GaveUp: a cell is missing that must be there, or cannot be read.
        """
        absent = cells.count(UNSET)
        if absent:
            if self.field.required:
                raise GaveUp
            cells = [None if cell is UNSET else cell for cell in cells]
        if self.is_number and set(map(type, cells)) <= _NUMBERS:
            if any(cell is not None and math.isinf(cell) for cell in cells):
                raise GaveUp
            return cells, len(cells) - absent
        try:
            return [self._cell(cell) for cell in cells], len(cells) - absent
        except (ValueError, OverflowError, TypeError):
            raise GaveUp from None

    def _cell(self, cell: Any) -> Any:
        """One cell. What short texts mean is remembered: they repeat."""
        if type(cell) is not str or len(cell) > _LONGEST_REMEMBERED:
            value = self.parse(cell)
            if type(value) is float and math.isinf(value):
                raise ValueError("a finite number was expected")
            return value
        found = self.known.get(cell, UNSET)
        if found is UNSET:
            found = self.parse(cell)
            if type(found) is float and math.isinf(found):
                raise ValueError("a finite number was expected")
            if len(self.known) >= _REMEMBERED:
                self.known.clear()
            self.known[cell] = found
        return found


class Reader:
    """Reads the bodies that a release with some signature takes, in the usual form."""

    def __init__(self, signature: Signature) -> None:
        readings = [_reading(field, signature) for field in (*signature.inputs, *signature.beside)]
        names = [field.name for field in signature.inputs]
        self._readings = list(enumerate(readings))[: len(names)]
        self._beside = list(enumerate(readings))[len(names) :]
        self._numbers = {place: one.field.name for place, one in self._readings if one.is_number and not one.choices}
        self._others = [(place, one) for place, one in self._readings if place not in self._numbers]
        self._row = _row_type(signature)
        self._target = _attribute(len(names) + len(signature.beside))
        self._has_target = signature.target not in {*names, *(field.name for field in signature.beside)}
        self._decoder = msgspec.json.Decoder(_body_type(self._row))
        self._lines = msgspec.json.Decoder(self._row)

    def read(self, body: bytes, most_rows: int) -> Table:
        """The rows of a JSON body.

        Raises:
            GaveUp: read it carefully.
        """
        try:
            document = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise GaveUp from None
        single = document.row is not UNSET
        if single is (document.rows is not UNSET):
            raise GaveUp
        rows = [document.row] if single else document.rows
        if not 0 < len(rows) <= most_rows:
            raise GaveUp
        subjects, told = _subjects(document.subject, len(rows))
        table, sent = self._table(rows, subjects, single)
        if not has_pairs(body, sent + 1 + told):
            raise GaveUp
        return table

    def _table(self, rows: list[Any], subjects: Sequence[str | None], single: bool) -> tuple[Table, int]:
        """The rows as columns, and how many cells were sent."""
        columns: dict[str, Sequence[Any]] = {}
        flags: dict[int, dict[str, str]] = {}
        given = list(zip(*map(astuple, rows), strict=True))
        sent = 0
        readings = self._readings
        if _are_numbers([cell for place in self._numbers for cell in given[place]]):
            columns = {name: given[place] for place, name in self._numbers.items()}
            sent, readings = len(columns) * len(rows), self._others
        for place, reading in readings:
            cells, count = reading.column(given[place])
            columns[reading.field.name] = cells
            sent += count
            _flag(reading, cells, flags)
        for place, reading in self._beside:
            sent += reading.column(given[place])[1]
        if self._has_target:
            for row in rows:
                if getattr(row, self._target) is not UNSET:
                    setattr(row, self._target, UNSET)
                    sent += 1
        return Table(rows, columns, flags, subjects, single), sent


def _are_numbers(cells: Sequence[Any]) -> bool:
    """Whether all cells are finite numbers, which is the usual case and seen quickly."""
    return set(map(type, cells)) == _FLOAT and math.isfinite(sum(cells))


def _flag(reading: _Reading, cells: Sequence[Any], flags: dict[int, dict[str, str]]) -> None:
    name = reading.field.name
    if reading.field.required and None in cells:
        for i, cell in enumerate(cells):
            if cell is None:
                flags.setdefault(i, {})[name] = "missing"
    if reading.choices:
        for i, cell in enumerate(cells):
            if cell is not None and cell not in reading.choices:
                flags.setdefault(i, {})[name] = UNKNOWN


UNKNOWN = "unknown category"
"""The flag of a category that was never seen in training."""


def _subjects(given: Any, count: int) -> tuple[Sequence[str | None], int]:
    """One subject per row, and how many keys of the body they took."""
    if given is UNSET:
        return [None] * count, 0
    listed = given if isinstance(given, list) else [given] * count
    if len(listed) != count:
        raise GaveUp
    for one in listed if isinstance(given, list) else [given]:
        if one is not None and not (0 < len(one) <= LONGEST_TEXT and "\x00" not in one):
            raise GaveUp
    return listed, 1


def _attribute(place: int) -> str:
    return f"f{place}"


def _reading(field: Field, signature: Signature) -> _Reading:
    kind = type_of(field, signature)
    plain = kind.storage == pa.float64() and not getattr(kind, "_missing_numbers", True)
    return _Reading(field, kind.parse_cell, plain, frozenset(field.choices))


def _row_type(signature: Signature) -> Any:
    fields = [*signature.inputs, *signature.beside]
    names = [*(field.name for field in fields)]
    if signature.target not in names:
        names.append(signature.target)
    numbers = {field.name for field in fields if type_of(field, signature).storage == pa.float64()}
    given = [
        (_attribute(place), (float | str | bool | None | UnsetType) if name in numbers else Any, UNSET)
        for place, name in enumerate(names)
    ]
    renamed = {_attribute(place): name for place, name in enumerate(names)}
    return msgspec.defstruct("Row", given, rename=renamed, forbid_unknown_fields=True, gc=False)


def _body_type(row: Any) -> Any:
    subject = str | None | list[str | None] | UnsetType
    fields = [("rows", list[row] | UnsetType, UNSET), ("row", row | UnsetType, UNSET), ("subject", subject, UNSET)]
    return msgspec.defstruct("Body", fields, forbid_unknown_fields=True)
