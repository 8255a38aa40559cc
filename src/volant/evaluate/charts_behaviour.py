"""Plots of how a model behaves: contributions as swarms of dots, and answers along a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from volant.evaluate.charts import HEIGHT, Axis, Plot, number, tick_text, ticks

SWARM_WIDTH, ROW, NAMES = 520.0, 32.0, 128.0
"""Width of the swarm, height of a column's line in it, and room for the columns' names."""

MOST_NAME = 18
"""Letters of a name that are shown."""

_DAYS_A_YEAR = 365.2425


def short(name: str, most: int = MOST_NAME) -> str:
    """A name that fits."""
    return name if len(name) <= most else name[: most - 1] + "…"


def swarm(attributions: Sequence[Mapping[str, Any]], title: str) -> str:
    """A line per column with a dot per row: how much the column added, coloured by how high its cell is."""
    values = [dot[0] for one in attributions for dot in one["dots"]]
    reach = max((abs(v) for v in values), default=1.0) or 1.0
    axis = Axis(-reach * 1.05, reach * 1.05, NAMES, SWARM_WIDTH - 10)
    height = ROW * len(attributions) + 44
    parts = [f'<svg class="plot" viewBox="0 0 {SWARM_WIDTH:g} {height:g}" role="img" aria-label="contributions">']
    parts += _swarm_grid(axis, height, title)
    for i, one in enumerate(attributions):
        middle = ROW * (i + 0.5)
        name = f"<title>{escape(one['column'])}</title>{escape(short(one['column']))}"
        parts.append(f'<text class="axis" x="{NAMES - 12}" y="{middle + 4}" text-anchor="end">{name}</text>')
        parts += _dots(one["dots"], axis, middle)
    return "".join(parts) + "</svg>"


def _swarm_grid(axis: Axis, height: float, title: str) -> list[str]:
    bottom = height - 40
    parts = []
    for value in ticks(axis.low, axis.high):
        at = axis.at(value)
        css = "grid zero" if value == 0 else "grid"
        parts.append(f'<line class="{css}" x1="{at}" x2="{at}" y1="{bottom}" y2="0"/>')
        parts.append(f'<text class="tick" x="{at}" y="{bottom + 16}" text-anchor="middle">{tick_text(value)}</text>')
    middle = (axis.start + axis.end) / 2
    parts.append(f'<text class="axis" x="{middle}" y="{height - 6}" text-anchor="middle">{escape(title)}</text>')
    return parts


def _dots(dots: Sequence[Sequence[float | None]], axis: Axis, middle: float) -> list[str]:
    """Dots that lie where others do are moved up and down by turns."""
    met: dict[int, int] = {}
    parts = []
    for part, place in dots:
        x = axis.at(float(part or 0.0))
        cell = round(x / 4)
        turn = met[cell] = met.get(cell, -1) + 1
        y = middle + (2.6 * ((turn + 1) // 2) * (1 if turn % 2 else -1)) if turn < 11 else middle
        css = "none" if place is None else f"v{min(int(place * 5), 4)}"
        parts.append(f'<circle class="bee {css}" cx="{x:g}" cy="{y:g}" r="2.6"/>')
    return parts


def moved(one: Mapping[str, Any], names: Sequence[str], span: tuple[float, float], y: str) -> str:
    """Answers along a column: a line per output, with a band of two standard errors; local effects dashed."""
    if one["type"] not in ("number", "timestamp"):
        return _by_category(one, names, span)
    x, title = _along(one)
    plot = Plot((min(x), max(x)), span, title, y, f"dependence on {one['column']}")
    _rug(plot, x, one["share"])
    for i, name in enumerate(names):
        mean, error = ([row[i] for row in one[key]] for key in ("mean", "error"))
        low = [(a, max(b - 2 * c, span[0])) for a, b, c in zip(x, mean, error, strict=True)]
        high = [(a, min(b + 2 * c, span[1])) for a, b, c in zip(x, mean, error, strict=True)]
        plot.area(low, high, f"s{i % 8}")
        plot.line(list(zip(x, mean, strict=True)), f"s{i % 8}", f"{name}: partial dependence")
        if one["local"] and len(names) == 1:
            local = [min(max(row[i], span[0]), span[1]) for row in one["local"]]
            plot.line(list(zip(x, local, strict=True)), "local s1", f"{name}: accumulated local effects")
    return plot.svg()


def _along(one: Mapping[str, Any]) -> tuple[list[float], str]:
    """Values as numbers, times as years, and what the axis is called."""
    if one["type"] == "number":
        return [float(value) for value in one["values"]], short(one["column"], 40)
    times = np.array(one["values"], dtype="datetime64[s]").astype(np.int64)
    return [1970 + float(t) / 86_400 / _DAYS_A_YEAR for t in times], f"{short(one['column'], 30)} (year)"


def _rug(plot: Plot, x: Sequence[float], share: Sequence[float]) -> None:
    """How dense the rows are, as bars along the bottom; roots, so that sparse rows are seen beside many."""
    edges = [x[0], *[(a + b) / 2 for a, b in pairwise(x)], x[-1]]
    dense = [part / (end - start) for part, (start, end) in zip(share, pairwise(edges), strict=True)]
    dense[0], dense[-1] = dense[0] / 2, dense[-1] / 2  # only the inner half of the first and the last is drawn
    top = min(max(dense), 8 * float(np.median(dense)) or max(dense)) or 1.0
    for part, (start, end) in zip(dense, pairwise(edges), strict=True):
        left, right = plot.across.at(start), plot.across.at(end)
        height = 22 * float(np.sqrt(min(part / top, 1.0)))
        base = plot.up.at(plot.y[0])
        plot.marks.append(
            f'<rect class="rug" x="{left:.2f}" y="{base - height:.2f}" width="{max(right - left - 0.6, 0.4):.2f}"'
            f' height="{height:.2f}"/>'
        )


def _by_category(one: Mapping[str, Any], names: Sequence[str], span: tuple[float, float]) -> str:
    """A line per category with its answers as dots."""
    width, left, row = 420.0, 130.0, 24.0
    labels = [_label(value, one["type"]) for value in one["values"]]
    height = max(row * len(labels) + 34, HEIGHT * 0.5)
    axis = Axis(*span, left, width - 12)
    parts = [f'<svg class="plot" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(one["column"])}">']
    bottom = row * len(labels) + 8
    for value in ticks(*span):
        at = axis.at(value)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{bottom}" y2="0"/>')
        parts.append(f'<text class="tick" x="{at}" y="{bottom + 16}" text-anchor="middle">{tick_text(value)}</text>')
    for i, label in enumerate(labels):
        y = row * (i + 0.5) + 4
        share = f"{100 * one['share'][i]:.0f} % of the rows"
        text = f"<title>{escape(label)}: {share}</title>{escape(short(label, 18))}"
        parts.append(f'<text class="axis" x="{left - 10}" y="{y + 4}" text-anchor="end">{text}</text>')
        for j, name in enumerate(names):
            mean, error = one["mean"][i][j], one["error"][i][j]
            low, high = (axis.at(min(max(mean + side * error, span[0]), span[1])) for side in (-2, 2))
            said = f"<title>{escape(name)}: {number(mean)}</title>"
            parts.append(f'<line class="line s{j % 8} faint" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>')
            parts.append(f'<circle class="dot s{j % 8}" cx="{axis.at(mean)}" cy="{y}" r="4">{said}</circle>')
    return "".join(parts) + "</svg>"


def _label(value: Any, kind: str) -> str:
    if value is None:
        return "missing"
    return ("yes" if value else "no") if kind == "boolean" else str(value)
