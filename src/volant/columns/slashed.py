"""Dates such as `1/31/2024 8:30`, read for whole arrays at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_FORM = (
    r"^(?P<first>[0-9]{1,2})/(?P<second>[0-9]{1,2})/(?P<year>[0-9]{4})"
    r"(?: (?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<seconds>[0-9]{2}))?)?$"
)
_MOST = {"hour": 23, "minute": 59, "seconds": 59}


def read_slashed(texts: pa.Array, *, day_first: bool) -> pa.Array:
    """Timestamps of the cells that have this form and exist; null for all others."""
    parts = pc.extract_regex(texts, _FORM)
    matched = parts.is_valid().to_numpy(zero_copy_only=False)
    numbers = {name: _numbers(pc.struct_field(parts, name)) for name in ("first", "second", "year", *_MOST)}
    month, day = (numbers["second"], numbers["first"]) if day_first else (numbers["first"], numbers["second"])
    months = ((numbers["year"] - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    exists = (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)
    exists &= matched & (numbers["year"] >= 1)
    clock = np.zeros(len(texts), dtype=np.int64)
    for name, most in _MOST.items():
        exists &= numbers[name] <= most
        clock = clock * 60 + numbers[name]
    moments = days.astype("datetime64[us]") + clock.astype("timedelta64[s]")
    return pa.array(moments, pa.timestamp("us"), mask=~exists)


def _numbers(texts: pa.Array) -> np.ndarray:
    filled = pc.if_else(pc.equal(pc.binary_length(pc.fill_null(texts, "")), 0), "0", pc.fill_null(texts, "0"))
    array: np.ndarray = filled.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return array
