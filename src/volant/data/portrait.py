"""What a dataset looks like: facts and small pictures per column, without any person in them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from volant.columns.thumbnails import thumbnail
from volant.core.records import PARTS, Column
from volant.data.checks.patterns import personal
from volant.data.checks.study import Codes, Study

FEWEST = 5
"""Categories of fewer rows are folded together."""

MOST_BARS = 12
BINS = 24
ROWS_FOR_QUANTILES = 100
HUGE = 1e100
MAP_ROWS = 80
MAP_COLUMNS = 40
MOST_SHEETS, PER_SHEET, THUMBNAIL = 12, 8, 72
"""Classes that pictures are shown of, pictures of each, and their pixels."""


def portrait(study: Study, hidden: Collection[str]) -> dict[str, Any]:
    """Rows, sides, columns, target and the map of missing cells, as plain JSON.

    Args:
        study: the rows.
        hidden: columns whose values must not be shown.
    """
    sample = study.sample()
    columns = [describe(study, sample, column, column.name in hidden) for column in study.schema.columns]
    target = next((c for c in columns if c["role"] == "target"), None)
    pictures = [c.name for c in study.schema.columns if c.type == "image" and c.name not in hidden]
    return {
        "samples": samples(study, pictures[0]) if pictures else [],
        "rows": len(study),
        "sampled": len(sample) if len(sample) < len(study) else None,
        "sides": _sides(study),
        "columns": columns,
        "target": target,
        "missing_map": missing_map(sample),
    }


def samples(study: Study, name: str) -> list[dict[str, Any]]:
    """A few pictures of each of the largest classes, or of all rows where there are no classes: small ones, as URLs."""
    targets = [c.name for c in study.schema.of_role("target") if study.kind(c.name) in ("text", "boolean")]
    filled = study.filled(name)
    groups: list[tuple[str, np.ndarray]] = [("all rows", np.flatnonzero(filled))]
    if targets:
        codes = study.codes(targets[0])
        order = [int(i) for i in np.argsort(-codes.sizes(), kind="stable")[:MOST_SHEETS]]
        groups = [(str(codes.labels[i].as_py()), np.flatnonzero(filled & (codes.codes == i))) for i in order]
    return [{"class": label, "pictures": _some(study, name, rows)} for label, rows in groups if len(rows)]


def _some(study: Study, name: str, rows: np.ndarray) -> list[str]:
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(PER_SHEET, len(rows))).astype(np.int64))]
    cells = study.take(chosen).batch([name])[name]
    return [url for url in (thumbnail(bytes(cell), THUMBNAIL) for cell in cells) if url is not None]


def _sides(study: Study) -> dict[str, int]:
    sides = study.sides()
    return {part: int((sides == place).sum()) for place, part in enumerate(PARTS)}


def describe(study: Study, sample: Study, column: Column, hidden: bool) -> dict[str, Any]:
    """One column: type, role, why, how much is missing, how many values, and a picture of them.

    `bars` holds a share per bar and, where values may be shown, its label.
    """
    rows = len(study)
    facts: dict[str, Any] = {
        "name": column.name,
        "type": column.type,
        "role": column.role,
        "reason": column.reason,
        "missing": round(study.missing(column.name) / rows, 6) if rows else 0.0,
        "distinct": sample.distinct(column.name),
        "distinct_more": len(sample) < rows,
        "hidden": hidden,
    }
    return {**facts, **_picture(sample, column, hidden)}


def _picture(sample: Study, column: Column, hidden: bool) -> dict[str, Any]:
    nothing: dict[str, Any] = {"picture": "none", "bars": [], "range": None}
    if hidden or column.type in ("id", "text", "list", "json"):
        return nothing
    kind = sample.kind(column.name)
    if kind in ("number", "time"):
        return _histogram(sample.values(column.name), kind) or nothing
    if kind in ("text", "boolean"):
        return {"picture": "bars", "bars": _bars(sample.codes(column.name)), "range": None}
    return nothing


def _histogram(values: np.ndarray, kind: str) -> dict[str, Any] | None:
    """Bars between the 1st and the 99th percentile; what lies outside falls into the outermost bars."""
    values = values[np.abs(values) <= HUGE]
    if len(values) < 2 * FEWEST:
        return None
    low, middle, high = np.quantile(values, [0.01, 0.5, 0.99])
    if low == high:
        low, high = values.min(), values.max()
    bins = min(BINS, len(np.unique(values)))
    places = (np.clip(values, low, high) - low) / (high - low) * bins if low < high else np.zeros(len(values))
    counts = np.bincount(np.minimum(places, bins - 1).astype(np.int64), minlength=bins)
    shown = [_label(edge, kind) for edge in (low, middle, high)] if len(values) >= ROWS_FOR_QUANTILES else None
    shares = [{"share": round(float(c) / len(values), 6), "label": None} for c in counts]
    return {"picture": "histogram", "bars": shares, "range": shown}


def _label(value: float, kind: str) -> str:
    """A number to three digits, or a day."""
    if kind == "time":
        return str(np.datetime64(int(value), "us").astype("datetime64[D]"))
    return f"{float(f'{value:.3g}'):,.0f}" if 1000 <= abs(value) < 1e12 else f"{value:.3g}"


def _bars(codes: Codes) -> list[dict[str, Any]]:
    """Shares of the most frequent categories and of the others together; "other" has no label of its own."""
    sizes = codes.sizes()
    total = max(int(sizes.sum()), 1)
    order = [int(i) for i in np.argsort(-sizes, kind="stable")[:MOST_BARS] if sizes[i] >= FEWEST]
    labels = [str(codes.labels[i].as_py()) for i in order]
    shown = [(label, int(sizes[i])) for i, label in zip(order, labels, strict=True) if not personal(label)]
    bars: list[dict[str, Any]] = [{"share": round(n / total, 6), "label": label[:60]} for label, n in shown]
    rest = total - sum(n for _, n in shown)
    return [*bars, {"share": round(rest / total, 6), "label": None}] if rest and len(sizes) else bars


def missing_map(sample: Study) -> dict[str, Any]:
    """Where cells are missing: per column a share for each of up to 80 blocks of consecutive rows."""
    if not len(sample):
        return {"columns": [], "blocks": [], "more": 0}
    names = [c.name for c in sample.schema.columns if sample.missing(c.name)]
    names.sort(key=sample.missing, reverse=True)
    edges = np.linspace(0, len(sample), min(MAP_ROWS, len(sample)) + 1).astype(np.int64)
    blocks = [_by_block(~sample.filled(name), edges) for name in names[:MAP_COLUMNS]]
    return {"columns": names[:MAP_COLUMNS], "blocks": blocks, "more": max(len(names) - MAP_COLUMNS, 0)}


def _by_block(missing: np.ndarray, edges: np.ndarray) -> list[float]:
    return [round(float(share), 3) for share in np.add.reduceat(missing.astype(np.int64), edges[:-1]) / np.diff(edges)]
