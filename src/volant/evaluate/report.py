"""The report: everything known about a candidate, as one HTML file that needs nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from volant.evaluate import charts
from volant.evaluate.charts import number
from volant.evaluate.report_behaviour import behaviour_part
from volant.evaluate.report_fairness import decision_part, fairness_part
from volant.evaluate.report_intervals import intervals_section
from volant.evaluate.report_pictures import pictures_part

TEMPLATES = Path(__file__).parent / "templates"
MOST_COLUMNS = 200
MOST_IMPORTANT = 25


def write_report(path: Path, *, product_name: str, facts: Mapping[str, Any]) -> None:
    """Write the report to `path`, whole or not at all.

    `facts` may hold `train` (the record of a training run with its leaderboard and verdict), `evaluation`
    (the record of an `Evaluation`), `behaviour` (that of a `Behaviour`), `pictures` (a study of how a network sees),
    `columns` (name, type, role, reason each), `rows` (rows per side) and `at` (when). Sections whose facts are missing
    are left out. Names from the data are escaped.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["unbroken"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%")
    text = environment.get_template("report.html.j2").render(view(product_name, facts))
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def view(product_name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows, section by section; None where there is nothing to show."""
    train: Mapping[str, Any] = facts.get("train") or {}
    evaluation: Mapping[str, Any] = facts.get("evaluation") or {}
    views: Mapping[str, Any] = evaluation.get("views") or {}
    return {
        "name": product_name,
        "at": str(facts.get("at") or "").replace("T", " "),
        "task": evaluation.get("task"),
        "metric": evaluation.get("metric") or train.get("metric"),
        "note": train.get("note") or "",
        "verdict": train.get("verdict"),
        "promoted": bool(train.get("promoted")),
        "judged_rows": (evaluation.get("rows") or 0) - (evaluation.get("unknown") or 0),
        "unknown": evaluation.get("unknown") or 0,
        "scores": _scores(evaluation),
        "gate": _gate(train.get("verdict")),
        "leaderboard": _leaderboard(train, evaluation),
        "classes": views.get("classes"),
        "labels": views.get("labels"),
        "confusion": _confusion(views.get("confusion")),
        "probability": _probability(views),
        "residuals": _residuals(views.get("residuals")),
        "intervals": intervals_section(views.get("intervals")),
        "hardest": views.get("hardest"),
        "behaviour": behaviour_part(facts.get("behaviour")),
        "pictures": pictures_part(facts.get("pictures")),
        "importance": _importance(evaluation.get("importance") or []),
        "decision": decision_part(views.get("decision")),
        "fairness": fairness_part(views.get("fairness")),
        "declared": _slices(evaluation, "slices"),
        "weak": _slices(evaluation, "weak"),
        "speed": _speed(evaluation.get("speed")),
        "columns": list(facts.get("columns") or [])[:MOST_COLUMNS],
        "more_columns": max(0, len(facts.get("columns") or []) - MOST_COLUMNS),
        "sides": _sides(facts.get("rows") or {}),
        "origin": _origin(train, facts),
    }


def _span(score: Mapping[str, Any], rising: bool) -> tuple[float, float]:
    """The range that a metric's interval is drawn on."""
    known = [v for v in (score["value"], score["low"], score["high"]) if v is not None]
    top = max([*known, 1e-12])
    return (min([0.0, *known]), 1.0) if rising and top <= 1 else (0.0, top * 1.25)


def _scores(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    rising = evaluation.get("greater_is_better") or {}
    return [_card(s, evaluation, bool(rising.get(s["metric"], True))) for s in evaluation.get("scores") or []]


def _card(score: Mapping[str, Any], evaluation: Mapping[str, Any], rising: bool) -> dict[str, Any]:
    return {
        **score,
        "decides": score["metric"] == evaluation.get("metric"),
        "rising": rising,
        "summary": (evaluation.get("summaries") or {}).get(score["metric"], ""),
        "plot": charts.whisker(score["value"], score["low"], score["high"], _span(score, rising)),
    }


def _gate(verdict: Mapping[str, Any] | None) -> list[dict[str, Any]] | None:
    """The paired comparisons, all on one scale around "no difference"."""
    found = (verdict or {}).get("comparisons") or []
    ends = [abs(v) for c in found for v in (c["low"], c["high"]) if v is not None and abs(v) < 1e300]
    reach = max([v for v in ends if v == v], default=1.0) * 1.05 or 1.0
    return [{**c, "plot": _compared(c, reach), **_in_words(c)} for c in found] or None


def _compared(comparison: Mapping[str, Any], reach: float) -> str:
    low, value, high = (_finite(comparison[name]) for name in ("low", "difference", "high"))
    return charts.whisker(value, low, high, (-reach, reach), (0.0,))


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) < 1e300 else None


def _in_words(comparison: Mapping[str, Any]) -> dict[str, str]:
    relative = comparison["scale"] == "relative"

    def said(name: str) -> str:
        value = _finite(comparison[name])
        if value is None:
            return "–"
        return (f"{100 * value:+.2f} %" if relative else f"{value:+.4f}").replace("-", "−")

    return {name: said(name) for name in ("difference", "low", "high")}


def _leaderboard(train: Mapping[str, Any], evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Best first; entries without a score last. `bar` is how good a score is between worst and best."""
    entries = train.get("leaderboard") or []
    rising = bool((evaluation.get("greater_is_better") or {}).get(train.get("metric"), False))
    scored = [e for e in entries if _finite(e["score"]) is not None]
    scored.sort(key=lambda e: e["score"], reverse=rising)
    rest = [e for e in entries if _finite(e["score"]) is None]
    values = [e["score"] for e in scored] or [0.0]
    width = abs(values[-1] - values[0]) or 1.0
    bars = [1 - 0.92 * abs(e["score"] - values[0]) / width for e in scored] + [0.0] * len(rest)
    return [
        {**e, "bar": bar, "ranked": bar > 0 or bool(e["weight"]), "options": _options(e)}
        for e, bar in zip([*scored, *rest], bars, strict=True)
    ]


def _options(entry: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in (entry.get("options") or {}).items())


def _confusion(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Counts with each row's shares, for the shading."""
    if not found:
        return None
    rows = []
    for name, counts in zip(found["classes"], found["counts"], strict=True):
        total = sum(counts) or 1
        rows.append({"class": name, "cells": [{"n": n, "share": n / total} for n in counts], "n": sum(counts)})
    return {"classes": found["classes"], "rows": rows, "mistakes": found["mistakes"][:12]}


def _probability(views: Mapping[str, Any]) -> dict[str, Any] | None:
    """Curves and calibration."""
    lines = views.get("curves") or []
    if not lines or not views.get("calibration"):
        return None
    share = lines[0]["share"] if len(lines) == 1 else None
    chance = [(0, share), (1, share)] if share is not None else []
    histogram = views["histogram"]
    return {
        "roc": charts.curve(
            [(c["class"], c["roc"]) for c in lines], "false alarms", "found (recall)", "ROC curve", [(0, 0), (1, 1)]
        ),
        "pr": charts.curve(
            [(c["class"], c["pr"]) for c in lines], "found (recall)", "right (precision)", "precision-recall", chance
        ),
        "calibration": charts.calibration(views["calibration"]),
        "histogram": charts.histogram(
            histogram["counts"], histogram["edges"], "probability that was stated", "probabilities"
        ),
        "lines": lines,
    }


def _residuals(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not found or not found["points"]:
        return None
    spread = found["histogram"]
    return {
        "scatter": charts.scatter(found["points"], "prediction", "truth"),
        "along": charts.along(found["along"]),
        "histogram": charts.histogram(spread["counts"], spread["edges"], "truth minus prediction", "errors"),
        "hardest": found["hardest"],
    }


def _importance(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
    """Each column's loss and interval as shares of the largest."""
    known = [v for one in found for v in (one["loss"], one["high"]) if v is not None]
    top = max([*known, 1e-12])
    return [
        {**one, "share": _within(one["loss"], top), "whisker": _end(one, top)} for one in found[:MOST_IMPORTANT]
    ] or None


def _within(value: float | None, top: float) -> float:
    return min(max((value or 0.0) / top, 0.0), 1.0)


def _end(one: Mapping[str, Any], top: float) -> tuple[float, float] | None:
    """Where an interval starts and how long it is."""
    if one["low"] is None or one["high"] is None:
        return None
    return _within(one["low"], top), _within(one["high"], top) - _within(one["low"], top)


def _slices(evaluation: Mapping[str, Any], kind: str) -> list[dict[str, Any]] | None:
    """Slices with the interval of the deciding metric beside its value on all rows."""
    found = [s for s in evaluation.get(kind) or [] if s["scores"]]
    if not found:
        return None
    metric = found[0]["scores"][0]["metric"]
    rising = bool((evaluation.get("greater_is_better") or {}).get(metric, True))
    whole = next((s["value"] for s in evaluation["scores"] if s["metric"] == metric), None)
    ends = [v for s in found for v in (s["scores"][0]["low"], s["scores"][0]["high"], s["scores"][0]["value"], whole)]
    known = [v for v in ends if v is not None] or [0.0]
    span = (min(known), max(known))
    return [_slice(s, whole, rising, span) for s in found]


def _slice(one: Mapping[str, Any], whole: float | None, rising: bool, span: tuple[float, float]) -> dict[str, Any]:
    score = one["scores"][0]
    bound = score["high"] if rising else score["low"]
    worse = whole is not None and bound is not None and (bound < whole if rising else bound > whole)
    marks = () if whole is None else (whole,)
    return {**one, "worse": worse, "plot": charts.whisker(score["value"], score["low"], score["high"], span, marks)}


def _speed(speed: Mapping[str, Any] | None) -> list[tuple[str, str, str]] | None:
    """Value, unit and meaning of each cost."""
    if not speed:
        return None
    listed = [
        (number(speed["p50_ms"], 3), "ms", "one row, median"),
        (number(speed["p99_ms"], 3), "ms", "one row, 99 of 100"),
        (number(speed["thousand_ms"], 3), "ms", "a thousand rows"),
        (number(speed["rows_per_second"]), "rows/s", "in batches"),
        (number(speed["memory_mb"], 3), "MB", "memory when loaded"),
        (number(speed["load_ms"], 3), "ms", "to load"),
        (number((speed["size_bytes"] or 0) / 1e6, 3), "MB", "on disk"),
    ]
    return [one for one in listed if one[0] != "–"]


def _sides(rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    total = sum(rows.values()) or 1
    order = {name: i for i, name in enumerate(("train", "judge", "test"))}
    names = sorted(rows, key=lambda name: (order.get(name, 9), name))
    return [{"name": name, "n": rows[name], "share": rows[name] / total} for name in names]


def _origin(train: Mapping[str, Any], facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where it comes from, for those who trace it."""
    verdict = train.get("verdict") or {}
    listed = [
        ("candidate", train.get("candidate")),
        ("champion it was judged against", verdict.get("champion")),
        ("dataset version", train.get("dataset")),
        ("run", train.get("run")),
        ("budget", train.get("budget")),
        ("seconds spent", number(train["seconds"]) if train.get("seconds") is not None else None),
        ("turn on this judge set", number(verdict["turn"]) if verdict.get("turn") else None),
        ("made at", facts.get("at")),
    ]
    return [(name, str(value)) for name, value in listed if value]
