"""The report's parts on decisions and fairness: what their templates show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from volant.evaluate.charts import Plot, number, whisker

WORDS = {"mae": "mean absolute error"}
MOST_GROUPS = 40
SOURCES = {
    "threshold": "The threshold is fixed by the product file.",
    "metric": "It was chosen on training rows held out in turn to be best at {metric}.",
    "costs": "The answer is the class of least expected cost.",
    "fairness": "It was chosen on training rows held out in turn to be best at {metric} while groups stay close.",
}


def words(name: str) -> str:
    """A metric's name for people."""
    return WORDS.get(name, name.replace("_", " "))


def fairness_part(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Groups with their rates, and the distances between them, each with its interval on a line."""
    if not found or not found["audits"]:
        return None
    return {
        **found,
        "words": {name: words(name) for name in (found["metric"], *found["summaries"])},
        "audits": [_audit(one, found) for one in found["audits"]],
    }


def _audit(one: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    groups = one["groups"][:MOST_GROUPS]
    rates = list(groups[0]["rates"]) if groups else []
    spans = {name: _span([group["rates"][name] for group in groups]) for name in rates}
    return {
        "column": one["column"],
        "rates": rates,
        "groups": [{**group, "drawn": [_rate(group["rates"][r], spans[r]) for r in rates]} for group in groups],
        "more": max(0, len(one["groups"]) - MOST_GROUPS),
        "gaps": [_gap(gap, found, _reach(one["gaps"], found)) for gap in one["gaps"]],
    }


def _span(rates: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """One range for all groups, a little wider than their intervals."""
    ends = [v for rate in rates for v in (rate["low"], rate["high"], rate["value"]) if v is not None] or [0.0, 1.0]
    room = 0.06 * (max(ends) - min(ends)) or 0.5
    return min(ends) - room, max(ends) + room


def _rate(rate: Mapping[str, Any], span: tuple[float, float]) -> dict[str, Any]:
    return {**rate, "plot": whisker(rate["value"], rate["low"], rate["high"], span)}


def _reach(gaps: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> float:
    """How far the line goes that differences are drawn on: the same for all of them."""
    ends = [gap["high"] for gap in gaps if not gap["metric"].endswith("_ratio")]
    ends += [] if found["metric"].endswith("_ratio") else [found["limit"]]
    return 1.05 * max([v for v in ends if v is not None], default=1.0) or 1.0


def _gap(gap: Mapping[str, Any], found: Mapping[str, Any], reach: float) -> dict[str, Any]:
    """A distance on a line from none at all; the stroke is the limit."""
    ratio = gap["metric"].endswith("_ratio")
    limited = found["limit"] is not None and gap["metric"] == found["metric"]
    marks: Sequence[float] = [found["limit"]] if limited else []
    value = gap["value"]
    over = limited and (value is None or (value < found["limit"] if ratio else value > found["limit"]))
    return {
        **gap,
        "words": words(gap["metric"]),
        "limited": limited,
        "worse": over,
        "plot": whisker(value, gap["low"], gap["high"], (0.0, 1.0 if ratio else reach), marks),
    }


def decision_part(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How answers follow from probabilities, and how the metrics move with the threshold."""
    if not found:
        return None
    lines: Mapping[str, Any] = found.get("lines") or {}
    shown = [(words(name), points) for name, points in lines.items() if name != "cost"]
    decision = found["decision"]
    return {
        **found,
        "said": SOURCES[found["source"]].format(metric=words(found["metric"])),
        "minima": [(words(name), number(least)) for name, least in found["minimum"].items()],
        "curve": _curve(shown, found) if shown else None,
        "names": [name for name, _ in shown],
        "cost": _cost(lines["cost"], found) if lines.get("cost") else None,
        "groups": decision["thresholds"],
        "weights": list(zip(found["classes"], decision["weights"], strict=False)),
    }


def _curve(lines: Sequence[tuple[str, Any]], found: Mapping[str, Any]) -> str:
    plot = Plot((0.0, 1.0), (0.0, 1.0), "threshold", "metric on the test rows", "metrics along the threshold")
    _stand(plot, found)
    for i, (name, points) in enumerate(lines):
        plot.line(points, f"s{i % 8}", name)
    return plot.svg()


def _cost(points: Sequence[Sequence[float]], found: Mapping[str, Any]) -> str:
    values = [value for _, value in points]
    low, high = min([*values, 0.0]), max(values)
    plot = Plot((0.0, 1.0), (low, high + 0.05 * (high - low or 1.0)), "threshold", "mean cost", "cost and threshold")
    _stand(plot, found)
    plot.line(points, "s1", "mean cost of a row")
    return plot.svg()


def _stand(plot: Plot, found: Mapping[str, Any]) -> None:
    """Where the threshold stands, and where it stood on eight tenths of the resamples."""
    low, high = found.get("low"), found.get("high")
    if low is not None and high is not None:
        plot.area([(low, plot.y[0]), (high, plot.y[0])], [(low, plot.y[1]), (high, plot.y[1])], "s0")
    if found.get("threshold") is not None:
        plot.line([(found["threshold"], y) for y in plot.y], "chance", "threshold")
