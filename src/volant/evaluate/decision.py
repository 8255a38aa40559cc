"""The report's view of a decision: where the threshold stands, and how the metrics move with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from volant.core.records import Batch, Problem
from volant.tasks.decisions import Choice
from volant.tasks.thresholds import candidates, count, measures

POINTS = 120
SHOWN = ("precision", "recall", "f1", "accuracy", "balanced_accuracy")


def decision_view(
    units: Batch,
    weights: np.ndarray,
    problem: Problem,
    choice: Choice,
    threshold: float | None,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """What was decided, and on these rows the metrics of two classes along the threshold.

    `threshold` is the one that was chosen, or that follows from the costs; `facts` tell what it was chosen for.
    """
    view: dict[str, Any] = {
        **facts,
        **asdict(choice),
        "classes": list(problem.classes),
        "threshold": threshold,
        "costs": [list(row) for row in problem.costs],
    }
    if len(problem.classes) == 2:
        view["lines"] = _lines(units, weights, problem)
    return {"decision": view}


def _lines(units: Batch, weights: np.ndarray, problem: Problem) -> dict[str, Any]:
    """Points (threshold, value) of each metric."""
    scores, true = units["p"][:, 1], units["y"] == 1
    cuts = candidates(scores, POINTS)
    found = measures(count(scores, true, weights, cuts), problem.costs)
    names = (*SHOWN, "cost") if problem.costs else SHOWN
    return {
        name: [(round(float(c), 5), round(float(v), 5)) for c, v in zip(cuts, found[name], strict=True)]
        for name in names
    }
