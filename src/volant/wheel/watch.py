"""Watch: how far traffic is from what the champion was made for, and how good its answers probably are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns.missing import with_missing
from volant.core.plugins import column_type
from volant.core.product import parse_duration
from volant.core.records import Batch, Problem
from volant.data.dataset import Dataset
from volant.evidence.drift import Drift, compare
from volant.evidence.evidence import Predicted, predicted
from volant.evidence.made_for import (
    WATCHED,
    known_sets,
    read_reference,
    reference_file,
    set_text,
    texts_of,
    watched_numbers,
)
from volant.evidence.sequential import spent
from volant.runtime.load import Release
from volant.store.part import iso
from volant.wheel.context import Context
from volant.wheel.gate import judge_rows, units_of
from volant.wheel.live import Trusted, trusted_rows
from volant.wheel.results import Result


@dataclass(frozen=True)
class Expected(Result):
    """The share of right answers that is expected in the window, by what the champion says of how sure it is, and with
    what it had on held-out rows. `confirmed` is what labels that were asked for at random say by now, over `labels`."""

    share: float
    low: float
    high: float
    before: float
    alarm: bool
    confirmed: float | None = None
    labels: int = 0


@dataclass(frozen=True)
class WatchReport(Result):
    """`volant watch`: how far everything has moved since the champion was made, the furthest first.

    `level` is the probability that any of these bounds does not hold, spent by this look of so many.
    """

    release: str
    since: str
    rows: int
    looks: int
    level: float
    moved: tuple[Drift, ...]
    expected: Expected | None
    note: str = ""

    @property
    def alarms(self) -> tuple[Drift, ...]:
        """What has moved further than matters."""
        return tuple(one for one in self.moved if one.alarm)


def reference_of(context: Context, release: Release, dataset: Dataset, problem: Problem, judged: Batch) -> bytes:
    """What a release remembers of what it was made for, as a file; `judged` are its units on the judge rows."""
    held, units = judge_rows(dataset), judged
    if not len(held) and len(held := dataset.part("test")):
        units = units_of(context, release, held, problem)
    return reference_file(release, dataset.part("train"), held, problem, units)


def watch(context: Context) -> WatchReport:
    """Compare the traffic of the window with what the champion remembers.

    Raises:
        BadInput: code `no-release`.
    """
    from volant.wheel.predict import need_champion

    release = need_champion(context)
    rules, row = context.product.file.drift, context.store.champion()
    assert row is not None
    since = max(iso(context.clock.now() - timedelta(seconds=parse_duration(rules.window))), row.at)
    looks = _looks(context, row.at) + 1
    level = spent(rules.alpha, looks)
    empty = WatchReport(release.digest, since, 0, looks, level, (), None)
    remembered = read_reference(release)
    if remembered is None:
        return replace(empty, note="the champion is older than references are; train again to watch it")
    context.store.index_segments()
    traffic = predicted(context.store.prediction_table(since))
    if len(traffic) < rules.min_rows:
        return replace(empty, rows=len(traffic), note=f"fewer than {rules.min_rows:,} predictions in the window")
    return _compared(context, empty, release, remembered, traffic)


def _looks(context: Context, since: str) -> int:
    """How often traffic was compared with this champion: looks that were paid for."""
    steps = (turn.facts.get("watch") for turn in context.store.turns() if turn.begun_at >= since)
    return sum(bool(step and step.get("moved")) for step in steps)


def _compared(
    context: Context, empty: WatchReport, release: Release, remembered: dict[str, Any], traffic: Predicted
) -> WatchReport:
    rules = context.product.file.drift
    ours = np.flatnonzero(np.asarray(pc.equal(traffic.release, release.digest).to_numpy(zero_copy_only=False)))
    told = _told(context, empty.since)
    things = [*_things(context, release, remembered, traffic, ours), *_labels(remembered, release, told)]
    alpha = empty.level / (len(things) + 1)
    moved = [
        compare(what, name, before, values, alpha=alpha, least=rules.effect) for what, name, before, values in things
    ]
    moved.sort(key=lambda one: (-one.low, -one.distance))
    expected = _confirmed(_expected(traffic, ours, remembered, alpha, rules.effect), release, told)
    return replace(empty, rows=len(traffic), moved=tuple(moved), expected=expected)


def _things(
    context: Context, release: Release, remembered: dict[str, Any], traffic: Predicted, ours: np.ndarray
) -> Iterator[tuple[str, str, Any, Any]]:
    """Everything that can be compared: what it is, its name, how it spread, and its values now."""
    from volant.data.plain import json_columns

    wanted = context.product.file.drift.columns
    sent = json_columns(traffic.inputs)
    for field in release.signature.inputs:
        before = remembered["inputs"].get(field.name)
        if before is None or field.type not in WATCHED or (wanted is not None and field.name not in wanted):
            continue
        yield "input", field.name, before, _values(context, sent, field.name, field.type, len(traffic))
    if remembered["output"] is not None and len(ours):
        target = release.signature.target
        if release.signature.labels:
            answered = [set_text(answer or []) for answer in traffic.labels.take(pa.array(ours)).to_pylist()]
            yield "output", target, remembered["output"], answered
        elif release.signature.classes:
            yield "output", target, remembered["output"], traffic.label.take(pa.array(ours))
        else:
            yield "output", target, remembered["output"], traffic.value[ours]


def _told(context: Context, since: str) -> Trusted | None:
    """Rows of the window whose labels were asked for at random and are believed; None where there are none."""
    if context.product.file.feedback.silence is None and not context.store.feedback_since(""):
        return None
    trusted = trusted_rows(context)
    return None if trusted is None else trusted.since(int(datetime.fromisoformat(since).timestamp() * 1e6))


def _labels(remembered: dict[str, Any], release: Release, told: Trusted | None) -> Iterator[tuple[str, str, Any, Any]]:
    """The labels of the window, against those that the release learned from."""
    if told is None or not len(told) or remembered.get("label") is None:
        return
    values: Any
    if release.signature.labels:
        values = known_sets(told.labels.to_pylist())
    elif release.signature.classes:
        values = texts_of(told.labels)
    else:
        values = np.array(told.labels.to_pylist(), dtype=object).astype(np.float64)
    yield "label", release.signature.target, remembered["label"], values


def _confirmed(expected: Expected | None, release: Release, told: Trusted | None) -> Expected | None:
    """What was expected, with what labels say by now of the answers of this release."""
    if expected is None or told is None:
        return expected
    ours = np.flatnonzero(told.release == release.digest)
    if not len(ours):
        return expected
    true, answered = texts_of(told.labels.take(pa.array(ours))), told.answered.take(pa.array(ours)).to_pylist()
    first = np.array([one == other for one, other in zip(true, answered, strict=True)], dtype=np.float64)
    other = texts_of(told.other.take(pa.array(ours)))
    second = np.array([one == two for one, two in zip(other, answered, strict=True)], dtype=np.float64)
    share = told.share[ours]
    right = float(((1 - share) * first + share * second).mean())
    return replace(expected, confirmed=round(right, 6), labels=len(ours))


def _values(context: Context, sent: pa.Table, name: str, kind: str, rows: int) -> Any:
    """What was sent for a column, read by the rules of training: numbers, or categories."""
    parser = with_missing(column_type(kind), context.product.file.data.missing)
    raw = sent.column(name).combine_chunks() if name in sent.column_names else pa.nulls(rows)
    if pa.types.is_nested(raw.type):
        raw = pa.nulls(rows)
    values = parser.parse(raw).values.cast(parser.storage)
    return values if kind == "category" else watched_numbers(parser.to_numpy(values), kind)


def _expected(
    traffic: Predicted, ours: np.ndarray, remembered: dict[str, Any], alpha: float, least: float
) -> Expected | None:
    """How right answers probably are: how sure they are, and what that was worth on held-out rows.

    Source: average confidence with its gap on held-out rows (Guillory et al., ICCV 2021, difference of confidences).
    """
    before, sure = remembered.get("right"), remembered.get("sure")
    if before is None or sure is None or not len(ours) or not traffic.classes:
        return None
    confidence = traffic.probabilities[ours].max(axis=1).astype(np.float64)
    mean, reach = confidence.mean(), _reach(confidence, alpha)
    gap, held = before - sure, np.sqrt(np.log(2 / alpha) / (2 * max(int(remembered["rows"]), 1)))
    share, low, high = (float(np.clip(one + gap, 0.0, 1.0)) for one in (mean, mean - reach, mean + reach))
    return Expected(round(share, 6), round(low, 6), round(high, 6), before, bool(before - (high + held) > least))


def _reach(values: np.ndarray, alpha: float) -> float:
    """Half the width of an interval for the mean of values in [0, 1].

    Source: the empirical Bernstein bound of Maurer and Pontil, COLT 2009, theorem 4, for both sides.
    """
    n, log = len(values), np.log(4 / alpha)
    return float(np.sqrt(2 * values.var() * log / n) + 7 * log / (3 * max(n - 1, 1)))
