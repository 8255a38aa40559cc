"""The part of the report that shows intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from volant.evaluate.charts import Plot, whisker


def intervals_section(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the template shows of an `intervals_view`; None where there is none."""
    if not found:
        return None
    promised = found["promised"]
    least = min([0.5, *(one["covered_low"] for one in found["slices"])])
    slices = [{**one, **_against(one, promised, least)} for one in found["slices"]]
    return {
        **found,
        "slices": slices,
        "fan": _fan(found["points"]),
        "by_prediction": _kept(found["along"], "predicted", "prediction", promised),
        "by_width": _kept(found["by_width"], "width", "width of the interval", promised),
    }


def _against(one: Mapping[str, Any], promised: float, least: float) -> dict[str, Any]:
    """Whether a group surely gets less than was promised, and its drawing."""
    low, high = one["covered_low"], one["covered_high"]
    return {"worse": high < promised, "plot": whisker(one["covered"], low, high, (least, 1.0), (promised,))}


def _fan(points: Sequence[Sequence[float]]) -> str:
    """Intervals in the order of the prediction, with the truths."""
    lows, highs, truths = ([point[i] for point in points] for i in (1, 2, 3))
    across = (0.0, float(max(len(points) - 1, 1)))
    plot = Plot(across, _wide(min([*lows, *truths]), max([*highs, *truths])), "rows, by prediction", "", "intervals")
    for i, (_, low, high, _truth) in enumerate(points):
        plot.whisker(i, low, high, "whisker s0")
    inside = [(i, y) for i, (_, low, high, y) in enumerate(points) if low <= y <= high]
    outside = [(i, y) for i, (_, low, high, y) in enumerate(points) if not low <= y <= high]
    plot.dots(inside, "dot s0", 1.9)
    plot.dots(outside, "dot s1", 2.6)
    return plot.svg()


def _kept(groups: Sequence[Mapping[str, float]], name: str, title: str, promised: float) -> str:
    """The share of truths within, in groups of rows, against what was promised."""
    least = min([promised - 0.2, *(one["covered_low"] for one in groups)])
    across = _wide(groups[0][name], groups[-1][name])
    plot = Plot(across, (max(0.0, least), 1.0), title, "share of truths within", f"coverage by {title}")
    plot.line([(across[0], promised), (across[1], promised)], "chance", "promised")
    for one in groups:
        plot.whisker(one[name], one["covered_low"], one["covered_high"], "whisker s0")
    plot.line([(one[name], one["covered"]) for one in groups], "s0")
    plot.dots([(one[name], one["covered"]) for one in groups], "dot s0", 3.2)
    return plot.svg()


def _wide(low: float, high: float) -> tuple[float, float]:
    margin = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
    return low - margin, high + margin
