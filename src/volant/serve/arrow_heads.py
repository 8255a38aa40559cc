"""A look at the heads of an Arrow stream, before anything of it is unpacked.

Source: Arrow columnar format 1.5, "Serialization and Interprocess Communication", and Message.fbs; FlatBuffers
binary format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MARK = 0xFFFFFFFF
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
_DATA, _COMPRESSION = 1, 3


def compressed(stream: bytes) -> bool:
    """Whether any batch of a stream holds compressed columns: a few bytes of it may stand for any number.

    Raises:
        ValueError: it is no such stream.
    """
    try:
        return any(_is_compressed(head) for head in _heads(stream))
    except (struct.error, IndexError):
        raise ValueError("the stream ends before it is whole") from None


def _heads(stream: bytes) -> Iterator[bytes]:
    """The metadata of the messages, one after the other."""
    place = 0
    while place + 4 <= len(stream):
        size = _unsigned(stream, place)
        place += 4
        if size == _MARK:
            size = _unsigned(stream, place)
            place += 4
        if not size:
            return
        head = stream[place : place + size]
        yield head
        body = _field(head, _table(head, 0), _BODY_LENGTH)
        length = struct.unpack_from("<q", head, body)[0] if body else 0
        if length < 0:
            raise ValueError("a length is negative")
        place += size + length


def _is_compressed(head: bytes) -> bool:
    message = _table(head, 0)
    kind = _field(head, message, _HEADER_TYPE)
    number = head[kind] if kind else 0
    if number not in (_RECORD_BATCH, _DICTIONARY_BATCH):
        return False
    batch = _table(head, _field(head, message, _HEADER))
    if number == _DICTIONARY_BATCH:
        batch = _table(head, _field(head, batch, _DATA))
    return bool(_field(head, batch, _COMPRESSION))


def _unsigned(data: bytes, place: int) -> int:
    found: int = struct.unpack_from("<I", data, place)[0]
    return found


def _table(data: bytes, place: int) -> int:
    """Where the table lies that an offset at `place` points to."""
    return place + _unsigned(data, place)


def _field(data: bytes, table: int, number: int) -> int:
    """Where a field of a table lies; 0 where it is left out."""
    listed = table - struct.unpack_from("<i", data, table)[0]
    if listed < 0:
        raise ValueError("an offset points before the message")
    size = struct.unpack_from("<H", data, listed)[0]
    if 4 + 2 * number >= size:
        return 0
    offset = struct.unpack_from("<H", data, listed + 4 + 2 * number)[0]
    return table + offset if offset else 0
