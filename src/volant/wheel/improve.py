"""Improve: one turn of the wheel. Harvest, label, train, gate, and promote or refuse."""

from __future__ import annotations

import time
from pathlib import Path

from volant.core.budget import Budget, Spending
from volant.data.dataset import open_dataset
from volant.errors import BadInput
from volant.evidence.label_view import ACCEPTED
from volant.wheel.context import Context
from volant.wheel.history import champion_release, serving
from volant.wheel.learn import RULE, Assembled, assemble
from volant.wheel.results import TurnResult
from volant.wheel.train import train_on


def improve(context: Context, *, budget: str | None = None, anew: bool = False, must_go: bool = False) -> TurnResult:
    """One turn.

    Args:
        context: the product.
        budget: of the training.
        anew: whether to train without new labels too, on the source as it is now.
        must_go: whether the champion may not stay, since somebody was erased from whom it had learned.

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
        assembled = assemble(context, spending)
        before = champion.digest
        if not must_go and not _news(context, assembled, anew=anew):
            seconds = round(time.monotonic() - started, 3)
            return TurnResult("nothing-to-learn", assembled.labels, None, before, before, seconds)
        result = train_on(context, assembled.dataset, spending, started, must_go, anew=anew)
        _remember(context, assembled, result.run)
    after = serving(context) or before
    outcome = "refused" if result.verdict is not None else "nothing-to-learn"
    if result.promoted:
        outcome = "promoted" if after == result.candidate else "canary"
    return TurnResult(outcome, assembled.labels, result, before, after, round(time.monotonic() - started, 3))


def _news(context: Context, assembled: Assembled, *, anew: bool) -> bool:
    """Whether enough labels are there that the last turn did not use, or gone that it did; with `anew`, anything new.

    The same data once more would only cost a look.
    """
    decisions = assembled.view.of_status(ACCEPTED) if assembled.view is not None else ()
    done = [run.dataset for run in context.store.runs() if run.status == "done"]
    if assembled.dataset.digest in done[-1:]:
        return False
    if anew:
        return True
    turned = [view.facts for view in context.store.label_views() if view.facts.get("turned")]
    last = done[-1] if done else str(turned[-1].get("dataset", "")) if turned else ""
    changed = {d.prediction_id for d in decisions} ^ _learned(context.folder("datasets") / last)
    return len(changed) >= context.product.file.improve.min_labels


def _learned(folder: Path) -> set[str]:
    """The predictions whose labels trained on a dataset version."""
    if not (folder / "dataset.json").is_file():
        return set()
    train = open_dataset(folder).part("train")
    return set(train.references()[train.provenance() == "feedback"])


def _remember(context: Context, assembled: Assembled, run: str) -> None:
    """The turn is over and its labels are used. A turn that was cut short has used none."""
    facts = {**assembled.labels.record(), "turned": True, "dataset": assembled.dataset.digest}
    context.store.add_label_view(f"{assembled.labels.version}-{run}", RULE, facts)
