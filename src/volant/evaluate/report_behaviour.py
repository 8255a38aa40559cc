"""The report's part on how a model behaves: contributions, dependence, and rules that imitate it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from volant.evaluate.charts_behaviour import moved, swarm

MOST_SHOWN = 12
MOST_CLASSES = 6
"""Classes that are drawn at the most; the others would hide them."""

_SCALES = {
    "log-odds": "the log-odds of {0}",
    "log-ratio": "the logarithm of the answered class's probability over the mean one",
    "probability": "the probability of {0}",
    "value": "{0}",
}


def behaviour_part(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the template shows; None where nothing was looked at."""
    if not found:
        return None
    names = list(found["outputs"])
    scale = _SCALES[found["scale"]].format(names[0] if len(names) == 1 else "the answered class")
    return {
        "scale": scale,
        "how": found["how"],
        "explained": found["explained"],
        "bars": _bars(found["attributions"]),
        "swarm": _swarm(found["attributions"], scale),
        "plots": _plots(found["dependences"], names, found["scale"] == "value"),
        "names": names[:MOST_CLASSES],
        "more_names": max(0, len(names) - MOST_CLASSES),
        "local": len(names) == 1 and any(one["local"] for one in found["dependences"]),
        "rules": _rules(found["surrogate"], names),
    }


def _bars(attributions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    top = max([one["mean"] for one in attributions], default=0.0) or 1.0
    return [{**one, "share": one["mean"] / top} for one in attributions[:MOST_SHOWN]]


def _swarm(attributions: Sequence[Mapping[str, Any]], scale: str) -> str | None:
    drawn = [one for one in attributions if one["dots"] and one["mean"]]
    return swarm(drawn, f"added to {scale}") if drawn else None


def _plots(dependences: Sequence[Mapping[str, Any]], names: Sequence[str], numbers: bool) -> list[dict[str, str]]:
    """All on one scale, so that they can be compared."""
    shown = range(min(len(names), MOST_CLASSES))
    ends = [row[i] for one in dependences for key in ("mean", "local") for row in one[key] for i in shown]
    if not ends:
        return []
    margin = (max(ends) - min(ends)) * 0.08 or abs(ends[0]) * 0.1 or 1.0
    span = (min(ends) - margin, max(ends) + margin)
    title = names[0] if numbers else "probability" + (f" of {names[0]}" if len(names) == 1 else "")
    return [{"column": one["column"], "plot": moved(one, names[:MOST_CLASSES], span, title)} for one in dependences]


def _rules(found: Mapping[str, Any] | None, names: Sequence[str]) -> dict[str, Any] | None:
    if not found or not found["rules"]:
        return None
    several = len(names) > 1
    listed = [_rule(rule, names) for rule in found["rules"]]
    listed.sort(key=lambda rule: -rule["share"] if several else -rule["number"])
    numbers = [rule["number"] for rule in listed]
    low, width = min(numbers), (max(numbers) - min(numbers)) or 1.0
    for rule in listed:
        rule["bar"] = rule["number"] if found["agreement"] is not None else (rule["number"] - low) / width
    return {**found, "rules": listed, "several": several, "answer": names[0]}


def _rule(rule: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A rule with the class it answers where there are several, and one number: a probability or a value."""
    answer = list(rule["answer"])
    if len(names) == 1:
        return {**rule, "number": answer[-1], "label": ""}
    best = max(range(len(answer)), key=answer.__getitem__)
    return {**rule, "number": answer[best], "label": names[best]}
