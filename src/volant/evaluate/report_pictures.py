"""The report's part on pictures: where the network looks, what throws it off, and which pictures it holds alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from volant.evaluate.charts import Plot

MOST_CLASSES = 8
"""Classes that are told apart on a map; the others are grey."""


def pictures_part(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the template shows; None where no network looks at pictures."""
    if not found:
        return None
    classes = list(found["classes"])
    return {
        "heat": found["heat"],
        "augmented": found.get("augmented"),
        "views": found.get("views") or [],
        "corrupted": _falling(found, "corrupted", "strength of the corruption"),
        "attacked": _falling(found, "attacked", "pixels moved by, of 255"),
        "maps": [{"name": name, "plot": _map(one, name)} for name, one in found["maps"].items()],
        "classes": classes[:MOST_CLASSES],
        "more_classes": max(0, len(classes) - MOST_CLASSES),
        "rows": found["rows"],
        "side": f"{found['shape'][1]} × {found['shape'][0]}",
    }


def _falling(found: Mapping[str, Any], what: str, title: str) -> dict[str, Any] | None:
    """Accuracy of each kind by its strength, from that of the same pictures as they are."""
    listed = found.get(what) or []
    if not listed or not found.get("views"):
        return None
    plain = (found.get("plain") or {}).get(what, found["views"][0]["accuracy"])
    top = max(one["strength"] for one in listed)
    plot = Plot((0.0, float(top)), (0.0, 1.0), title, "accuracy", title)
    names = list(dict.fromkeys(one["name"] for one in listed))
    for place, name in enumerate(names):
        own = [one for one in listed if one["name"] == name]
        for one in own:
            plot.whisker(one["strength"], one["low"], one["high"], f"whisker s{place}")
        plot.line([(0.0, plain), *[(one["strength"], one["accuracy"]) for one in own]], f"s{place}", name)
    return {"plot": plot.svg(), "names": names}


def _map(found: Mapping[str, Any], name: str) -> str:
    """A dot per picture, coloured by its class."""
    places, truth = found["places"], found["truth"]
    across, up = ([place[axis] for place in places] for axis in (0, 1))
    plot = Plot(_wide(across), _wide(up), "", "", name)
    for kind in range(MOST_CLASSES, -1, -1):
        own = [p for p, t in zip(places, truth, strict=True) if min(int(t), MOST_CLASSES) == kind]
        plot.dots(own, f"mapped k{kind}", 2.2)
    return plot.svg()


def _wide(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin
