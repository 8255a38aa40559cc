"""Resume: what a challenger goes on from where the product file asks for that, and when it begins anew all the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from volant.core.records import Problem
from volant.data.dataset import Dataset, open_dataset
from volant.data.splits import content_hashes
from volant.errors import BadInput
from volant.runtime.load import Release
from volant.search.before import Before, recall
from volant.store.artifacts import write_file_atomic
from volant.wheel.context import Context

FROM = "from"
"""The fact of a candidate that names the release that it goes on from."""
FILE = "beginning.json"
"""The file of a run that says where it began, so that one that was cut short begins there again."""


@dataclass(frozen=True)
class Beginning:
    """Where the challenger of a run begins: the search that it goes on from, or why it is made anew."""

    run: str
    before: Before | None = None
    champion: str | None = None
    why_not: str = ""

    @property
    def facts(self) -> dict[str, str]:
        """What the ledger notes of it."""
        if self.before is None or self.champion is None:
            return {}
        return {FROM: self.champion, "way": self.before.way}


def beginning(
    context: Context, dataset: Dataset, problem: Problem, champion: Release | None, run: Path, *, anew: bool = False
) -> Beginning:
    """Where a challenger begins. It is made anew where nothing is asked else, and where going on would not do.

    Args:
        context: the product.
        dataset: what it learns from.
        problem: what it learns.
        champion: the release that it goes on from.
        run: the folder of its run.
        anew: whether what the champion learned may not be gone on from: the source has moved, or somebody was erased.
    """
    if context.product.file.improve.learning == "scratch":
        return Beginning(run.name)
    if (run / FILE).is_file():
        said = json.loads((run / FILE).read_bytes())
        if not said["champion"]:
            return Beginning(run.name, why_not=said["why_not"])
        return _from(context, dataset, said["champion"], run)
    if champion is None:
        return Beginning(run.name)
    why_not = _why_not(context, problem, champion, anew=anew)
    found = Beginning(run.name, why_not=why_not) if why_not else _from(context, dataset, champion.digest, run)
    write_file_atomic(run / FILE, json.dumps({"champion": found.champion, "why_not": found.why_not}).encode())
    return found


def _from(context: Context, dataset: Dataset, champion: str, run: Path) -> Beginning:
    """A beginning at the fits of a release, if they are there."""
    from volant.wheel.train import chosen_learners

    rules = context.product.file.improve
    row = next((one for one in context.store.candidates() if one.digest == champion), None)
    if row is None or row.run is None or row.dataset is None:
        return Beginning(run.name, why_not="nothing is known of how the champion was made")
    fresh = _fresh(context, row.dataset, dataset)
    if fresh is None:
        return Beginning(run.name, why_not="the rows that the champion learned from are gone")
    folder = context.folder("runs") / row.run
    before = recall(folder, chosen_learners(context), way=rules.learning, fresh=fresh, replay=rules.replay)
    if before is None:
        return Beginning(run.name, why_not="the champion's run left nothing to go on from")
    return Beginning(run.name, before, champion)


def _why_not(context: Context, problem: Problem, champion: Release, *, anew: bool) -> str:
    if anew:
        return "what the champion learned may not be gone on from"
    if tuple(champion.signature.classes) != tuple(problem.classes):
        return "the classes are others"
    person = context.product.file.train.personal
    asked = {column.name for column in problem.inputs}
    known = {f.name: f.type for f in champion.signature.inputs if f.name in asked or f.name != person}
    if known != {column.name: column.type for column in problem.inputs}:
        return "the inputs are others"
    over = {row.id for row in context.store.runs() if row.status != "running"}
    candidates = [row for row in context.store.candidates() if row.run in over]
    if candidates and candidates[-1].facts.get(FROM) == champion.digest:
        return "the last challenger that went on from the champion was not promoted"
    return ""


def _fresh(context: Context, before: str, dataset: Dataset) -> np.ndarray | None:
    """Which training rows the champion's dataset version did not have, with this target, (n,)."""
    now, names = dataset.part("train"), list(dataset.schema.names)
    try:
        old = open_dataset(context.folder("datasets") / before)
        if list(old.schema.names) != names:
            return None
        known = content_hashes(old.part("train").stored(names))
    except (BadInput, OSError):
        return None
    return np.asarray(~np.isin(content_hashes(now.stored(names)), known))


def descendants(context: Context, models: list[str]) -> list[str]:
    """These releases and all that went on from them, or from what did."""
    found = set(models)
    for row in context.store.candidates():
        if row.facts.get(FROM) in found:
            found.add(row.digest)
    return sorted(found)
