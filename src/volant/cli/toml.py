"""Writing TOML. Reading it is the standard library's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dumps(record: Mapping[str, Any]) -> str:
    """A mapping of plain values as TOML; what is None is written as a comment, for TOML has no word for it.

    >>> print(dumps({"version": 1, "train": {"budget": "60s", "learners": None}}))
    version = 1
    <BLANKLINE>
    [train]
    budget = "60s"
    # learners is not set
    <BLANKLINE>
    """
    return "\n\n".join(part for part in _tables((), record) if part) + "\n"


def _tables(path: tuple[str, ...], record: Mapping[str, Any]) -> list[str]:
    own = [(key, value) for key, value in record.items() if not isinstance(value, Mapping)]
    nested = [(key, value) for key, value in record.items() if isinstance(value, Mapping)]
    lines = [_line(key, value) for key, value in own]
    header = f"[{'.'.join(map(_key, path))}]" if path and (lines or not nested) else None
    parts = ["\n".join([header, *lines] if header else lines)]
    for key, value in nested:
        parts += _tables((*path, key), value)
    return parts


def _line(key: str, value: Any) -> str:
    return f"# {_key(key)} is not set" if value is None else f"{_key(key)} = {_value(value)}"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"TOML has no {type(value).__name__}")


def _string(text: str) -> str:
    """A basic string: the escapes of JSON are TOML's, but for DEL, which JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
