"""Decide: weights for training, and the rule by which a release answers, chosen on held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from volant.core.protocols import Rows
from volant.core.records import Batch, Decision, Problem
from volant.data.dataset import Dataset
from volant.evaluate.decision import decision_view
from volant.evaluate.fairness import groups_of, positive_class
from volant.evaluate.mitigation import Held, Limit, group_thresholds, one_threshold
from volant.search.trials import Found
from volant.search.weighing import Weighing, by_class, independent, together
from volant.tasks.decisions import Aim, Choice, answers, choose, cost_threshold
from volant.tasks.marks import thresholds
from volant.wheel.context import Context
from volant.wheel.fairness import columns_of, look, metric_of


def weighing_of(context: Context, rows: Rows, problem: Problem) -> Weighing | None:
    """What rows count in training besides their own weights, or None where it is nothing else."""
    file = context.product.file
    truth, weights = context.task.encode(rows, problem), rows.weights()
    wanted = file.train.class_weight
    classed = None if wanted is None else by_class(truth, weights, problem.classes, wanted)
    fair = None
    if file.fairness.mitigation == "reweight":
        masks = groups_of(rows, columns_of(context, rows.schema), file.fairness.min_rows)
        fair = independent(_numbered(list(masks.values()), len(rows)), truth, weights)
    return together(classed, fair)


def _numbered(masks: Sequence[np.ndarray], n: int) -> np.ndarray:
    """The number of each row's group, (n,); -1 for none."""
    group = np.full(n, -1, dtype=np.int64)
    for number, mask in enumerate(masks):
        group[mask] = number
    return group


def decided(context: Context, train: Dataset, problem: Problem, found: Found) -> Choice:
    """The decision of a release, on training rows that what was found had not learned from."""
    if problem.labels:
        return Choice(Decision(marks=_marks(context, train, problem, found)))
    if not problem.classes:
        return Choice(Decision())
    if found.held_out is None:
        choice = _chosen(context, train, problem, _of_baseline(context, train, found))
    else:
        choice = _chosen(context, train.take(found.held_out.positions), problem, found.held_out.predicted)
    if not choice.kept:
        context.progress.say("no threshold keeps what decide.minimum or fairness.limit asks for; the nearest is taken")
    return choice


def _marks(context: Context, train: Dataset, problem: Problem, found: Found) -> tuple[float, ...]:
    """The threshold of each label; without rows that were held out there is nothing to choose them on."""
    if found.held_out is None:
        return ()
    rows = train.take(found.held_out.positions)
    return thresholds(found.held_out.predicted, context.task.encode(rows, problem), rows.weights())


def _of_baseline(context: Context, rows: Rows, found: Found) -> np.ndarray:
    return found.baseline.predict(rows, context.task.output, context.product.file.train.threads)


def _chosen(context: Context, rows: Rows, problem: Problem, p: np.ndarray) -> Choice:
    file = context.product.file
    keep = np.flatnonzero(context.task.encode(rows, problem) >= 0)
    rows, p = rows.take(keep), p[keep]
    if file.fairness.mitigation in ("threshold", "group_threshold"):
        return _mitigated(context, rows, problem, p)
    if file.decide.threshold is not None:
        return Choice(Decision(threshold=file.decide.threshold))
    if file.decide.metric is not None:
        return choose(p, context.task.encode(rows, problem), rows.weights(), _aim(context, problem))
    return Choice(Decision(costs=problem.costs))


def _aim(context: Context, problem: Problem) -> Aim:
    decide = context.product.file.decide
    metric = decide.metric or ("cost" if problem.costs else "accuracy")
    return Aim(metric, {str(k): v for k, v in decide.minimum.items()}, problem.costs)


def _mitigated(context: Context, rows: Rows, problem: Problem, p: np.ndarray) -> Choice:
    """Thresholds that keep the groups close."""
    fairness, columns = context.product.file.fairness, columns_of(context, rows.schema)
    positive = positive_class(problem.classes, fairness.positive)
    assert fairness.limit is not None
    assert positive is not None
    limit = Limit(metric_of(context), fairness.limit, positive)
    true = context.task.encode(rows, problem) == 1
    if fairness.mitigation == "threshold":
        masks = groups_of(rows, columns, fairness.min_rows)
        held = Held(p[:, 1], true, rows.weights(), _numbered(list(masks.values()), len(rows)))
        return one_threshold(held, _aim(context, problem), limit)
    values = np.asarray(rows.batch(columns)[columns[0]])
    names = [v for v in _values(values) if (values == v).sum() >= fairness.min_rows]
    held = Held(p[:, 1], true, rows.weights(), _numbered([values == v for v in names], len(rows)))
    return group_thresholds(held, _aim(context, problem), limit, columns[0], names)


def _values(values: np.ndarray) -> list[Any]:
    """The canonical values of a category or a boolean, in order."""
    if values.dtype.kind == "f":
        return [float(v) for v in np.unique(values[~np.isnan(values)])]
    return sorted({str(v) for v in values if v is not None})


def baseline_predicted(context: Context, found: Found, train: Dataset, rows: Rows, problem: Problem) -> Batch:
    """What the baseline answers for rows; where a decision is chosen for a metric, one is chosen for it too."""
    p = _of_baseline(context, rows, found)
    if not problem.classes or not len(rows) or context.product.file.decide.metric is None:
        return {context.task.output: p}
    aim, truth = _aim(context, problem), context.task.encode(train, problem)
    keep = truth >= 0
    learned = _of_baseline(context, train, found)[keep]
    decision = choose(learned, truth[keep], train.weights()[keep], aim).decision
    labels = np.array([*problem.classes, None], dtype=object)[:-1][answers(p, decision)]
    return {context.task.output: p, "label": labels}


def looks(context: Context, problem: Problem, choice: Choice) -> list[Callable[[Batch, Rows], Mapping[str, Any]]]:
    """What the evaluation looks at besides: the decision, and fairness."""
    decide = context.product.file.decide
    found: list[Callable[[Batch, Rows], Mapping[str, Any]]] = [lambda units, rows: look(context, problem, units, rows)]
    if not problem.classes or choice.decision == Decision():
        return found
    source = "threshold" if decide.threshold is not None else "metric" if decide.metric else "costs"
    mitigation = context.product.file.fairness.mitigation
    source = "fairness" if mitigation in ("threshold", "group_threshold") else source
    facts = {"source": source, "metric": _aim(context, problem).metric, "minimum": dict(decide.minimum)}
    threshold = choice.decision.threshold
    if threshold is None and problem.costs and len(problem.classes) == 2:
        threshold = cost_threshold(problem.costs)
    return [lambda units, rows: decision_view(units, rows.weights(), problem, choice, threshold, facts), *found]
