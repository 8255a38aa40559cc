"""Signals, silence and places: labels that nobody stated."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from tests.unit.evidence.test_label_view import NOW, RULE, voice

from volant.core.expression import parse
from volant.evidence.evidence import gather, of_voices
from volant.evidence.label_view import ACCEPTED, HELD, build_label_view
from volant.evidence.opinions import SignalRule, opinions
from volant.store.records import PredictionRecord

DAY = 86_400
BOUGHT = SignalRule("bought", parse("purchase | click & dwell > 10s"), "correction", "yes", "no", 0.5)


def label(kind, value, answer):
    if kind == "rating":
        return answer["label"] if value == "up" else None
    return value if kind == "correction" else None


TASK = SimpleNamespace(target_type="category", label=label, feedback=())


def shown(name: str, *, yes: float = 0.5, age: float = 0.0) -> PredictionRecord:
    output = {"label": "yes" if yes > 0.5 else "no", "probabilities": {"no": 1 - yes, "yes": yes}}
    at = (NOW - timedelta(seconds=age)).isoformat()
    return PredictionRecord(id=name, release="r", at=at, input={}, output=output, audit=True)


def view(*voices, rule=RULE, **more):
    return build_label_view(voices, task=TASK, classes=("no", "yes"), rule=rule, sides={}, **more)


def did(seq, on, actor="ann", **fields):
    return voice(seq, on, fields, actor, kind="signal")


def test_what_somebody_does_means_what_the_rule_says():
    rule = replace(RULE, signals=(BOUGHT,))
    p, q, r = (shown(name) for name in "pqr")
    done = did(1, p, click=True, dwell=12.0), did(2, q, click=True, dwell=3.0), did(3, r, purchase=True)
    made = view(*done, rule=rule)
    assert {d.prediction_id: d.label for d in made.decisions} == {"p": "yes", "q": "no", "r": "yes"}
    assert all(d.weight == 0.5 for d in made.decisions)


def test_several_events_of_one_actor_add_up_and_those_of_another_do_not():
    rule = replace(RULE, signals=(replace(BOUGHT, otherwise=None),))
    p, q = shown("p"), shown("q")
    events = [did(1, p, click=True), did(2, p, dwell=30), did(3, q, click=True), did(4, q, "bob", dwell=30)]
    made = view(*events, rule=rule)
    assert {d.prediction_id: d.status for d in made.decisions} == {"p": ACCEPTED, "q": "left out"}


def test_without_a_rule_events_mean_nothing():
    assert view(did(1, shown("p"), click=True)).decisions[0].reason == "implies no label"


def test_what_was_stated_later_outweighs_what_was_done():
    rule = replace(RULE, signals=(BOUGHT,))
    p = shown("p")
    made = view(did(1, p, purchase=True), voice(2, p, "no"), rule=rule)
    assert (made.decisions[0].label, made.count(ACCEPTED)) == ("no", 1)
    assert made.decisions[0].weight > 0.5


def test_the_first_rule_that_says_anything_counts():
    returned = SignalRule("returned", parse("returned"), "correction", "no", None, 0.9)
    rule = replace(RULE, signals=(returned, BOUGHT))
    made = view(did(1, shown("p"), purchase=True, returned=True), rule=rule)
    assert made.decisions[0].label == "no"


@pytest.mark.parametrize("odd", ["soon", "2024-01-01", True, 10**30])
def test_what_one_actor_sends_as_another_type_changes_nobody_elses_events(odd):
    rule = replace(RULE, signals=(replace(BOUGHT, position="position"),))
    p, q, r = (shown(name) for name in "pqr")
    done = [did(1, p, click=True, dwell=12, position=1), did(2, q, click=True, dwell=3, position=2)]
    made = view(*done, did(3, r, "mallory", click="no", dwell=odd, position=odd, new=odd), rule=rule)
    assert [d.label for d in made.decisions[:2]] == ["yes", "no"]
    given = opinions(of_voices([*done, did(3, r, "mallory", position=odd)], NOW), TASK, (), rule.signals)
    assert given.place[:2].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("odd", [0, -3, 1.5, "first"])
def test_a_place_that_is_none_in_a_list_is_not_told(odd):
    rule = replace(RULE, signals=(replace(BOUGHT, position="position"),))
    heard = of_voices([did(1, shown("p"), click=True, position=odd)], NOW)
    assert np.isnan(opinions(heard, TASK, (), rule.signals).place).all()


def quiet(records, voices, rule):
    """A view of predictions about some of which nobody spoke."""
    spoken = of_voices(voices, rule.now)
    encode = msgspec.json.Encoder().encode
    columns = {"id": [], "release": [], "policy": [], "subject": [], "input": [], "output": [], "at": []}
    for one in records:
        for name in ("id", "release", "policy", "subject", "at"):
            columns[name].append(getattr(one, name))
        columns["input"].append(encode(one.input).decode())
        columns["output"].append(encode(one.output).decode())
    table = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    table |= {"propensity": pa.array([1.0] * len(records)), "audit": pa.array([True] * len(records))}
    feedback = {
        "seq": pa.array(spoken.seq),
        "id": pa.array([str(s) for s in spoken.seq]),
        "prediction_id": spoken.predictions.ids.take(pa.array(spoken.item)),
        "target": pa.array([""] * len(spoken), pa.string()),
        "supersedes": pa.nulls(len(spoken), pa.string()),
    }
    for name in ("kind", "value", "actor", "source"):
        codes = getattr(spoken, name)
        feedback[name] = pa.array([getattr(spoken, f"{name}s")[c] for c in codes], pa.string())
    for name, micros in (("received_at", spoken.received), ("event_at", spoken.happened)):
        feedback[name] = pa.array([f"{np.datetime64(int(m), 'us')}+00:00" for m in micros], pa.string())
    evidence = gather(pa.table(feedback), pa.table(table), rule.now)
    return build_label_view(
        evidence, task=TASK, classes=("no", "yes"), rule=rule, sides=np.full(len(records), "train", dtype=object)
    )


SILENT = replace(RULE, maturity_seconds=7 * DAY, silence="no")


def test_silence_is_an_answer_once_it_has_lasted():
    old, young = shown("p1", age=8 * DAY), shown("p2", age=2 * DAY)
    made = quiet([old, young], [], SILENT)
    assert [(d.status, d.label, d.weight) for d in made.decisions] == [(ACCEPTED, "no", 1.0), (HELD, None, 0.0)]


def test_an_early_yes_waits_like_an_early_no():
    young, old = shown("p1", age=2 * DAY), shown("p2", age=8 * DAY)
    came = [voice(1, young, "yes", age=DAY), voice(2, old, "yes", "bob", age=5 * DAY)]
    made = quiet([young, old], came, SILENT)
    assert [d.status for d in made.decisions] == [HELD, ACCEPTED]
    assert made.decisions[1].label == "yes"


def test_what_comes_too_late_is_no_answer_any_more():
    old = shown("p", age=20 * DAY)
    made = quiet([old], [voice(1, old, "yes", age=DAY)], SILENT)
    assert (made.decisions[0].label, made.decisions[0].reason) == ("no", "nobody said anything")


def test_what_is_young_may_still_become_a_yes():
    rng = np.random.default_rng(0)
    rule = replace(SILENT, early="weigh")
    records, voices, truth = [], [], []
    for i in range(3000):
        rate, age = float(rng.uniform(0.1, 0.6)), float(rng.uniform(0, 14 * DAY))
        one = shown(f"p{i:04}", yes=rate, age=age)
        delay = float(rng.exponential(2 * DAY))
        positive = rng.random() < rate and delay < 7 * DAY
        records.append(one)
        truth.append(positive)
        if positive and delay < age:
            voices.append(voice(i, one, "yes", f"user{i}", age=age - delay))
    made = quiet(records, voices, rule)
    weight = made.verdicts.weight
    yes = np.array([label == "yes" for label in made.label_of(np.arange(3000))])
    share = np.where(yes, 1.0, made.verdicts.shared)
    young = np.array([one.at for one in records]) > (NOW - timedelta(days=7)).isoformat()
    assert weight.min() > 0.5
    assert share[young].mean() == pytest.approx(np.mean(np.array(truth)[young]), rel=0.12)
    assert yes[young].mean() < 0.8 * np.mean(np.array(truth)[young])
    assert made.verdicts.shared[~young].max() == 0


def test_not_to_act_on_what_stands_far_down_says_little():
    rng = np.random.default_rng(1)
    rule = replace(RULE, signals=(replace(BOUGHT, position="position", when=parse("purchase")),))
    voices = []
    for i in range(4000):
        place = int(rng.integers(1, 9))
        appeal = float(rng.uniform(0.2, 0.8))
        bought = bool(rng.random() < appeal / place)
        voices.append(did(i, shown(f"p{i:04}", yes=appeal), f"user{i}", purchase=bought, position=place))
    made = view(*voices, rule=rule)
    place = np.array([v.value["position"] for v in voices])
    idle = np.array([not v.value["purchase"] for v in voices])
    shared = made.verdicts.shared
    assert shared[idle & (place == 1)].max() < 0.1
    assert shared[idle & (place == 8)].mean() > 0.3
    assert shared[~idle].max() == 0


def test_who_only_reports_what_happened_is_believed_where_silence_is_an_answer():
    rule = replace(SILENT, signals=(replace(BOUGHT, otherwise=None, weight=0.5),))
    records = [shown(f"p{i:03}", yes=0.3, age=(8 + i % 5) * DAY) for i in range(300)]
    told = [
        voice(i, one, {"purchase": True}, f"buyer{i % 4}", kind="signal", age=7.5 * DAY)
        for i, one in enumerate(records[:80])
    ]
    made = quiet(records, told, rule)
    assert made.label_of(np.arange(80)) == ["yes"] * 80
    assert set(made.label_of(np.arange(80, 300))) == {"no"}
    assert len(set(made.verdicts.weight.tolist())) == 1
