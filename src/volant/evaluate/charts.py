"""Plots as inline SVG, written by hand: the browser's own fonts draw every script, and CSS colours them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

WIDTH, HEIGHT = 420.0, 320.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 12.0, 44.0

NOTHING = 1e-12
"""Numbers smaller than this are rounding errors."""

Point = Sequence[float]


def number(value: Any, digits: int = 4) -> str:
    """A number for people; a dash where there is none.

    >>> number(0.123456), number(1234567.0), number(None)
    ('0.1235', '1,234,567', '–')
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    if value <= -NOTHING:
        return "−" + number(-value, digits)
    if value < NOTHING or isinstance(value, int):
        return f"{abs(value):,.0f}"
    size = value
    if size >= 10**digits:
        return f"{value:,.0f}"
    if size < 1e-4:
        return f"{value:.2e}"
    return f"{value:,.{max(0, digits - 1 - math.floor(math.log10(size)))}f}" if size >= 1 else f"{value:.{digits}f}"


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover a range.

    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def tick_text(value: float) -> str:
    """A tick as short as can be."""
    size = abs(value)
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):g}{unit}"
    return f"{value:g}"


@dataclass(frozen=True)
class Axis:
    """A range of values on a range of pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(self.start + share * (self.end - self.start), 2)


@dataclass
class Plot:
    """A plot with two axes; marks are added in the order they are drawn."""

    x: tuple[float, float]
    y: tuple[float, float]
    x_title: str
    y_title: str
    label: str
    marks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.across = Axis(*self.x, LEFT, WIDTH - RIGHT)
        self.up = Axis(*self.y, HEIGHT - BOTTOM, TOP)

    def line(self, points: Sequence[Point], css: str, title: str = "") -> None:
        """A line through points (x, y)."""
        path = " ".join(f"{self.across.at(x)},{self.up.at(y)}" for x, y in points)
        self.marks.append(f'<polyline class="line {css}" points="{path}">{_title(title)}</polyline>')

    def area(self, low: Sequence[Point], high: Sequence[Point], css: str) -> None:
        """The area between two lines."""
        path = " ".join(f"{self.across.at(x)},{self.up.at(y)}" for x, y in [*low, *reversed(high)])
        self.marks.append(f'<polygon class="area {css}" points="{path}"/>')

    def dots(self, points: Sequence[Point], css: str, radius: float = 2.4) -> None:
        """A dot per point."""
        for x, y in points:
            self.marks.append(f'<circle class="{css}" cx="{self.across.at(x)}" cy="{self.up.at(y)}" r="{radius}"/>')

    def whisker(self, x: float, low: float, high: float, css: str) -> None:
        """A vertical interval."""
        at = self.across.at(x)
        self.marks.append(f'<line class="{css}" x1="{at}" x2="{at}" y1="{self.up.at(low)}" y2="{self.up.at(high)}"/>')

    def bars(self, counts: Sequence[float], edges: Sequence[float], css: str) -> None:
        """A histogram that stands on the axis."""
        for count, start, end in zip(counts, edges, edges[1:], strict=False):
            left, right, top = self.across.at(start), self.across.at(end), self.up.at(count)
            height = round(self.up.at(self.y[0]) - top, 2)
            title = f"{tick_text(round(start, 4))} to {tick_text(round(end, 4))}: {number(count)}"
            self.marks.append(
                f'<rect class="{css}" x="{left + 0.5:.2f}" y="{top}" width="{max(right - left - 1, 0.5):.2f}"'
                f' height="{height}">{_title(title)}</rect>'
            )

    def svg(self) -> str:
        """The whole plot."""
        head = f'<svg class="plot" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(self.label)}">'
        return head + "".join([*self._grid(), *self.marks, *self._titles()]) + "</svg>"

    def _grid(self) -> Iterator[str]:
        bottom, top = HEIGHT - BOTTOM, TOP
        for value in ticks(*self.x):
            at = self.across.at(value)
            yield f'<line class="grid" x1="{at}" x2="{at}" y1="{bottom}" y2="{top}"/>'
            yield f'<text class="tick" x="{at}" y="{bottom + 16}" text-anchor="middle">{tick_text(value)}</text>'
        for value in ticks(*self.y):
            at = self.up.at(value)
            yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
            yield f'<text class="tick" x="{LEFT - 7}" y="{at + 4}" text-anchor="end">{tick_text(value)}</text>'

    def _titles(self) -> Iterator[str]:
        middle = (LEFT + WIDTH - RIGHT) / 2
        yield f'<text class="axis" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(self.x_title)}</text>'
        up = (TOP + HEIGHT - BOTTOM) / 2
        turn = f'transform="rotate(-90 13 {up})"'
        yield f'<text class="axis" x="13" y="{up}" text-anchor="middle" {turn}>{escape(self.y_title)}</text>'


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""


def curve(lines: Sequence[tuple[str, Sequence[Point]]], x: str, y: str, label: str, chance: Sequence[Point]) -> str:
    """Curves in the unit square, with what chance would give as a dashed line."""
    plot = Plot((0.0, 1.0), (0.0, 1.0), x, y, label)
    if chance:
        plot.line(chance, "chance", "by chance")
    for i, (name, points) in enumerate(lines):
        if len(lines) == 1:
            plot.area([(points[0][0], 0.0), (points[-1][0], 0.0)], points, "s0")
        plot.line(points, f"s{i % 8}", name)
    return plot.svg()


def calibration(bins: Sequence[dict[str, float]]) -> str:
    """What was said against what came, each bin with its interval; perfect is the diagonal."""
    plot = Plot((0.0, 1.0), (0.0, 1.0), "probability that was stated", "share that came true", "calibration")
    plot.line([(0, 0), (1, 1)], "chance", "perfectly calibrated")
    for one in bins:
        plot.whisker(one["said"], one["low"], one["high"], "whisker s0")
    plot.line([(one["said"], one["came"]) for one in bins], "s0")
    plot.dots([(one["said"], one["came"]) for one in bins], "dot s0", 3.4)
    return plot.svg()


def histogram(counts: Sequence[float], edges: Sequence[float], x: str, label: str) -> str:
    """Counts over a range."""
    plot = Plot((edges[0], edges[-1]), (0.0, max(*counts, 1) * 1.05), x, "rows", label)
    plot.bars(counts, edges, "pile s0")
    return plot.svg()


def scatter(points: Sequence[Point], x: str, y: str) -> str:
    """Truth against prediction, with the line on which both are the same."""
    values = [v for point in points for v in point]
    low, high = _wider(min(values), max(values))
    plot = Plot((low, high), (low, high), x, y, "prediction against truth")
    plot.dots([(f, t) for t, f in points], "point s0")
    plot.line([(low, low), (high, high)], "chance", "prediction = truth")
    return plot.svg()


def along(groups: Sequence[dict[str, float]]) -> str:
    """The middle and the middle eight tenths of the errors, along the prediction."""
    low, high = _wider(min(g["low"] for g in groups), max(g["high"] for g in groups))
    low, high = min(low, 0.0), max(high, 0.0)
    left, right = groups[0]["predicted"], groups[-1]["predicted"]
    plot = Plot(_wider(left, right), (low, high), "prediction", "truth minus prediction", "errors along the prediction")
    plot.area([(g["predicted"], g["low"]) for g in groups], [(g["predicted"], g["high"]) for g in groups], "s0")
    plot.line([(plot.x[0], 0.0), (plot.x[1], 0.0)], "chance", "no error")
    plot.line([(g["predicted"], g["middle"]) for g in groups], "s0", "median error")
    plot.dots([(g["predicted"], g["middle"]) for g in groups], "dot s0", 3)
    return plot.svg()


def _wider(low: float, high: float) -> tuple[float, float]:
    margin = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def whisker(
    value: float | None, low: float | None, high: float | None, span: tuple[float, float], marks: Sequence[float] = ()
) -> str:
    """A value with its interval on one line; `marks` are upright strokes to compare with."""
    axis = Axis(*span, 4.0, 156.0)
    parts = [
        f'<line class="mark m{i}" x1="{_in(axis, m)}" x2="{_in(axis, m)}" y1="1" y2="15"/>' for i, m in enumerate(marks)
    ]
    if value is None:
        return f'<svg class="whisker" viewBox="0 0 160 16" aria-hidden="true">{"".join(parts)}</svg>'
    if low is not None and high is not None:
        parts.append(f'<line class="span" x1="{_in(axis, low)}" x2="{_in(axis, high)}" y1="8" y2="8"/>')
    parts.append(f'<circle cx="{_in(axis, value)}" cy="8" r="3.6"/>')
    return (
        '<svg class="whisker" viewBox="0 0 160 16" aria-hidden="true">'
        f'<line class="track" x1="4" x2="156" y1="8" y2="8"/>{"".join(parts)}</svg>'
    )


def _in(axis: Axis, value: float) -> float:
    return axis.at(min(max(value, axis.low), axis.high))
