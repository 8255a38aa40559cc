"""Improve: one turn of the wheel. Harvest, label, train, gate, and promote or refuse."""

from __future__ import annotations

import time

from volant.core.budget import Budget, Spending
from volant.errors import BadInput
from volant.wheel.context import Context
from volant.wheel.history import champion_release
from volant.wheel.learn import RULE, assemble
from volant.wheel.results import Labels, TurnResult
from volant.wheel.train import train_on


def improve(context: Context, *, budget: str | None = None) -> TurnResult:
    """One turn.

    Raises:
        BadInput: code `no-release` when nothing is deployed yet.
        Refused: code `busy` when another process trains this product.
    """
    started = time.monotonic()
    file = context.product.file
    spending = Spending(Budget.parse(budget or file.improve.budget or file.train.budget), context.clock)
    with context.store.lock("train", wait=0.0):
        champion = champion_release(context)
        if champion is None:
            raise BadInput("there is no release to improve", code="no-release", fix="run `volant train` first")
        assembled = assemble(context)
        before = champion.digest
        if not _news(context, assembled.labels):
            seconds = round(time.monotonic() - started, 3)
            return TurnResult("nothing-to-learn", assembled.labels, None, before, before, seconds)
        result = train_on(context, assembled.dataset, spending, started)
    outcome = "promoted" if result.promoted else "refused" if result.verdict is not None else "nothing-to-learn"
    after = result.candidate if result.promoted else before
    return TurnResult(outcome, assembled.labels, result, before, after, round(time.monotonic() - started, 3))


def _news(context: Context, labels: Labels) -> bool:
    """Whether there are labels that no earlier turn has used."""
    used = [v.facts for v in context.store.label_views() if v.facts.get("turned")]
    before = max((int(f["accepted"]) for f in used), default=0)
    fresh = labels.accepted - before
    if fresh < context.product.file.improve.min_labels:
        return False
    context.store.add_label_view(f"{labels.version}-turn", RULE, {**labels.record(), "turned": True})
    return True
