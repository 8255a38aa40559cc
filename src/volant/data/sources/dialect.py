"""How a delimited file is written: delimiter, quotation marks, header. Told from its first lines."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from volant.columns.missing import TOKENS
from volant.columns.number import Number
from volant.columns.timestamp import format_of

DELIMITERS = (",", "\t", ";", "|")
_MOST_ROWS = 500
_SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?\s*')


@dataclass(frozen=True)
class Dialect:
    """`skipped` lines come before the header; `first` is the first row as texts."""

    delimiter: str
    quote: str
    escape: str | None
    header: bool
    first: tuple[str, ...]
    skipped: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the header, or `column_1` and so on where there is none."""
        return self.first if self.header else tuple(f"column_{n}" for n in range(1, len(self.first) + 1))

    def notes(self) -> dict[str, object]:
        return {"delimiter": self.delimiter, "quote": self.quote, "escape": self.escape, "header": self.header}


def detect(head: str, *, whole: bool, prefer: str | None = None) -> Dialect | None:
    """The dialect of a text that begins with `head`; None where there is no row.

    Args:
        head: the first lines.
        whole: whether that is all of the text; otherwise its last line may be cut.
        prefer: the delimiter that the file's name tells, used where it fits.
    """
    named = _SEPARATOR_LINE.fullmatch(head.split("\n", 1)[0].rstrip("\r"))
    if named:
        head = head.partition("\n")[2]
    quote = _quote(head)
    escape = "\\" if re.search(rf"\\{quote}", head) and f"{quote}{quote}" not in head else None
    wanted = (named[1],) if named else DELIMITERS
    tables = {d: _rows(head, d, quote, escape, whole=whole) for d in wanted}
    best = max(wanted, key=lambda d: (*_fit(tables[d]), d == prefer, -wanted.index(d)))
    if prefer in tables and _fit(tables[prefer])[0] > 0.9:
        best = prefer
    if named is None and _fit(tables[best])[0] == 0:
        best = ","
    rows = tables[best]
    if not rows:
        return None
    return Dialect(best, quote, escape, has_header(rows), tuple(rows[0]), skipped=1 if named else 0)


def _quote(head: str) -> str:
    """The apostrophe where it encloses cells and quotation marks do not."""
    single = len(re.findall(r"(?:^|[,;\t|])'[^'\r\n]*'(?=[,;\t|]|\r?$)", head, re.MULTILINE))
    return "'" if single >= 3 and '"' not in head else '"'


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
    Without such columns, a first cell that comes again below speaks against one.
    """
    first, rest = rows[0], rows[1:]
    kinds = [_kind(cell) for cell in first]
    if not rest:
        return "number" not in kinds and "date" not in kinds
    if _years(first, kinds):
        return True
    votes = sum(_vote(kinds[place], first[place], [row[place] for row in rest if place < len(row)])
                for place in range(len(first)))  # fmt: skip
    return votes >= 0 and kinds.count("number") < len(kinds)


def _vote(kind: str, cell: str, below: Sequence[str]) -> int:
    known = {_kind(other) for other in below} - {"missing"}
    if len(known) == 1 and known <= {"number", "date"}:
        return {"text": 2, "missing": 0}.get(kind, -1)
    return -1 if kind == "text" and cell.strip() in {other.strip() for other in below} else 0


def _years(first: Sequence[str], kinds: Sequence[str]) -> bool:
    """Whether some names are texts and the others years, as in tables with one column per year."""
    numbers = [cell.strip() for cell, kind in zip(first, kinds, strict=True) if kind == "number"]
    if len(numbers) < 2 or "text" not in kinds or not all(re.fullmatch(r"(19|20)\d\d", n) for n in numbers):
        return False
    return numbers == sorted(set(numbers))


def _kind(cell: str) -> str:
    text = cell.strip()
    if text in TOKENS:
        return "missing"
    try:
        Number().parse_cell(text)
    except ValueError:
        return "text" if format_of(text) is None else "date"
    return "number"
