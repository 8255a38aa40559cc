"""What is said of several labels: each is settled by itself, and what is settled becomes one cell per prediction."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from volant.evidence.evidence import of_voices
from volant.evidence.label_view import ACCEPTED, HELD, LabelRule
from volant.evidence.reference import Second
from volant.evidence.several import build_view_of_labels
from volant.store.records import PredictionRecord, Voice
from volant.tasks.tag import Tag

NOW = datetime(2030, 1, 2, tzinfo=UTC)
RULE = LabelRule(maturity_seconds=0, min_trust=0.5, new_class_rows=3, now=NOW)
LABELS = ("cat", "cow", "dog")


def prediction(name, marked=("cat",)):
    likely = {label: 0.7 if label in marked else 0.3 for label in LABELS}
    output = {"labels": list(marked), "probabilities": likely}
    return PredictionRecord(id=name, release="r", at=NOW.isoformat(), input={}, output=output, audit=True)


def voice(seq, on, value, kind="correction", actor="ann", source="user"):
    return Voice(seq, f"f{seq}", on, kind, value, actor, source, None, NOW.isoformat())


def view(*voices, rule=RULE, second=None):
    heard = of_voices(voices, NOW)
    sides = np.array(["train"] * len(heard.predictions), dtype=object)
    return build_view_of_labels(heard, task=Tag(), labels=LABELS, rule=rule, sides=sides, second=second)


def cells(made):
    return {one.prediction_id: one.label for one in made.decisions if one.status == ACCEPTED}


def test_nothing_said_is_an_empty_view():
    assert view().decisions == ()


def test_a_whole_list_settles_every_label():
    assert cells(view(voice(1, prediction("p"), ["cat", "dog"]))) == {"p": '["cat","dog"]'}
    assert cells(view(voice(1, prediction("p"), []))) == {"p": "[]"}


def test_a_confirmation_is_what_was_answered():
    assert cells(view(voice(1, prediction("p", ("cow", "dog")), True, "confirmation"))) == {"p": '["cow","dog"]'}


def test_presence_settles_the_labels_that_it_names_and_adds_up():
    on = prediction("p")
    said = [voice(1, on, {"cat": True}, "presence"), voice(2, on, {"dog": False}, "presence")]
    assert cells(view(*said)) == {"p": '{"cat":true,"dog":false}'}
    assert cells(view(*said, voice(3, on, {"cat": False}, "presence"))) == {"p": '{"cat":false,"dog":false}'}


def test_a_label_on_which_actors_disagree_stays_open_and_the_others_do_not():
    on = prediction("p", ())
    said = [
        voice(i, on, names, actor=f"u{i}") for i, names in enumerate((["cow"], ["cow"], ["cow", "dog"], ["cow", "dog"]))
    ]
    settled = cells(view(*said, rule=LabelRule(0, 0.5, 3, NOW, agreement=0.9)))
    assert settled in ({"p": '{"cat":false,"cow":true}'}, {"p": '["cow"]'}, {"p": '["cow","dog"]'})


def test_a_reviewer_decides():
    on = prediction("p")
    said = [voice(1, on, ["cat"], actor="ann"), voice(2, on, ["dog"], actor="eve", source="reviewer")]
    assert cells(view(*said)) == {"p": '["dog"]'}


def test_a_new_label_waits_until_enough_rows_carry_it():
    few = [voice(i, prediction(f"p{i}"), {"yak": True}, "presence", f"u{i}") for i in range(2)]
    made = view(*few)
    assert made.new_classes == ()
    assert {one.status for one in made.decisions} == {HELD}
    more = [*few, voice(9, prediction("p9"), {"yak": True}, "presence", "u9")]
    made = view(*more)
    assert made.new_classes == ("yak",)
    assert set(cells(made).values()) == {'{"yak":true}'}


def test_the_same_evidence_in_another_order_is_the_same_view():
    said = [voice(i, prediction(f"p{i}"), ["cat"], actor=f"u{i % 2}") for i in range(6)]
    assert view(*said) == view(*reversed(said))
    assert view(*said).version != view(*said[:5]).version


def test_what_models_say_that_came_later_counts_as_for_classes():
    on = prediction("p", ("cat", "cow", "dog"))
    said = voice(1, on, ["cat", "cow", "dog"])
    sure = Second(LABELS, probabilities=np.array([[0.7, 0.7, 0.4]]))
    weights = [view(said, second=second).decisions[0].weight for second in (None, sure)]
    assert weights[1] < weights[0]
