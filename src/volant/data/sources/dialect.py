"""How a delimited file is written: delimiter, quotation marks, header. Told from its first lines."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from volant.columns.missing import TOKENS
from volant.columns.number import Number
from volant.columns.timestamp import format_of

DELIMITERS = (",", "\t", ";", "|")
ONE_COLUMN = "\x1f"
"""Stands for no delimiter: the names hold none, so each line is one cell, commas and all."""

_MOST_ROWS = 500
_MOST_COMPARED = 100
_BLANK_LINES = re.compile(r"(?:[ \t]*(?:\r\n|\r|\n))+")
_SEPARATOR_LINE = re.compile(r'"?sep=([,;|\t ])"?[ \t]*(?:\r\n|\r|\n|$)')


@dataclass(frozen=True)
class Dialect:
    """`skipped` lines come before the header; `first` is the first row as texts, `alone` if no other follows."""

    delimiter: str
    quote: str
    escape: str | None
    header: bool
    first: tuple[str, ...]
    skipped: int = 0
    alone: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the header, or `column_1` and so on where there is none."""
        return self.first if self.header else tuple(f"column_{n}" for n in range(1, len(self.first) + 1))

    def notes(self) -> dict[str, object]:
        delimiter = None if self.delimiter == ONE_COLUMN else self.delimiter
        return {"delimiter": delimiter, "quote": self.quote, "escape": self.escape, "header": self.header}


def detect(head: str, *, whole: bool, prefer: str | None = None) -> Dialect | None:
    """The dialect of a text that begins with `head`; None where there is no row.

    Args:
        head: the first lines.
        whole: whether that is all of the text; otherwise its last line may be cut.
        prefer: the delimiter that the file's name tells, used where it fits.
    """
    blank = _BLANK_LINES.match(head)
    skipped = len(re.findall(r"\r\n|\r|\n", blank[0])) if blank else 0
    head = head[blank.end() :] if blank else head
    named = _SEPARATOR_LINE.match(head)
    head = head[named.end() :] if named else head
    quote = _quote(head)
    escape = _escape(head, quote)
    wanted = (named[1],) if named else DELIMITERS
    tables = {d: _rows(head, d, quote, escape, whole=whole) for d in (*wanted, ONE_COLUMN)}
    fits = {d: _fit(tables[d]) for d in wanted}
    best = max(wanted, key=lambda d: (*fits[d], -wanted.index(d)))
    if prefer is not None and fits.get(prefer, (0.0, 1))[0] > 0.9:
        best = prefer
    rows = tables[best if fits[best][0] else ONE_COLUMN]
    if not rows:
        return None
    return Dialect(
        best if fits[best][0] else ONE_COLUMN,
        quote,
        escape,
        has_header(rows),
        tuple(rows[0]),
        skipped=skipped + (named is not None),
        alone=whole and len(rows) == 1,
    )


def _quote(head: str) -> str:
    """The apostrophe where it encloses cells and quotation marks do not."""
    single = len(re.findall(r"(?:^|[,;\t|])'[^'\r\n]*'(?=[,;\t|]|\r?$)", head, re.MULTILINE))
    return "'" if single >= 3 and '"' not in head else '"'


def _escape(head: str, quote: str) -> str | None:
    """A backslash where it, and not a second quotation mark, stands before quotation marks inside of cells."""
    inside = r"[^,;\t|\r\n]"
    slashed = re.search(rf"\\{quote}{inside}", head)
    doubled = re.search(rf"(?!\\){inside}{quote}{quote}{inside}", head)
    return "\\" if slashed and not doubled else None


def _rows(head: str, delimiter: str, quote: str, escape: str | None, *, whole: bool) -> list[list[str]]:
    reader = csv.reader(
        re.split(r"(?<=\n)|(?<=\r)(?!\n)", head), delimiter=delimiter, quotechar=quote, escapechar=escape
    )
    rows: list[list[str]] = []
    try:
        for row in reader:
            rows.append(row)
            if len(rows) > _MOST_ROWS:
                break
    except csv.Error:
        whole = False
    if not whole and len(rows) > 1:
        rows.pop()
    return [row for row in rows if row]


def _fit(rows: Sequence[Sequence[str]]) -> tuple[float, int]:
    """How well a delimiter fits: the share of rows as wide as the first one, and that width."""
    if not rows or len(rows[0]) < 2:
        return 0.0, 1
    width = len(rows[0])
    share = sum(len(row) == width for row in rows) / len(rows)
    usual = Counter(len(row) for row in rows).most_common(1)[0][0]
    return round(share if usual == width else share / 2, 2), width


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: it differs in kind from what stands below it.

    Each column of numbers or dates votes: for a header if its first cell is neither, against it otherwise.
    Without such votes there is one, unless most of its cells come again below. Years, and numbers that count
    up one by one, are names.
    """
    first, rest = rows[0], rows[1:_MOST_COMPARED]
    kinds = [_kind(cell) for cell in first]
    if not rest:
        return "number" not in kinds and "date" not in kinds
    if _counting(first, kinds):
        return True
    below = [[row[place] for row in rest if place < len(row)] for place in range(len(first))]
    votes = sum(_vote(kind, cells) for kind, cells in zip(kinds, below, strict=True))
    if votes:
        return votes > 0
    named = [cell.strip() in {other.strip() for other in cells}
             for kind, cell, cells in zip(kinds, first, below, strict=True) if kind == "text"]  # fmt: skip
    return bool(named) and sum(named) <= len(named) / 2


def _vote(kind: str, below: Sequence[str]) -> int:
    known = {_kind(other) for other in below} - {"missing"}
    if len(known) != 1 or not known <= {"number", "date"}:
        return 0
    return {"text": 2, "missing": 0}.get(kind, -1)


def _counting(first: Sequence[str], kinds: Sequence[str]) -> bool:
    """Whether the numbers of the first row are years beside texts, or count up one by one."""
    numbers = [cell.strip() for cell, kind in zip(first, kinds, strict=True) if kind == "number"]
    texts = "text" in kinds
    if len(numbers) < 2 or not all(number.isdecimal() for number in numbers):
        return False
    if texts and all(re.fullmatch(r"(19|20)\d\d", number) for number in numbers):
        return numbers == sorted(set(numbers))
    steps = {int(after) - int(before) for before, after in pairwise(numbers)}
    return steps == {1} and len(numbers) >= (3 if texts else 5)


def _kind(cell: str) -> str:
    text = cell.strip()
    if text in TOKENS:
        return "missing"
    try:
        Number().parse_cell(text)
    except ValueError:
        return "text" if format_of(text) is None else "date"
    return "number"
