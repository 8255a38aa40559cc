"""Sets of labels: which of several a row carries, none, one or more, as JSON text in one fixed form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from volant.columns import cells
from volant.columns.json import canonical_json, nested
from volant.columns.missing import TOKENS
from volant.core.protocols import Parsed, Recognition

LONGEST, MOST = 500, 10_000
"""Characters that a label may have, and labels that a cell may have."""
_BETWEEN = "|"


@dataclass(frozen=True)
class Labels:
    """Labels of a row: a list, its JSON text, or names with `|` between them.

    An empty list says that the row carries none; a missing cell says nothing. An object of names with true or false
    says something of these labels alone: `{"cat": true, "dog": false}`.
    """

    missing: frozenset[str] = field(default=TOKENS, repr=False)
    name = "labels"
    summary = "which of several labels a row carries, as `a|b` or a JSON list"
    storage = pa.string()

    def recognise(self, name: str, values: pa.Array) -> Recognition:
        """Never by itself: texts with a bar and lists may mean anything. The task `tag` says what its target is."""
        del name, values
        return Recognition(0.0, "labels are named by the task, not guessed")

    def parse_cell(self, cell: Any) -> str | None:
        """One raw cell to JSON text: a sorted list without doubles, or a sorted object of true and false."""
        if isinstance(cell, str):
            text = cell.strip()
            if not text.startswith(("[", "{")):
                return None if text in self.missing else _listed(text.split(_BETWEEN))
        value = nested(cell, self.missing)
        if isinstance(value, Mapping):
            return _partial(value)
        if value is not None and not isinstance(value, list):
            raise ValueError("expected labels: names with | between them, or a list")
        return None if value is None else _listed(value)

    def parse(self, raw: pa.Array | pa.ChunkedArray) -> Parsed:
        """Whole Arrow arrays."""
        return cells.parse_each(self.parse_cell, cells.simple(raw), self.storage)

    def to_numpy(self, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Objects, shape (n,): JSON text, or None where missing."""
        return cells.objects(values)

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["array", "string", "object", "null"], "description": "labels: a list, or names with | between"}


def presences(cell: str) -> tuple[dict[str, bool], bool]:
    """What a canonical cell says: which labels are there and which are not, and whether it speaks of all labels.

    >>> presences('["cat"]'), presences('{"cat":true,"dog":false}')
    (({'cat': True}, True), ({'cat': True, 'dog': False}, False))
    """
    value = json.loads(cell)
    return (dict.fromkeys(value, True), True) if isinstance(value, list) else (value, False)


def label_name(value: Any) -> str:
    """The name of a label.

    Raises:
        ValueError: it is no text or number, is empty or too long, or holds what separates labels.
    """
    name = cells.text_of(value) if not isinstance(value, bool | list | Mapping) else None
    if not name or len(name) > LONGEST or _BETWEEN in name or not name.isprintable():
        raise ValueError(f"expected the name of a label: 1 to {LONGEST} printable characters without {_BETWEEN}")
    return name


def _listed(values: list[Any]) -> str:
    names = sorted({label_name(value) for value in values if value != ""})
    if len(names) > MOST:
        raise ValueError(f"expected {MOST:,} labels at the most")
    return canonical_json(names)


def _partial(value: Mapping[Any, Any]) -> str:
    if not value or not all(isinstance(said, bool) for said in value.values()):
        raise ValueError("expected true or false for each label")
    return canonical_json({label_name(name): said for name, said in value.items()})
