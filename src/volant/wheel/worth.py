"""Worth: what a challenger would have earned on the traffic that was logged, whoever answered it.

Rows that the challenger may have learned from say nothing about it: where labels of users have trained it, only traffic
on the judging side of the split counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from volant.core.records import Worth
from volant.data.dataset import Dataset, open_dataset
from volant.errors import BadInput
from volant.evidence.people import People
from volant.evidence.worth import Shown, looks_at, worth
from volant.runtime.load import Release
from volant.wheel.context import Context
from volant.wheel.history import open_candidate
from volant.wheel.mixes import Mixed, mixed
from volant.wheel.rewards import Earned, earned
from volant.wheel.traffic import arrays_of, canonical_rows, sides_of

MOST = 20_000
"""The latest rows of traffic that are looked at."""
BINS = 10
"""Groups of rows about which the answers were equally sure, for the model of the reward."""


def worth_of(context: Context, challenger: str, champion: Release, alpha: float) -> Worth | None:
    """What a candidate would have earned more than the champion; None where nobody has said what answers were worth.

    Numbers that are answered are never the same twice, so nothing is known of those that were not shown.
    """
    if context.product.file.improve.reward is None:
        return None
    found, row = earned(context), context.store.candidate(challenger)
    if found is None or not found.said or row.dataset is None:
        return None
    dataset = open_dataset(context.folder("datasets") / row.dataset)
    found = replace(found, people=_unlearned(context, dataset, found, found.people.last(10 * MOST)).last(MOST))
    if not len(found.people):
        return None
    context.progress.say("what the challenger would have earned on logged traffic")
    known = mixed(context.store.deployments(), found.predictions)
    return _worth(context, dataset, found, known, open_candidate(context, challenger), champion, alpha)


def _unlearned(context: Context, dataset: Dataset, found: Earned, whose: People) -> People:
    """Those of some people whose rows the candidate has not learned from."""
    if not (dataset.part("train").provenance() == "feedback").any():
        return whose
    return _some(whose, sides_of(dataset, _canonical(context, dataset, found, whose.rows)) == "judge")


def _some(whose: People, mask: np.ndarray) -> People:
    return People(whose.rows[mask], np.unique(whose.person[mask], return_inverse=True)[1])


def _worth(
    context: Context,
    dataset: Dataset,
    found: Earned,
    known: Mixed,
    challenger: Release,
    champion: Release,
    alpha: float,
) -> Worth:
    whose = found.people
    decides = _Deciders(context, dataset, found, whose.rows)
    arms = [decides.of(name) for name in known.releases]
    lost = [name for name, arm in zip(known.releases, arms, strict=True) if arm is None]
    shares = np.stack([known.share_of(name)[whose.rows] for name in known.releases] or [np.zeros(len(whose.rows))], 1)
    empty = np.full(len(whose.rows), -1)
    told = np.stack([empty if arm is None else arm for arm in arms] or [empty], axis=1)
    place, reward = found.place[whose.rows], found.reward[whose.rows]
    alike = _alike(found, whose.rows, decides.shown)
    shown = Shown(
        reward,
        decides.shown,
        told,
        shares,
        decides.by(challenger),
        decides.by(champion),
        _sure(found, whose.rows),
        looks_at(place, alike, reward),
    )
    gone = np.isin(np.array(known.releases, dtype=object), lost)
    whole = shown.sound & (known.mix[whose.rows] >= 0) & ~(shares[:, gone] > 0).any(axis=1)
    if not whole.all():
        context.progress.say(f"{int((~whole).sum()):,} rows are left out: how likely they were shown is not known")
    rows = np.flatnonzero(whole)
    columns = {name: value[rows] for name, value in vars(shown).items()}
    return worth(Shown(**columns), _some(whose, whole), alpha)


class _Deciders:
    """What releases decide about some rows of traffic, as codes of labels; `shown` is what was logged, (m,)."""

    def __init__(self, context: Context, dataset: Dataset, found: Earned, rows: np.ndarray) -> None:
        self._context, self._dataset = context, dataset
        self._rows = _canonical(context, dataset, found, rows)
        self._codes: dict[object, int] = {}
        self._by = np.array(found.predictions.release.take(pa.array(rows)).to_pylist(), dtype=object)
        self.shown = self._coded(_answers(found, rows))

    def of(self, name: str) -> np.ndarray | None:
        """What a release decides, (m,); None where it is gone."""
        try:
            return self.by(open_candidate(self._context, name))
        except BadInput as bad:
            self._context.progress.say(f"the release {name[:12]} cannot be opened: {bad.what}")
            return None

    def by(self, release: Release) -> np.ndarray:
        """What a release decides, (m,)."""
        names = [field.name for field in release.signature.inputs if field.name in self._rows.column_names]
        given = arrays_of(self._dataset.schema, self._rows.select(names), self._context.product.home)
        answer = release.predict(given)
        made = self._coded(list(answer["label" if release.signature.classes else self._context.task.output]))
        return np.where(self._by == release.digest, self.shown, made)  # what it did decide is in the log

    def _coded(self, answers: Sequence[object]) -> np.ndarray:
        return np.array([self._codes.setdefault(one, len(self._codes)) for one in answers], dtype=np.int64)


def _canonical(context: Context, dataset: Dataset, found: Earned, rows: np.ndarray) -> pa.Table:
    missing, packs = context.product.file.data.missing, context.store.media
    return canonical_rows(dataset.schema, found.predictions, missing, packs).take(pa.array(rows))


def _answers(found: Earned, rows: np.ndarray) -> list[object]:
    if found.predictions.classes:
        return list(found.predictions.label.take(pa.array(rows)).to_pylist())
    return list(found.predictions.value[rows])


def _sure(found: Earned, rows: np.ndarray) -> np.ndarray:
    """Which of `BINS` groups each row is in, by how sure its answer was, (m,)."""
    sure = found.predictions.probabilities
    if not sure.shape[1]:
        return np.zeros(len(rows), dtype=np.int64)
    return np.asarray(np.clip(sure[rows].max(axis=1) * BINS, 0, BINS - 1).astype(np.int64))


def _alike(found: Earned, rows: np.ndarray, decision: np.ndarray) -> np.ndarray:
    return np.asarray(decision * BINS + _sure(found, rows))
