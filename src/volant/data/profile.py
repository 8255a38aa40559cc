"""The reference profile of a dataset: what its columns look like, kept inside each release, without any person.

Categories with fewer than `FEWEST` rows are folded together; numbers are kept as quantiles only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from volant.columns.media import is_media
from volant.core.protocols import Rows

FEWEST = 5
MOST_CATEGORIES = 1_000
LEVELS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def profile(data: Rows) -> dict[str, Any]:
    """The profile of the input columns of these rows, as plain JSON."""
    columns = {c.name: {"type": c.type, **_describe(data, c.name, c.type)} for c in data.schema.inputs}
    return {"rows": len(data), "columns": columns}


def _describe(data: Rows, name: str, kind: str) -> dict[str, Any]:
    if is_media(kind):
        cells = data.batch([name])[name]
        return {"missing": round(sum(cell is None for cell in cells) / len(cells), 6) if len(cells) else 0.0}
    column = data.table([name]).column(0)
    missing = round(column.null_count / len(column), 6) if len(column) else 0.0
    if kind == "category":
        return {"missing": missing, **_categories(column)}
    describe = _DESCRIBE.get(kind, _nothing)
    return {"missing": missing, **describe(data.batch([name])[name])}


def _numbers(values: np.ndarray) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    # halved, so that the way from -1e308 to 1e308 is a number too
    return {"quantiles": [float(2 * q) for q in np.quantile(known / 2, LEVELS)]} if len(known) else {}


def _times(values: np.ndarray) -> dict[str, Any]:
    known = values[~np.isnat(values)].astype("datetime64[us]").astype(np.int64)
    if not len(known):
        return {}
    return {"quantiles": [str(np.datetime64(int(q), "us")) for q in np.quantile(known, LEVELS)]}


def _categories(column: pa.ChunkedArray) -> dict[str, Any]:
    counts = {pair["values"]: pair["counts"] for pair in column.drop_null().value_counts().to_pylist()}
    kept = sorted(((v, n) for v, n in counts.items() if n >= FEWEST), key=lambda pair: (-pair[1], pair[0]))
    kept = kept[:MOST_CATEGORIES]
    total = max(sum(counts.values()), 1)
    folded = sum(counts.values()) - sum(n for _, n in kept)
    return {"shares": {v: round(n / total, 6) for v, n in kept}, "other": round(folded / total, 6)}


def _texts(values: np.ndarray) -> dict[str, Any]:
    return _numbers(np.array([len(v) for v in values if v is not None], dtype=np.float64))


def _nothing(values: np.ndarray) -> dict[str, Any]:
    return {}


_DESCRIBE: dict[str, Callable[[np.ndarray], dict[str, Any]]] = {
    "number": _numbers,
    "boolean": _numbers,
    "timestamp": _times,
    "text": _texts,
}
