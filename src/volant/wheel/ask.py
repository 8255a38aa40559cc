"""Ask: which predictions reviewers are asked about, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns.media import is_media
from volant.core.ids import keyed_unit
from volant.core.product import parse_duration
from volant.core.records import Feedback
from volant.errors import BadInput
from volant.evidence.asking import choose, embed
from volant.evidence.evidence import Predicted, gather, predicted
from volant.evidence.label_view import ACCEPTED, HELD, JUDGED
from volant.store.part import iso
from volant.store.records import QuestionRow
from volant.wheel.context import Context
from volant.wheel.learn import harvest, view_of
from volant.wheel.results import Result
from volant.wheel.succession import refuse_another_problem
from volant.wheel.traffic import arrays_of, canonical_rows, sides_of

REVIEWER = "reviewer"
MOST = 20_000
"""Predictions that are considered at the most, the youngest."""
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Question(Result):
    """One question to a reviewer: what came in, what was answered, why it is asked, what others said."""

    prediction_id: str
    why: str
    input: dict[str, Any]
    output: dict[str, Any]
    said: tuple[tuple[str, str, Any], ...]
    choices: tuple[str, ...] = ()


def ask(context: Context, *, seed: str) -> int:
    """Put new questions into the queue, as many as the day's budget leaves; how many.

    Everything random follows from `seed`.
    """
    rules, store = context.product.file.review, context.store
    store.index_segments()
    since = iso(context.clock.now() - timedelta(seconds=parse_duration(rules.window)))
    today = iso(context.clock.now() - DAY)
    while (left := rules.per_day - store.asked_since(today)) > 0:
        traffic = predicted(_youngest(store.prediction_table(since), store.questions()))
        if not len(traffic):
            break
        asked = store.ask(_chosen(context, traffic, left, seed), since=today, most=rules.per_day)
        if asked is not None:  # else somebody else asked meanwhile, and less of the day is left
            return asked
    return 0


def _youngest(table: pa.Table, known: list[QuestionRow]) -> pa.Table:
    """The youngest predictions that were not asked about before."""
    asked = pa.array([one.prediction_id for one in known], pa.string())
    table = table.filter(pc.invert(pc.is_in(table.column("id"), value_set=asked)))
    return table.take(pc.sort_indices(table, sort_keys=[("at", "descending")])[:MOST])


def _chosen(context: Context, traffic: Predicted, left: int, seed: str) -> list[dict[str, Any]]:
    from volant.wheel.collect import collect

    source = collect(context)
    refuse_another_problem(context, source.schema)
    rows = canonical_rows(source.schema, traffic, context.product.file.data.missing, context.store.media)
    sides = sides_of(source, rows)
    free = (sides == "train") | ((sides == "judge") & traffic.audit)  # what else judges was not asked for at random
    contested, labels = _contested(context, traffic)
    inputs = [c for c in source.schema.inputs if c.name in rows.column_names and not is_media(c.type)]
    known = arrays_of(source.schema, rows.select([c.name for c in inputs]), context.product.home)
    points = np.concatenate([embed(known), traffic.probabilities], axis=1) if inputs else traffic.probabilities
    places = np.flatnonzero(free & (contested >= 0))
    chance = np.random.default_rng([int(1e9 * keyed_unit("ask", [seed])[0])])
    found = choose(
        points[places],
        _likely(context, traffic)[places].astype(np.float64),
        contested[places],
        labels=labels,
        budget=left,
        explore=context.product.file.review.explore,
        chance=chance,
    )
    ids = traffic.ids.take(pa.array(places[found.place])).to_pylist()
    each = zip(ids, found.why, found.score.tolist(), found.propensity.tolist(), strict=True)
    return [
        {"prediction_id": name, "why": why, "score": score, "propensity": likely} for name, why, score, likely in each
    ]


def _likely(context: Context, traffic: Predicted) -> np.ndarray:
    """How probable the answers are, (n, C); of several labels the one that is least sure, present or not, (n, 2)."""
    found = traffic.probabilities
    if context.task.target_type != "labels" or not found.shape[1]:
        return found
    least = found[np.arange(len(found)), np.abs(found - 0.5).argmin(axis=1)]
    return np.stack([1.0 - least, least], axis=1)


def _contested(context: Context, traffic: Predicted) -> tuple[np.ndarray, int]:
    """How contested each prediction is, (n,): 1 where labels are held, 0 where nobody spoke, −1 where one is believed;
    and how many labels there are."""
    from volant.wheel.collect import collect

    contested = np.zeros(len(traffic))
    found = harvest(context, collect(context))
    if found is None:
        return contested, 0
    view = view_of(context, found, None)
    place = pc.index_in(view.verdicts.ids, value_set=traffic.ids)
    known = place.is_valid().to_numpy(zero_copy_only=False)
    at = place.fill_null(0).to_numpy(zero_copy_only=False)
    held, used = view.verdicts.is_status(HELD) & known, view.verdicts.is_status(ACCEPTED, JUDGED) & known
    waiting = np.array([reason == "not mature yet" for reason in view.verdicts.reasons] or [False])
    held &= ~waiting[view.verdicts.reason]
    contested[at[held]], contested[at[used]] = 1.0, -1.0
    return contested, view.count(ACCEPTED)


def questions(context: Context) -> list[Question]:
    """The open questions, the most pressing first."""
    listed = context.store.questions("open")
    found = context.store.find_predictions([one.prediction_id for one in listed])
    gone = [one.prediction_id for one in listed if one.prediction_id not in found]
    if gone:
        context.store.close_questions(gone, "gone")
    said = _said(context, set(found))
    made = []
    for one in listed:
        if one.prediction_id in found:
            record = found[one.prediction_id]
            classes = tuple(record.output.get("probabilities", {}))
            words = said.get(one.prediction_id, ())
            made.append(Question(one.prediction_id, one.why, record.input, record.output, tuple(words), classes))
    return made


def _said(context: Context, wanted: set[str]) -> dict[str, list[tuple[str, str, Any]]]:
    """What actors say about some predictions."""
    if not wanted:
        return {}
    feedback = context.store.feedback_table()
    feedback = feedback.filter(pc.is_in(feedback.column("prediction_id"), value_set=pa.array(sorted(wanted))))
    heard = gather(feedback, context.store.answered_table(), context.clock.now())
    ids = heard.predictions.ids.to_pylist()
    found: dict[str, list[tuple[str, str, Any]]] = {}
    for item, actor, kind, value in zip(heard.item, heard.actor, heard.kind, heard.value, strict=True):
        word = heard.actors[actor], heard.kinds[kind], msgspec.json.decode(heard.values[value])
        found.setdefault(ids[item], []).append(word)
    return found


def answer(context: Context, prediction_id: str, value: Any, *, actor: str, rationale: str | None = None) -> None:
    """Store what a reviewer says about a prediction, and close the question. `None` closes it without an answer.

    Raises:
        BadInput: codes `prediction-unknown`, `feedback-invalid`.
    """
    known = context.store.find_predictions([prediction_id])
    if prediction_id not in known:
        raise BadInput("there is no prediction with that id", code="prediction-unknown", where="id", got=prediction_id)
    if value is not None:
        classes = tuple(known[prediction_id].output.get("probabilities", {}))
        kind = _kind(context, value)
        read = context.task.parse_feedback(kind, value, classes)
        item = Feedback(prediction_id, kind, read, actor, source=REVIEWER, rationale=rationale)
        context.store.add_feedback([item])
    context.store.close_questions([prediction_id], "answered" if value is not None else "gone")


def _kind(context: Context, value: Any) -> str:
    """An object speaks of some labels alone, where the task takes that; all else is the whole truth."""
    named = isinstance(value, dict) or (isinstance(value, str) and value.lstrip().startswith("{"))
    takes = any(kind.name == "presence" for kind in context.task.feedback)
    return "presence" if named and takes else "correction"
