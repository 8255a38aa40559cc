"""Strict JSON: what other readers let pass (a repeated key, NaN, half a character) is refused here."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from volant.serve.problems import HttpError

DEEPEST = 64
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_decoder = msgspec.json.Decoder()


def decode(body: bytes) -> Any:
    """A JSON document as plain Python.

    Raises:
        HttpError: 400 for what is not JSON, is nested too deep or repeats a key; 422 for a number that
            no computer's number can hold.
    """
    try:
        value = _decoder.decode(body)
        pairs = _pairs(value, body)
    except UnicodeDecodeError:
        raise _malformed("the body is not UTF-8") from None
    except msgspec.ValidationError:
        raise HttpError(422, "input-invalid", "a number is out of range", where="body", fix="send it as text") from None
    except msgspec.DecodeError as cause:
        raise _malformed("the body is not valid JSON", str(cause)) from None
    except RecursionError:
        raise _malformed("the body is nested too deep") from None
    if not has_pairs(body, pairs):
        raise _malformed("an object has the same key twice")
    return value


def has_pairs(body: bytes, pairs: int) -> bool:
    """Whether a JSON document has so many pairs of key and value: as many as colons outside its texts."""
    return body.count(b":") == pairs or _STRING.sub(b"", body).count(b":") == pairs


def _pairs(value: Any, body: bytes) -> int:
    """How many pairs of key and value a decoded document holds. Fewer than its colons means a repeated key."""
    rows = value.get("rows") if type(value) is dict else None
    if type(rows) is list and body.count(b"{") == 1 + len(rows) and set(map(type, rows)) == {dict}:
        return len(value) + sum(map(len, rows))  # no object within a row: the usual case, quickly
    return _count(value, DEEPEST)


def _count(value: Any, depth: int) -> int:
    if not depth:
        raise RecursionError
    if isinstance(value, dict):
        return len(value) + sum(_count(v, depth - 1) for v in value.values() if isinstance(v, dict | list))
    if isinstance(value, list):
        return sum(_count(v, depth - 1) for v in value if isinstance(v, dict | list))
    return 0


def _malformed(what: str, place: str | None = None) -> HttpError:
    found = re.search(r"\(byte \d+\)", place or "")
    where = f"body, {found[0].strip('()')}" if found else "body"
    return HttpError(400, "request-invalid", what, where=where, fix="send one JSON object in UTF-8, as RFC 8259 has it")
