"""Live: releases compared on traffic whose labels were asked for at random; looking after every event costs nothing.

Both releases answer the same rows, so only what they answer differently counts. A canary that surely earns more is
promoted and one that surely earns less is ended; a champion that surely earns less than the one before it goes. Each
such test is one sequence of bets that may be looked at after every event (`volant.evidence.sequential`), and the tests
of a product share one α.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.core.product import parse_duration
from volant.core.records import Batch, Problem, Schema
from volant.errors import BadInput, Refused
from volant.evidence.label_view import ACCEPTED, JUDGED, LabelView
from volant.evidence.made_for import read_reference
from volant.evidence.people import People, people
from volant.evidence.sequential import bounds, first_sure, spent
from volant.release.traffic import ARMS, Standing, share_of, standing
from volant.runtime.load import Release
from volant.store.history import Kind
from volant.store.records import DeploymentRow
from volant.tasks.classify_metrics import correct
from volant.tasks.tag_metrics import right
from volant.wheel.collect import collect
from volant.wheel.context import Context
from volant.wheel.gate import aligned
from volant.wheel.history import deployment, open_candidate
from volant.wheel.learn import Harvest, cells_of, harvest, view_of
from volant.wheel.results import Deployment, Result
from volant.wheel.rewards import rewarded
from volant.wheel.traffic import arrays_of

COUNTED = ("accuracy", "balanced_accuracy", "f1", "precision", "recall", "cost")
"""Metrics of classes that see the answer alone, not how sure it is."""


MOST = 20_000
"""Rows on which two releases are compared; what has not shown by then is too small to matter."""


@dataclass(frozen=True)
class Duel(Result):
    """Two releases on the same rows: the mean gain of `ours` over `theirs` per row, in [−1, 1], and what follows.

    `low` and `high` have held at all times so far, but with probability `level`. `earned` is what both earn per
    prediction where rewards decide.
    """

    ours: str
    theirs: str
    rows: int
    gain: float
    low: float
    high: float
    level: float
    decision: str
    by: str = "labels"
    earned: tuple[float, float] | None = None


@dataclass(frozen=True)
class LiveReport(Result):
    """What was compared on live traffic, and what was decided."""

    duels: tuple[Duel, ...] = ()
    events: tuple[Deployment, ...] = ()


@dataclass(frozen=True)
class Trusted:
    """Rows of traffic whose labels were asked for at random and are believed, oldest first, with when and of whom.

    Where a label is not certain, the other one has the rest of the probability, `share`. `answered` is the class that
    was answered, null where that was a number.
    """

    rows: pa.Table
    labels: pa.Array
    other: pa.Array
    share: np.ndarray
    at: np.ndarray
    release: np.ndarray
    answered: pa.Array
    subject: pa.Array
    schema: Schema

    def since(self, moment: int) -> Trusted:
        """Those that came at that time or later, in microseconds; the first `MOST` of them."""
        return self._some(np.flatnonzero(self.at >= moment)[:MOST])

    def of_people(self, moment: int, ripe: int) -> tuple[Trusted, People]:
        """The same by people, each of whom counts once; `ripe`: what came before has matured."""
        kept = np.flatnonzero(self.at >= moment)
        whose = people(self.subject.take(pa.array(kept)), self.at[kept], ripe).first(MOST)
        return self._some(kept[whose.rows]), whose

    def _some(self, kept: np.ndarray) -> Trusted:
        columns = self.answered, self.subject
        labels, other, answered, subject = (one.take(pa.array(kept)) for one in (self.labels, self.other, *columns))
        known = self.share[kept], self.at[kept], self.release[kept], answered, subject
        return Trusted(self.rows.take(kept), labels, other, *known, self.schema)

    def __len__(self) -> int:
        return len(self.at)


def live(context: Context) -> LiveReport:
    """Look at everything that answers users, and promote, end or take back what the evidence is sure about."""
    events = context.store.deployments()
    now = standing(events)
    pairs = list(_pairs(context, now))
    if now.champion is None or not pairs:
        return LiveReport()
    trusted = trusted_rows(context)
    duels, done = [], []
    for number, (event, rival) in pairs:
        level = _level(context, events, event)
        duel = _by_reward(context, event, rival, level)
        if duel is None and trusted is not None:
            duel = _duel(context, trusted, event, rival, level)
        if duel is None:
            continue
        duels.append(duel)
        decided = _decide(context, duel, event, number, now)
        if decided is not None:
            done.append(decided)
            break  # the champion has changed, or a route has: what is left is looked at next time
    return LiveReport(tuple(duels), tuple(done))


def _pairs(context: Context, now: Standing) -> Sequence[tuple[str, tuple[DeploymentRow, str]]]:
    """What is compared with what: canaries with the champion, and the champion with the one before it."""
    if now.champion is None:
        return ()
    pairs = [("canary", (arm, now.champion.release)) for arm in now.arms if arm.kind == "canary"]
    before = now.champion.previous
    watched = context.product.file.improve.rollback and now.champion.kind == "promote"
    if watched and before is not None and before != now.champion.release and len(now.champions) > 1:
        pairs.append(("champion", (now.champion, now.champions[-2].release)))
    return pairs


def _level(context: Context, events: Sequence[DeploymentRow], event: DeploymentRow) -> float:
    """The share of α that the test of this deployment has: that of number 1, 2, … of those that ever came beside or
    after another one. Half of it is for either direction."""
    tested = [row.seq for row in events if row.kind in ("canary", "promote") and row.previous is not None]
    return spent(context.product.file.quality.alpha, tested.index(event.seq) + 1) / 2


def trusted_rows(context: Context) -> Trusted | None:
    """Traffic with labels that were asked for whatever was answered, oldest first; None where there is none."""
    source = collect(context)
    found = harvest(context, source)
    if found is None:
        return None
    return _trusted(context, found, view_of(context, found, None))


def _trusted(context: Context, found: Harvest, view: LabelView) -> Trusted | None:
    predictions = found.evidence.predictions
    rows = view.verdicts.of(ACCEPTED, JUDGED)
    place = pc.index_in(view.verdicts.ids.take(pa.array(rows)), value_set=predictions.ids)
    at = place.to_numpy(zero_copy_only=False)
    asked = predictions.audit[at]
    rows, at = rows[asked], at[asked]
    order = np.argsort(predictions.at[at], kind="stable")
    rows, at = rows[order], at[order]
    schema, target = found.source.schema, context.product.file.task.target
    if not len(at):
        return None
    codes, share = view.verdicts.label[rows], view.verdicts.shared[rows]
    second = np.where(share > 0, view.verdicts.other[rows], codes)
    labels, other = (cells_of(schema, target, view, some) for some in (codes, second))
    release = np.array(predictions.release.take(pa.array(at)).to_pylist(), dtype=object)
    label, subject = predictions.label.take(pa.array(at)), predictions.subject.take(pa.array(at))
    told = found.rows.take(pa.array(at)), labels, other, share
    return Trusted(*told, predictions.at[at], release, label, subject, schema)


def _duel(context: Context, trusted: Trusted, event: DeploymentRow, rival: str, level: float) -> Duel | None:
    try:
        ours, theirs = open_candidate(context, event.release), open_candidate(context, rival)
    except BadInput as bad:
        context.progress.say(f"two releases cannot be compared: {bad.what}")
        return None
    ripe = context.clock.now() - timedelta(seconds=parse_duration(context.product.file.feedback.maturity))
    recent, whose = trusted.of_people(_micros(event.at), int(ripe.timestamp() * 1e6))
    if not len(recent):
        return Duel(ours.digest, theirs.digest, 0, 0.0, -1.0, 1.0, level, "wait")
    scale = float((read_reference(theirs) or {}).get("scale") or 1.0)
    classes = tuple(dict.fromkeys((*theirs.signature.options, *ours.signature.options)))
    gains = _points(context, ours, recent, classes, scale) - _points(context, theirs, recent, classes, scale)
    weights = _even(recent, event)
    gains, most = whose.mean(gains * weights), float(weights.max()) + 1e-9
    found = bounds(gains, -most, most, 2 * level)
    decision, _ = verdict_of(gains, most, level)
    return Duel(ours.digest, theirs.digest, len(gains), found.mean, found.low, found.high, level, decision)


def _by_reward(context: Context, event: DeploymentRow, rival: str, level: float) -> Duel | None:
    """The duel by what both have earned, where the product file says what rewards there are."""
    found = rewarded(context, event)
    if found is None:
        return None
    gains, most = found.gains(), found.most + 1e-9
    seen = bounds(gains, -most, most, 2 * level)
    decision, _ = verdict_of(gains, most, level)
    earned = found.earned(ours=True), found.earned(ours=False)
    return Duel(event.release, rival, len(gains), seen.mean, seen.low, seen.high, level, decision, "reward", earned)


def verdict_of(gains: np.ndarray, most: float, level: float) -> tuple[str, int]:
    """What somebody decides who looks after every row, and after how many: `better`, `worse`, or `wait`.

    Args:
        gains: per row, none further from 0 than `most`, (n,), in the order in which they came.
        most: the bound.
        level: the probability of being wrong in either direction, ever.
    """
    sure = {"better": first_sure(gains, -most, level), "worse": first_sure(-gains, -most, level)}
    reached = [(after, said) for said, after in sure.items() if after is not None]
    return (min(reached)[1], min(reached)[0]) if reached else ("wait", len(gains))


def _even(trusted: Trusted, event: DeploymentRow) -> np.ndarray:
    """What each row counts, (n,), so that both releases were shown alike: people agree with what they are shown.

    A champion shows all rows, so nothing can be done about what it is compared with.
    """
    if event.kind not in ARMS:
        return np.ones(len(trusted))
    share = float(np.clip(share_of(event), 0.01, 0.99))
    likely = np.where(trusted.release == event.release, share, 1 - share)
    return np.asarray(0.5 / likely)


def _points(context: Context, release: Release, trusted: Trusted, classes: tuple[str, ...], scale: float) -> np.ndarray:
    """What each answer earns, in [0, 1], shape (n,), on average over what may be true."""
    names = [field.name for field in release.signature.inputs]
    predicted = release.predict(arrays_of(trusted.schema, _filled(trusted, names), context.product.home))
    earned = _earned(context, release, predicted, trusted.labels, classes, scale)
    if not trusted.share.any():
        return earned
    otherwise = _earned(context, release, predicted, trusted.other, classes, scale)
    return np.asarray((1 - trusted.share) * earned + trusted.share * otherwise)


def _earned(
    context: Context, release: Release, predicted: Batch, labels: pa.Array, classes: tuple[str, ...], scale: float
) -> np.ndarray:
    """What each answer earns, in [0, 1], shape (n,).

    Classes: 1 for the right one where the metric counts answers, else what is left of the Brier score. Numbers: 1 for
    the truth, a half at the distance `scale`.
    """
    truth = np.array(labels.to_pylist(), dtype=object)
    if release.signature.labels:
        return _earned_by_labels(context, release, predicted, truth, classes)
    if not classes:
        errors = np.abs(np.asarray(predicted[context.task.output], dtype=np.float64) - truth.astype(np.float64))
        return np.asarray(1.0 / (1.0 + np.nan_to_num(errors, nan=np.inf) / scale))
    problem = Problem(context.task.name, release.signature.target, (), len(truth), classes, context.metric)
    given: Batch = dict(predicted)
    given = {**given, "probability": aligned(given["probability"], release.signature.classes, classes)}
    units = context.task.units(truth, given, problem)
    right = units["y"][:, None] == np.arange(len(classes))[None, :]
    if context.metric not in COUNTED:
        return np.asarray(1.0 - ((units["p"] - right) ** 2).sum(axis=1) / 2)
    return correct(units)


def _earned_by_labels(
    context: Context, release: Release, predicted: Batch, truth: np.ndarray, labels: tuple[str, ...]
) -> np.ndarray:
    """1 for a row that is right in all its labels where the metric counts these, else what is left of the mean square.

    Labels that a release does not know count as ones that it denies.
    """
    problem = Problem(context.task.name, release.signature.target, (), len(truth), metric=context.metric, labels=labels)
    given = {name: aligned(predicted[name], release.signature.labels, labels) for name in ("probability", "labels")}
    units = context.task.units(truth, given, problem)
    if context.metric == "exact_match":
        return right(units)
    known = units["y"] >= 0
    squares = np.where(known, (units["p"] - units["y"]) ** 2, 0.0).sum(axis=1)
    return np.asarray(1.0 - squares / np.maximum(known.sum(axis=1), 1))


def _filled(trusted: Trusted, names: Sequence[str]) -> pa.Table:
    from volant.core.plugins import column_type

    def column(name: str) -> pa.ChunkedArray | pa.Array:
        if name in trusted.rows.column_names:
            return trusted.rows.column(name)
        return pa.nulls(len(trusted), column_type(trusted.schema[name].type).storage)

    return pa.table({name: column(name) for name in names})


def _decide(context: Context, duel: Duel, event: DeploymentRow, what: str, now: Standing) -> Deployment | None:
    """What follows from a duel: nothing, or an event of the history."""
    rows = f"{duel.rows:,} predictions by reward" if duel.by == "reward" else f"{duel.rows:,} rows asked for at random"
    said = f"{duel.gain:+.4f} per row ({duel.low:+.4f} to {duel.high:+.4f}) on {rows}"
    if what == "canary" and duel.decision == "better":
        return _deploy(context, "promote", event, f"surely better than the champion on live traffic: {said}", now)
    if what == "canary" and duel.decision == "worse":
        return _deploy(context, "end", event, f"surely worse than the champion on live traffic: {said}", now)
    if what == "champion" and duel.decision == "worse":
        name = event.release[:12]
        reason = f"{name} was taken back, surely worse than the release before on live traffic: {said}"
        return _deploy(context, "rollback", now.champions[-2], reason, now)
    return None


def _deploy(context: Context, kind: Kind, event: DeploymentRow, reason: str, now: Standing) -> Deployment | None:
    assert now.champion is not None
    facts = {"automatic": True, "scores": event.facts.get("scores", {}), "kind": event.kind}
    try:
        row = context.store.deploy(event.release, kind, reason, event.contract, now.champion.release, facts)
    except Refused:
        return None  # somebody else was first
    context.progress.say(reason)
    return deployment(row)


def _micros(moment: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(moment).timestamp() * 1e6)
