"""Gate: judge a candidate against the champion on the rows that judge, and deploy or refuse it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from volant.core.ids import digest
from volant.core.protocols import Bounded, Rows
from volant.core.records import Batch, Comparison, Problem, Schema, Score, Verdict, Worth
from volant.data.dataset import Dataset
from volant.evaluate.compare import compare
from volant.evaluate.slices import declared_slices
from volant.release.gate import CandidateFacts, GateRules, alpha_for_turn, decide
from volant.runtime.load import Release
from volant.wheel.context import Context
from volant.wheel.fairness import gaps_of, rules_of

SHARED = "classes known to both"


@dataclass(frozen=True)
class Judged:
    """What is to be judged: the candidate's units on the judge rows, the baseline's beside, and its costs."""

    candidate: str
    units: Batch
    baseline: Batch
    facts: CandidateFacts
    scores: tuple[Score, ...]


def judge_rows(dataset: Dataset) -> Dataset:
    """The rows that decide."""
    return dataset.part("judge")


def judge_set(context: Context) -> str:
    """The name of the judge set, on whose account looks are paid for. It is renewed by another `data.split.key`.

    A larger or a smaller share judges with many of the same rows as before, so it opens no new account.
    """
    return digest(["judge", context.product.file.data.split.key])[:16]


def looks(context: Context) -> int:
    """How many verdicts against a champion the judge set has given."""
    return context.store.judge_turns(*_accounts(context))


def alpha_left(context: Context) -> float:
    """What is left of the allowed risk; none where more was allowed once, and spent."""
    spent = context.store.alpha_spent(*_accounts(context))
    return max(round(context.product.file.quality.alpha - spent, 6), 0.0)


def _accounts(context: Context) -> tuple[str, str]:
    """The names of the judge set, that of before accounts went by the key too."""
    split = context.product.file.data.split
    return judge_set(context), digest([split.by, split.judge, split.test, split.key])[:16]


def units_of(context: Context, release: Release, rows: Rows, problem: Problem) -> Batch:
    """What a release predicts for rows, as the task's units, with its classes put into the problem's order."""
    names = [f.name for f in release.signature.inputs]
    predicted = dict(release.predict(rows.batch(names)))
    if problem.classes and release.signature.classes != problem.classes:
        predicted["probability"] = aligned(predicted["probability"], release.signature.classes, problem.classes)
    if problem.labels and release.signature.labels != problem.labels:
        for name in ("probability", "labels"):
            predicted[name] = aligned(predicted[name], release.signature.labels, problem.labels)
    return context.task.units(context.task.encode(rows, problem), predicted, problem)


def aligned(probability: np.ndarray, has: tuple[str, ...], wants: tuple[str, ...]) -> np.ndarray:
    out = np.zeros((len(probability), len(wants)))
    for place, name in enumerate(has):
        if name in wants:
            out[:, wants.index(name)] = probability[:, place]
    return out


def rules(context: Context, schema: Schema, required: tuple[str, ...], alpha: float) -> GateRules:
    """The product file's rules of the gate."""
    quality = context.product.file.quality
    return GateRules(
        metric=context.metric,
        min_gain=quality.min_gain,
        tolerance=quality.tolerance,
        min_rows=quality.min_rows,
        required=required,
        minimum=dict(quality.minimum),
        latency_ms=quality.limits.latency_ms,
        memory_mb=quality.limits.memory_mb,
        size_mb=quality.limits.size_mb,
        alpha=alpha,
        greater_is_better={name: m.greater_is_better for name, m in context.task.metrics.items()},
        fairness=rules_of(context, schema),
    )


def judge(
    context: Context,
    judged: Judged,
    rows: Rows,
    problem: Problem,
    champion: Release | None,
    must_go: bool = False,
    worth: Callable[[float], Worth | None] = lambda alpha: None,
) -> Verdict:
    """Compare on the judge rows and let the gate decide. Nothing is written. `must_go`: see `GateRules`.

    `worth` gives what the candidate would have earned on logged traffic, with bounds at a level.
    """
    name = judge_set(context)
    turn = looks(context) + 1 if champion else 1
    alpha = alpha_for_turn(context.product.file.quality.alpha, turn) if champion else context.product.file.quality.alpha
    slices = declared_slices(rows, context.product.file.quality.slices)
    shared = np.ones(len(rows), dtype=bool)
    before: Batch = judged.baseline
    if champion is not None and len(rows):
        before = units_of(context, champion, rows, problem)
        slices, shared = _with_new_classes(slices, rows, problem, champion, context)
    ours, before = _of_shared_labels(judged.units, before, problem, champion)
    comparisons = _compare(context, ours, before, rows, slices, shared, alpha)
    gaps = gaps_of(context, judged.units, before if champion else None, rows, problem, alpha)
    facts = replace(judged.facts, champion=None if champion is None else champion.digest, gaps=gaps)
    asked = rules(context, rows.schema, tuple(slices), alpha)
    asked = replace(asked, must_go=must_go and champion is not None)
    facts = replace(facts, worth=_sure(worth(alpha), asked) if champion is not None else None)
    verdict = decide(comparisons, asked, facts)
    if champion is not None and problem.interval and not verdict.passed and not _has_interval(champion, context):
        verdict = _for_its_interval(context, judged.units, before, rows, comparisons, asked, facts)
    return replace(verdict, alpha=alpha, turn=turn, judge=name)


def _sure(worth: Worth | None, asked: GateRules) -> Worth | None:
    """What was earned; where the champion must go, only if that is surely too little."""
    return None if worth is not None and asked.must_go and not worth.high < -asked.tolerance else worth


def _has_interval(release: Release, context: Context) -> bool:
    """Whether a release gives the intervals that the product file asks for by now."""
    task = context.task
    return not isinstance(task, Bounded) or set(task.bounds) <= {field.name for field in release.signature.outputs}


def _for_its_interval(
    context: Context,
    units: Batch,
    before: Batch,
    rows: Rows,
    comparisons: Sequence[Comparison],
    asked: GateRules,
    facts: CandidateFacts,
) -> Verdict:
    """The verdict where the product file asks for intervals and the champion has none.

    What is better then is the interval, surely, where the champion's is taken to be its number alone; the metric
    that decides otherwise must stay within the tolerance, as on a required slice.
    """
    assert isinstance(context.task, Bounded)
    metric = context.task.interval_metric
    found = compare(
        before,
        units,
        task=context.task,
        metric=metric,
        slices={},
        alpha=asked.alpha,
        keys=rows.keys(),
        weights=rows.weights(),
        seed=context.product.file.train.seed,
    )
    better = decide(found, replace(asked, metric=metric, required=()), facts)
    unharmed = decide(comparisons, replace(asked, min_gain=-asked.tolerance), facts)
    refusals = [reason for one in (better, unharmed) if not one.passed for reason in one.reasons]
    first = "Intervals are asked for and the champion has none, so they must be better, and nothing else much worse."
    reasons = refusals or [first, better.reasons[0], *unharmed.reasons]
    return replace(unharmed, passed=not refusals, reasons=tuple(dict.fromkeys(reasons)))


def _of_shared_labels(units: Batch, before: Batch, problem: Problem, champion: Release | None) -> tuple[Batch, Batch]:
    """Both sides without a truth of labels that the champion does not know: it has never been asked about them."""
    if not problem.labels or champion is None or set(problem.labels) <= set(champion.signature.labels):
        return units, before
    known = np.array([name in champion.signature.labels for name in problem.labels])
    return tuple({**side, "y": np.where(known, side["y"], -1)} for side in (units, before))  # type: ignore[return-value]


def _with_new_classes(
    slices: Mapping[str, np.ndarray], rows: Rows, problem: Problem, champion: Release, context: Context
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Each class that the champion does not know is a required slice; the others are compared together."""
    new = [c for c in problem.classes if c not in champion.signature.classes]
    truth = context.task.encode(rows, problem)
    masks = {f"class={c}": truth == problem.classes.index(c) for c in new}
    shared = ~np.any(list(masks.values()), axis=0) if masks else np.ones(len(rows), dtype=bool)
    return {**{k: m & shared for k, m in slices.items()}, **masks}, shared


def _compare(
    context: Context,
    units: Batch,
    before: Batch,
    rows: Rows,
    slices: Mapping[str, np.ndarray],
    shared: np.ndarray,
    alpha: float,
) -> list[Comparison]:
    """All rows that both can answer first, under the name `""`, then the required slices."""
    found = compare(
        before,
        units,
        task=context.task,
        metric=context.metric,
        slices=dict(slices) if shared.all() else {SHARED: shared, **slices},
        alpha=alpha,
        keys=rows.keys(),
        weights=rows.weights(),
        seed=context.product.file.train.seed,
    )
    return found if shared.all() else [replace(found[1], slice=""), *found[2:]]
