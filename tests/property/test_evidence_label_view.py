"""The label view is a function of a set of evidence: order and repetition change nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from volant.evidence.label_view import STATUSES, LabelRule, build_label_view
from volant.store.records import PredictionRecord, Voice

NOW = datetime(2030, 1, 2, tzinfo=UTC)
CLASSES = ("a", "b", "c")
TASK = SimpleNamespace(
    target_type="category",
    feedback=(),
    label=lambda kind, value, answer: value if kind == "correction" else answer["label"] if value == "up" else None,
)


def prediction(number: int) -> PredictionRecord:
    guess = CLASSES[number % 3]
    output = {"label": guess, "probabilities": {c: 0.8 if c == guess else 0.1 for c in CLASSES}}
    return PredictionRecord(
        id=f"p{number}", release="r", at=NOW.isoformat(), input={}, output=output, audit=number % 2 == 0
    )


@st.composite
def voices(draw) -> list[Voice]:
    seqs = draw(st.lists(st.integers(1, 60), unique=True, max_size=25))
    made = []
    for seq in seqs:
        kind = draw(st.sampled_from(["correction", "rating"]))
        value = draw(st.sampled_from(["a", "b", "c", "new"] if kind == "correction" else ["up", "down"]))
        actor = draw(st.sampled_from(["", "ann", "bob", "eve"]))
        received = (NOW - timedelta(seconds=draw(st.integers(-10, 100)))).isoformat()
        source = draw(st.sampled_from(["user", "user", "reviewer"]))
        on = prediction(draw(st.integers(0, 8)))
        made.append(Voice(seq, f"f{seq}", on, kind, value, actor, source, None, received))
    return made


def view(heard: list[Voice]):
    rule = LabelRule(maturity_seconds=20, min_trust=0.5, new_class_rows=2, now=NOW)
    sides = {"p1": "judge", "p2": "judge", "p3": "test"}
    return build_label_view(heard, task=TASK, classes=CLASSES, rule=rule, sides=sides, doubted=["p4"])


@settings(max_examples=60, deadline=None)
@given(voices(), st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(heard, chance):
    again = heard + [chance.choice(heard) for _ in range(10) if heard]
    chance.shuffle(again)
    assert view(again) == view(heard)


@settings(max_examples=60, deadline=None)
@given(voices())
def test_every_prediction_gets_one_decision_of_a_known_status(heard):
    made = view(heard)
    names = [d.prediction_id for d in made.decisions]
    seen = {v.prediction.id for v in heard if datetime.fromisoformat(v.received_at) <= NOW}
    assert set(names) == seen
    assert len(names) == len(seen)
    assert {d.status for d in made.decisions} <= set(STATUSES)
    assert all(0.0 <= d.weight <= 1.0 for d in made.decisions)
    assert all(d.prediction_id != "p3" or d.status in ("left out", "held") for d in made.decisions)
