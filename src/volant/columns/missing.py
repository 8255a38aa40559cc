"""Which cell texts mean that a value is missing: one list for every column type and every source."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

TOKENS = frozenset(
    [
        *("", "NA", "na", "N/A", "n/a", "#N/A", "#n/a", "#NA", "<NA>", "<na>", "NaN", "nan", "NAN", "-NaN", "-nan"),
        *("NULL", "Null", "null", "None", "none", "NONE", "NaT", "?", "\\N"),
    ]
)
"""What is missing unless the product says otherwise. Compared after surrounding white space is cut off."""

T = TypeVar("T")


def tokens(chosen: Iterable[str] | None) -> frozenset[str]:
    """The texts that mean missing: those of the product, or the usual ones. The empty text always does.

    >>> sorted(tokens(["-999"]))
    ['', '-999']
    """
    return TOKENS if chosen is None else frozenset(text.strip() for text in chosen) | {""}


def with_missing(column_type: T, chosen: Iterable[str] | None) -> T:
    """The column type with the product's own list of missing texts, for training and serving alike.

    A type that keeps no such list (`missing`) is returned as it is.
    """
    if chosen is None or not dataclasses.is_dataclass(column_type) or not hasattr(column_type, "missing"):
        return column_type
    return dataclasses.replace(column_type, missing=tokens(chosen))  # type: ignore[type-var]


def null_missing(texts: pa.Array, missing: frozenset[str]) -> pa.Array:
    """`texts` with the cells that mean missing made null. The cells must be stripped already."""
    found = pc.is_in(texts, value_set=pa.array(sorted(missing), texts.type))
    return pc.if_else(found, pa.scalar(None, texts.type), texts) if pc.any(found).as_py() else texts
