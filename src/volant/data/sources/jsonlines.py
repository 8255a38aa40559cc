"""JSON Lines, and files that hold one JSON array of objects."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

from volant.core.progress import Progress
from volant.data.sources.encoding import LONGEST_LINE, Survey, survey
from volant.data.sources.source import Source, unreadable
from volant.data.sources.spill import ROWS, Spill
from volant.data.sources.stream import Utf8Stream, reading
from volant.errors import BadInput

_FIX = "write one JSON object per line, or one array of objects"
_KEYS_FIX = "give every object the same keys, one per column"
_MOST_NAMES = 10_000
_PIECE = 256 * 1024
_SPACE = " \t\r\n"


def open_json(path: Path, *, missing: Collection[str] | None, progress: Progress) -> Source:
    """Read a JSON Lines file, or a JSON array of objects, plain or gzipped.

    Raises:
        BadInput: codes `source-unreadable`, naming the line, and `source-empty`.
    """
    found = survey(path, longest_line=None)
    spill = Spill()
    with reading(found, progress) as stream:
        rows = _rows(stream, found)
        while chunk := list(islice(rows, ROWS)):
            names = dict.fromkeys(name for row in chunk for name in row)
            if len(names) > _MOST_NAMES:
                raise unreadable(f"there are more than {_MOST_NAMES:,} different keys", path.name, fix=_KEYS_FIX)
            spill.add({name: [row.get(name) for row in chunk] for name in names}, len(chunk))
    notes = {"format": "json", **found.notes()}
    return spill.source(path.name, lambda: found.digest, notes, missing=missing, damaged=found.damaged)


def _rows(stream: Utf8Stream, found: Survey) -> Iterator[dict[str, Any]]:
    """The objects of the file, in their order."""
    lines = io.BufferedReader(stream, buffer_size=_PIECE)
    begin = lines.peek(_PIECE)[:_PIECE].lstrip()
    if begin.startswith(b"["):
        yield from _of_array(lines, found.path.name)
        return
    number = 0
    while line := lines.readline(LONGEST_LINE + 1):
        number += 1
        where = f"{found.path.name}, line {number}"
        if len(line) > LONGEST_LINE:
            raise unreadable(f"a line is longer than {LONGEST_LINE >> 20} MiB", where, fix=_FIX)
        if line.strip():
            yield _object(_value(line.decode(), where), where)


def _value(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as cause:
        what = "a line is not JSON" if isinstance(cause, ValueError) else "JSON is nested too deeply"
        raise unreadable(what, where, fix=_FIX) from None


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise unreadable("a row is not a JSON object", where, got=type(value).__name__, fix=_FIX)
    return value


def _of_array(lines: IO[bytes], name: str) -> Iterator[dict[str, Any]]:
    """The objects of an array, read a piece at a time."""
    text = _Text(lines)
    text.skip(_SPACE)
    text.place += 1
    text.skip(_SPACE)
    item = 0
    while text.peek() not in ("]", ""):
        item += 1
        where = f"{name}, item {item}"
        yield _object(text.value(where), where)
        text.skip(_SPACE)
        if text.peek() == ",":
            text.place += 1
            text.skip(_SPACE)
        elif text.peek() not in ("]", ""):
            raise unreadable("there is no comma after an item", where, fix=_FIX)
    if text.peek() != "]":
        raise unreadable("the JSON array is not closed", f"{name}, after item {item}", fix=_FIX)


class _Text:
    """Text that is read on as needed."""

    def __init__(self, lines: IO[bytes]) -> None:
        self._lines = lines
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._json = json.JSONDecoder()
        self._held = ""
        self.place = 0

    def _more(self) -> bool:
        piece = self._lines.read(_PIECE)
        self._held = self._held[self.place :] + self._decoder.decode(piece)
        self.place = 0
        return bool(piece)

    def peek(self) -> str:
        """The next character, empty at the end."""
        while self.place >= len(self._held):
            if not self._more():
                return ""
        return self._held[self.place]

    def skip(self, characters: str) -> None:
        """Pass over characters of these kinds."""
        while (one := self.peek()) and one in characters:
            self.place += 1

    def value(self, where: str) -> Any:
        """The JSON value that begins here."""
        while True:
            try:
                value, self.place = self._json.raw_decode(self._held, self.place)
            except RecursionError:
                raise unreadable("JSON is nested too deeply", where, fix=_FIX) from None
            except ValueError:
                self._read_on(where)
            else:
                return value

    def _read_on(self, where: str) -> None:
        if len(self._held) - self.place > LONGEST_LINE:
            raise unreadable("an item is not JSON, or too long", where, fix=_FIX) from None
        if not self._more():
            raise _broken(where) from None


def _broken(where: str) -> BadInput:
    return unreadable("an item is not JSON", where, fix=_FIX)
