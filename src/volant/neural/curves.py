"""Curves of learning, written while a model learns: one line of JSON per look, and a picture drawn anew each time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from volant.bind import mlflow

WIDE, HIGH, MARGIN = 640, 320, 44
COLOURS = ("#4063d8", "#cb3c33", "#389826", "#9558b2")


@dataclass(frozen=True)
class Point:
    """How a training stands at one look. `progress` is that of its schedules, in [0, 1]."""

    step: int
    epoch: float
    progress: float
    loss: float
    held_out: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    rows_per_second: float | None = None

    @property
    def left(self) -> float | None:
        """Seconds that it will take until its end, as fast as it went so far."""
        return None if self.seconds is None else self.seconds * (1.0 - self.progress) / max(self.progress, 1e-9)

    def values(self) -> dict[str, float]:
        """The losses and metrics by name."""
        judged = {} if self.held_out is None else {"held out": self.held_out}
        return {"loss": self.loss, **judged, **self.metrics}

    def text(self) -> str:
        """What the line of progress says."""
        parts = [f"epoch {self.epoch:.0f}" if self.epoch >= 10 else f"epoch {self.epoch:.1f}", f"loss {self.loss:.4f}"]
        parts += [] if self.held_out is None else [f"{self.held_out:.4f} held out"]
        parts += [f"{name} {value:.4f}" for name, value in self.metrics.items()]
        if self.rows_per_second is not None and self.left is not None:
            parts += [f"{self.rows_per_second:,.0f} rows/s", f"{self.left:,.0f} s left"]
        return ", ".join(parts)


class Curves:
    """Writes `curves.jsonl` and `curves.svg` into a folder; a training that goes on adds to what is there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lines, self._picture = folder / "curves.jsonl", folder / "curves.svg"
        self._points = [json.loads(line) for line in self._read()]
        self._tracked = mlflow.Tracked(folder.name, {"folder": folder.name}) if mlflow.wanted() else None

    def _read(self) -> list[str]:
        return self._lines.read_text().splitlines() if self._lines.is_file() else []

    def add(self, point: Point) -> None:
        """Append a look; looks of a training that goes on from an earlier step replace those behind it."""
        record = asdict(point)
        behind = [p for p in self._points if p["step"] < point.step]
        if len(behind) < len(self._points):
            self._lines.write_text("".join(json.dumps(p) + "\n" for p in behind))
        self._points = [*behind, record]
        with self._lines.open("a") as stream:
            stream.write(json.dumps(record) + "\n")
        self._picture.write_text(drawn(self._points))
        if self._tracked is not None:
            self._tracked.add(point.step, point.values())
            if point.progress >= 1.0:
                self._tracked.end()


def drawn(points: Sequence[Mapping[str, Any]]) -> str:
    """An SVG of the losses and metrics of looks by epoch, each scaled to its own range, which the legend tells."""
    named: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        values = {"loss": point["loss"], "held out": point["held_out"], **point["metrics"]}
        for name, value in values.items():
            if value is not None:
                named.setdefault(name, []).append((point["epoch"], value))
    both = [value for name in ("loss", "held out") for _, value in named.get(name, [])]
    last = max((point["epoch"] for point in points), default=1.0) or 1.0
    parts = [_line(name, line, i, last, both) for i, (name, line) in enumerate(named.items())]
    base = HIGH - MARGIN
    axis = f'<path d="M{MARGIN} {MARGIN / 2}V{base}H{WIDE - MARGIN / 2}" fill="none" stroke="#999"/>'
    label = f'<text x="{WIDE - MARGIN / 2}" y="{HIGH - 12}" text-anchor="end">epoch {last:g}</text>'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" font-family="sans-serif" font-size="12">'
    )
    return "".join([head, axis, label, *parts, "</svg>"])


def _line(name: str, line: Sequence[tuple[float, float]], place: int, last: float, losses: Sequence[float]) -> str:
    """One curve and its entry in the legend; losses share a scale."""
    values = losses if name in ("loss", "held out") else [value for _, value in line]
    low, high = min(values), max(values)
    base, top = HIGH - MARGIN, MARGIN / 2
    spread = (high - low) or 1.0
    spots = [
        f"{MARGIN + (WIDE - 1.5 * MARGIN) * epoch / last:.1f},{base - (base - top) * (value - low) / spread:.1f}"
        for epoch, value in line
    ]
    colour = COLOURS[place % len(COLOURS)]
    told = f"{escape(name)} {line[-1][1]:.4g} ({low:.4g} to {high:.4g})"
    at = MARGIN + 8 + (WIDE - 2 * MARGIN) / 2 * (place % 2)
    y = HIGH - 26 + 14 * (place // 2)
    return (
        f'<polyline points="{" ".join(spots)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        f'<text x="{at:.0f}" y="{y}" fill="{colour}">{told}</text>'
    )
