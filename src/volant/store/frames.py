"""Checksummed frames: how records lie in a segment, so that a torn end is seen and never read as data.

A frame is a magic word, the length of the payload, a CRC-32 of length and payload (integers of four
bytes, little-endian), then the payload.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Literal

MAGIC = b"VPR1"
HEADER = struct.Struct("<4sII")
LENGTH = struct.Struct("<I")
MAX_PAYLOAD = 64 * 1024 * 1024
"""Bytes. A length above it is damage, not a frame."""


@dataclass(frozen=True)
class Scan:
    """The whole frames at the beginning of some bytes.

    `end` is where the last of them ends. What follows is nothing (`clean`), a frame of which more bytes
    are to come (`short`, `need` bytes counted from `end`), or no frame (`bad`).
    """

    payloads: tuple[memoryview, ...]
    end: int
    state: Literal["clean", "short", "bad"]
    need: int = 0


def frame(payload: bytes) -> bytes:
    """The frame of one payload.

    Raises:
        ValueError: the payload is longer than `MAX_PAYLOAD`.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a frame holds at most {MAX_PAYLOAD} bytes")
    return HEADER.pack(MAGIC, len(payload), _checksum(payload)) + payload


def scan(data: bytes | memoryview) -> Scan:
    """Read whole frames from the beginning of `data` until they end or one does not fit its checksum."""
    view = memoryview(data)
    payloads: list[memoryview] = []
    position, size = 0, len(view)
    while position < size:
        if size - position < HEADER.size:
            state: Literal["short", "bad"] = "short" if _may_begin(view[position:]) else "bad"
            return Scan(tuple(payloads), position, state, HEADER.size)
        magic, length, checksum = HEADER.unpack_from(view, position)
        if magic != MAGIC or length > MAX_PAYLOAD:
            return Scan(tuple(payloads), position, "bad")
        start = position + HEADER.size
        if start + length > size:
            return Scan(tuple(payloads), position, "short", HEADER.size + length)
        payload = view[start : start + length]
        if _checksum(payload) != checksum:
            return Scan(tuple(payloads), position, "bad")
        payloads.append(payload)
        position = start + length
    return Scan(tuple(payloads), position, "clean")


def _checksum(payload: bytes | memoryview) -> int:
    return zlib.crc32(payload, zlib.crc32(LENGTH.pack(len(payload))))


def _may_begin(tail: memoryview) -> bool:
    return MAGIC.startswith(bytes(tail[: len(MAGIC)]))
