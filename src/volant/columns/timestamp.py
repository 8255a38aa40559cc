"""Points in time: ISO 8601 and the other formats in which files write dates.

A cell is always read by its own form, so training and serving agree. Where the form leaves open which
number is the day, the separator decides: `1/2/2024` is month/day/year, `1.2.2024` and `1-2-2024` are
day, month, year. A cell that breaks this rule (`31/1/2024`) cannot be read, and is reported.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns import cells
from volant.columns.missing import TOKENS, null_missing
from volant.columns.sample import Sample, name_parts
from volant.columns.slashed import read_slashed
from volant.core.protocols import Parsed, Recognition

_SHORT = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_SHORT, 1)}
_MONTH = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?,?\s+)?"
_FORMATS = {
    "YYYY-MM-DD": r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})",
    "YYYY/MM/DD": r"(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})",
    "YYYY.MM.DD": r"(?P<year>\d{4})\.(?P<month>\d{1,2})\.(?P<day>\d{1,2})",
    "MM/DD/YYYY": r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})",
    "DD.MM.YYYY": r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})",
    "DD-MM-YYYY": r"(?P<day>\d{1,2})-(?P<month>\d{1,2})-(?P<year>\d{4})",
    "YYYYMMDD": r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
    "YYYY-MM": r"(?P<year>\d{4})-(?P<month>\d{2})",
    "DD Mon YYYY": _WEEKDAY + r"(?P<day>\d{1,2})[- ]" + _MONTH + r",?[- ](?P<year>\d{4})",
    "Mon DD, YYYY": _WEEKDAY + _MONTH + r"\s(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s(?P<year>\d{4})",
    "YYYY年MM月DD日": r"(?P<year>\d{4})年(?P<month>\d{1,2})月(?:(?P<day>\d{1,2})[日号])?",
}
_PATTERNS = {name: re.compile(pattern, re.IGNORECASE | re.ASCII) for name, pattern in _FORMATS.items()}
_CLOCKS = [
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        r"(?:t|,?\s+|(?<=[日号]))(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?)?"
        r"(?:\s*(?P<half>am|pm))?(?:\s*(?P<zone>z|utc|gmt|[+-]\d{2}(?::?\d{2})?))?",
        r"\s*(?P<hour>\d{1,2})[时点](?:(?P<minute>\d{1,2})分(?:(?P<second>\d{1,2})秒)?)?",
    )
]
_NAMES = frozenset(["date", "day", "dt", "time", "timestamp", "datetime", "created", "updated", "日期", "时间"])
_ENOUGH = 0.9
_LOOKED_AT = 2_000


@dataclass(frozen=True)
class Timestamp:
    """Points in time in UTC, to the microsecond. `day_first` reads `1/2/2024` as the first of February."""

    missing: frozenset[str] = field(default=TOKENS, repr=False)
    day_first: bool = False
    name = "timestamp"
    summary = "dates and times"
    storage = pa.timestamp("us")

    def recognise(self, name: str, values: pa.Array) -> Recognition:
        sample = Sample.of(values, self.missing)
        if sample.rows and sample.kind == "time":
            return Recognition(1.0, f"the source says date or time, {sample.counted()}")
        if sample.rows == 0 or sample.kind not in ("text", "number"):
            return Recognition(0.0, f"{sample.counted()} are not dates")
        formats = Counter(format_of(str(cell)) for cell in sample.cells.slice(0, _LOOKED_AT).to_pylist())
        dated = 1 - formats.pop(None, 0) / min(sample.rows, _LOOKED_AT)
        if dated < _ENOUGH or (set(formats) == {"YYYYMMDD"} and not _NAMES & set(name_parts(name))):
            return Recognition(0.0, f"{dated:.0%} of the cells look like dates")
        return self._recognise_dates(sample, sorted(str(shape) for shape in formats))

    def _recognise_dates(self, sample: Sample, formats: list[str]) -> Recognition:
        bad = len(self.parse(sample.cells).unreadable)
        reason = f"dates as {' and '.join(formats)}, {sample.counted()}"
        if bad:
            reason += f"; {bad:,} of them cannot be read that way"
        return Recognition(0.93, reason)

    def parse_cell(self, cell: Any) -> dt.datetime | None:
        """One raw cell to a datetime without zone, in UTC."""
        cell = cells.plain(cell)
        if cell is None:
            return None
        if isinstance(cell, str):
            text = cell.strip()
            return None if text in self.missing else self._read(text)
        if isinstance(cell, dt.datetime):
            try:
                return _utc(dt.datetime.combine(cell.date(), cell.timetz(), cell.tzinfo))
            except OverflowError:
                raise ValueError("expected a time in the years 1 to 9999") from None
        if isinstance(cell, dt.date):
            return dt.datetime(cell.year, cell.month, cell.day)
        if isinstance(cell, int | float) and 10_000_101 <= cell <= 99_991_231:
            return self.parse_cell(cells.text_of(cell))
        raise ValueError(f"expected a date, not {type(cell).__name__}")

    def _read(self, text: str) -> dt.datetime:
        found = _match(text)
        if found is None:
            raise ValueError("expected a date such as 2024-01-31 or 2024-01-31T08:30:00Z")
        form, date, clock = found
        month, day = int(date.get("month") or _MONTHS[(date.get("name") or "jan")[:3].lower()]), int(date["day"] or 1)
        if self.day_first and form == "MM/DD/YYYY":
            month, day = day, month
        try:
            return _utc(_with_clock(dt.datetime(int(date["year"] or 0), month, day), clock))
        except (ValueError, OverflowError):
            raise ValueError("expected a date and a time of day that exist, in the years 1 to 9999") from None

    def parse(self, raw: pa.Array | pa.ChunkedArray) -> Parsed:
        """Whole Arrow arrays: what is ISO 8601 throughout by casts, the rest by distinct cells."""
        array = cells.simple(raw)
        if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
            return _within_years(array.cast(self.storage, safe=False), array)
        if pa.types.is_string(array.type):
            array = null_missing(pc.utf8_trim_whitespace(array), self.missing)
            for kind in (self.storage, pa.timestamp("us", "UTC")):
                values = cells.cast_texts(array, kind)
                if values is not None:
                    return _within_years(values, array)
            return self._parse_texts(array)
        return cells.parse_each(self.parse_cell, array, self.storage)

    def _parse_texts(self, texts: pa.Array) -> Parsed:
        """Read the most frequent form at once, and cell by cell what does not have it."""
        values = read_slashed(texts, day_first=self.day_first)
        others = pc.and_(pc.is_valid(texts), pc.is_null(values))
        if not pc.any(others).as_py():
            return Parsed(values, np.empty(0, dtype=np.int64))
        rest = cells.parse_each(self.parse_cell, pc.if_else(others, texts, None), self.storage)
        return Parsed(pc.coalesce(values, rest.values), rest.unreadable)

    def to_numpy(self, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """datetime64[us], shape (n,), NaT where missing."""
        array: np.ndarray = cells.whole(values).to_numpy(zero_copy_only=False)
        return array

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["string", "null"], "description": "a date or a time, ISO 8601", "format": "date-time"}


def format_of(text: str) -> str | None:
    """The format of a date, by its form alone, or None for anything else.

    >>> format_of("2024-01-31 08:30"), format_of("31.1.2024"), format_of("soon")
    ('YYYY-MM-DD', 'DD.MM.YYYY', None)
    """
    found = _match(text.strip())
    return None if found is None else found[0]


def _match(text: str) -> tuple[str, dict[str, str | None], dict[str, str | None]] | None:
    for name, pattern in _PATTERNS.items():
        date = pattern.match(text)
        if date is None:
            continue
        if date.end() == len(text):
            return name, {"day": None, **date.groupdict()}, {}
        for clock in _CLOCKS if name != "YYYY-MM" else ():
            time = clock.fullmatch(text, date.end())
            if time is not None:
                return name, {"day": None, **date.groupdict()}, time.groupdict()
    return None


def _with_clock(date: dt.datetime, clock: dict[str, str | None]) -> dt.datetime:
    if not clock:
        return date
    hour, minute, second = (int(clock.get(unit) or 0) for unit in ("hour", "minute", "second"))
    half = (clock.get("half") or "").lower()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError
        hour = hour % 12 + (12 if half == "pm" else 0)
    micro = int(((clock.get("part") or "") + "000000")[:6])
    return date.replace(hour=hour, minute=minute, second=second, microsecond=micro, tzinfo=_zone(clock.get("zone")))


def _zone(text: str | None) -> dt.tzinfo | None:
    if text is None:
        return None
    if text.lower() in ("z", "utc", "gmt"):
        return dt.UTC
    digits = text[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError
    offset = dt.timedelta(hours=hours, minutes=minutes)
    return dt.timezone(-offset if text[0] == "-" else offset)


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo is None else moment.astimezone(dt.UTC).replace(tzinfo=None)


def _within_years(values: pa.Array, source: pa.Array) -> Parsed:
    """Null what lies outside the years 1 to 9999, which no calendar of Python holds."""
    values = values.cast(pa.timestamp("us"))
    first, last = (pa.scalar(limit, pa.timestamp("us")) for limit in (dt.datetime.min, dt.datetime.max))
    inside = pc.and_(pc.greater_equal(values, first), pc.less_equal(values, last))
    bad = pc.and_(pc.is_valid(source), pc.invert(pc.fill_null(inside, False)))
    return Parsed(pc.if_else(inside, values, None), np.flatnonzero(bad.to_numpy(zero_copy_only=False)))
