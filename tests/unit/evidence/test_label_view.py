from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from volant.core.plugins import load
from volant.evidence.label_view import ACCEPTED, HELD, JUDGED, LEFT_OUT, REJECTED, LabelRule, build_label_view
from volant.store.records import PredictionRecord, Voice

NOW = datetime(2030, 1, 2, tzinfo=UTC)
RULE = LabelRule(maturity_seconds=0, min_trust=0.5, new_class_rows=3, now=NOW)
CLASSES = ("cat", "cow", "dog")


def label(kind, value, answer):
    if kind == "rating":
        return answer.get("label", answer.get("value")) if value == "up" else None
    return value


CLASSIFY = SimpleNamespace(target_type="category", label=label, feedback=())
REGRESS = SimpleNamespace(target_type="number", label=label, feedback=())


def prediction(name: str, *, guess: str = "cat", audit: bool = False, value: float | None = None) -> PredictionRecord:
    probabilities = {c: 0.9 if c == guess else 0.05 for c in CLASSES}
    output = {"value": value} if value is not None else {"label": guess, "probabilities": probabilities}
    return PredictionRecord(id=name, release="r", at=NOW.isoformat(), input={}, output=output, audit=audit)


def voice(seq: int, on: PredictionRecord, value, actor: str = "ann", *, kind="correction", source="user", age=60.0):
    received = (NOW - timedelta(seconds=age)).isoformat()
    return Voice(seq, f"f{seq}", on, kind, value, actor, source, None, received)


def view(*voices, rule=RULE, sides=None, task=CLASSIFY, classes=CLASSES, doubted=()):
    return build_label_view(voices, task=task, classes=classes, rule=rule, sides=sides or {}, doubted=doubted)


def only(made):
    (decision,) = made.decisions
    return decision


def test_no_evidence_makes_an_empty_view():
    made = view()
    assert made.decisions == ()
    assert made.version == view().version


def test_a_correction_becomes_a_label_that_weighs_what_it_is_sure():
    made = view(voice(1, prediction("p"), "dog"))
    decision = only(made)
    assert (decision.status, decision.label) == (ACCEPTED, "dog")
    assert 0.5 < decision.weight < made.trust["ann"].mean
    confirmed = only(view(voice(1, prediction("p", guess="dog"), "dog")))
    assert confirmed.weight > 0.95


def test_an_actor_has_one_voice_per_prediction_and_it_is_the_last():
    on = prediction("p")
    assert only(view(voice(2, on, "cow"), voice(1, on, "dog"))).label == "cow"


def test_a_rating_implies_what_the_task_says():
    up = view(voice(1, prediction("p", guess="cow"), "up", kind="rating"))
    down = view(voice(1, prediction("p"), "down", kind="rating"))
    assert only(up).label == "cow"
    assert (only(down).status, only(down).reason) == (LEFT_OUT, "implies no label")


def test_a_correction_outlives_the_rating_of_the_same_actor():
    on = prediction("p")
    assert only(view(voice(1, on, "dog"), voice(2, on, "down", kind="rating"))).label == "dog"


def test_an_edit_implies_what_the_answer_was_changed_to():
    row = prediction("p")
    edited = voice(1, row, {"from": "cat", "to": "dog"}, kind="edit")
    task = load("tasks", "classify")
    assert only(view(edited, task=task)).label == "dog"
    stated = view(voice(1, row, "dog"), task=task)
    assert only(view(edited, task=task)) == only(stated), "it is believed like a correction"
    assert only(view(edited, voice(2, row, "cow"), task=task)).label == "cow", "one voice, whatever the kinds"


def test_what_is_not_mature_is_held_and_counts_later():
    on = voice(1, prediction("p"), "dog", age=60)
    young = view(on, rule=replace(RULE, maturity_seconds=61))
    assert (only(young).status, only(young).reason) == (HELD, "not mature yet")
    later = view(on, rule=replace(RULE, maturity_seconds=61, now=NOW + timedelta(seconds=2)))
    assert only(later).status == ACCEPTED
    assert later.version != young.version


def test_evidence_from_the_future_does_not_exist():
    old, new = voice(1, prediction("p"), "dog"), voice(2, prediction("q"), "dog", age=-5)
    assert view(old, new).version == view(old).version
    assert view(old, new).decisions == view(old).decisions


def test_time_alone_changes_no_version():
    on = voice(1, prediction("p"), "dog")
    assert view(on).version == view(on, rule=replace(RULE, now=NOW + timedelta(days=9))).version


@pytest.mark.parametrize(
    "other",
    [
        {"rule": replace(RULE, min_trust=0.6)},
        {"sides": {"p": "judge"}},
        {"doubted": ["p"]},
        {"classes": (*CLASSES, "fox")},
    ],
)
def test_another_rule_is_another_version(other):
    on = voice(1, prediction("p"), "dog")
    assert view(on, **other).version != view(on).version


def test_actors_who_contradict_each_other_are_held():
    on = prediction("p")
    decision = only(view(voice(1, on, "dog", "ann"), voice(2, on, "cow", "bob")))
    assert (decision.status, decision.label, decision.weight) == (HELD, None, 0.0)


def test_a_clear_majority_decides_and_weighs_more_than_one_voice():
    on = prediction("p")
    three = only(view(*(voice(i, on, "dog", f"u{i}") for i in range(3))))
    alone = only(view(voice(1, on, "dog")))
    outvoted = only(view(*(voice(i, on, "dog", f"u{i}") for i in range(4)), voice(9, on, "cow", "eve")))
    assert three.weight > alone.weight
    assert (outvoted.status, outvoted.label) == (ACCEPTED, "dog")


def stubborn(count: int = 12):
    return [voice(100 + i, prediction(f"s{i}", guess=CLASSES[i % 2]), "dog", "eve") for i in range(count)]


def test_an_actor_without_trust_is_rejected_and_cannot_outvote():
    made = view(*stubborn(), voice(1, prediction("s0", guess="cat"), "cat", "ann"))
    reasons = {d.prediction_id: (d.status, d.label) for d in made.decisions}
    assert reasons["s1"] == (REJECTED, None)
    assert reasons["s0"] == (ACCEPTED, "cat")
    assert made.reasons() == {"the actor has not earned enough trust": 11}


def test_a_reviewers_word_decides():
    on = prediction("p")
    crowd = [voice(i, on, "dog", f"u{i}") for i in range(5)]
    decision = only(view(*crowd, voice(9, on, "cow", "boss", source="reviewer"), doubted=["p"]))
    assert (decision.status, decision.label, decision.weight) == (ACCEPTED, "cow", 1.0)


def test_probable_noise_is_held_not_dropped():
    decision = only(view(voice(1, prediction("p"), "dog"), doubted=["p"]))
    assert (decision.status, decision.label) == (HELD, "dog")


def test_anonymous_answers_are_one_actor():
    on = prediction("p")
    made = view(*(voice(i, on, "dog", "") for i in range(3)), voice(9, on, "cow", "ann"))
    assert only(made).status == HELD
    assert set(made.trust) == {"", "ann"}


def test_many_nameless_sessions_cannot_outvote_one_known_actor():
    on = prediction("p")
    flood = [voice(i, on, "dog", f"anon-{i}") for i in range(50)]
    assert only(view(*flood, voice(99, on, "cow", "ann"))).status == HELD


def test_judging_rows_judge_only_when_audited_and_test_rows_never_count():
    made = view(
        voice(1, prediction("asked", audit=True), "dog", "a"),
        voice(2, prediction("chosen"), "dog", "b"),
        voice(3, prediction("frozen", audit=True), "dog", "c"),
        sides={"asked": "judge", "chosen": "judge", "frozen": "test"},
    )
    assert {d.prediction_id: d.status for d in made.decisions} == {
        "asked": JUDGED,
        "chosen": LEFT_OUT,
        "frozen": LEFT_OUT,
    }


def test_a_new_class_waits_until_enough_predictions_agree():
    few = [voice(i, prediction(f"p{i}"), "fox", f"u{i}") for i in range(2)]
    repeated = voice(7, prediction("p0"), "fox", "u7")
    assert view(*few, repeated).new_classes == ()
    assert view(*few, repeated).count(HELD) == 2
    enough = view(*few, voice(9, prediction("p9"), "fox", "u9"))
    assert (enough.new_classes, enough.count(ACCEPTED)) == (("fox",), 3)


def test_numbers_are_merged_by_their_median():
    on = prediction("p", value=10.0)
    near = [voice(i, on, v, f"u{i}") for i, v in enumerate([12.0, 12.5, 11.5])]
    decision = only(view(*near, task=REGRESS, classes=()))
    assert (decision.status, decision.label) == (ACCEPTED, 12.0)


def test_somebody_who_always_says_the_same_number_is_recognised():
    truths = [float(i) for i in range(0, 100, 5)]
    honest = [voice(i, prediction(f"p{i}", value=t + (-1) ** i), t, "ann") for i, t in enumerate(truths)]
    stuck = [voice(50 + i, prediction(f"q{i}", value=t), 55.0, "eve") for i, t in enumerate(truths)]
    made = view(*honest, *stuck, task=REGRESS, classes=())
    assert made.trust["eve"].mean < 0.4 < 0.8 < made.trust["ann"].mean


def test_somebody_who_says_any_number_is_recognised_among_honest_people():
    rng = np.random.default_rng(0)
    said = []
    for actor in [*(f"honest {i}" for i in range(8)), "random"]:
        for i in range(20):
            truth = rng.uniform(0, 100)
            on = prediction(f"{actor} {i}", value=float(truth + 6 * rng.normal()))
            said.append(voice(len(said), on, float(rng.uniform(0, 100) if actor == "random" else truth), actor))
    earned = view(*said, task=REGRESS, classes=()).trust
    assert earned["random"].mean < 0.4
    assert min(trust.mean for actor, trust in earned.items() if actor != "random") > 0.8


def test_a_voice_on_a_class_that_the_champion_did_not_know_costs_no_trust():
    foxes = [voice(i, prediction(f"p{i}"), "fox") for i in range(12)]
    assert view(*foxes).count(ACCEPTED) == 12


def test_a_crowd_without_names_earns_its_trust_together():
    """A new name for every lie gives no liar the trust of a newcomer."""
    asked = [prediction(f"p{i:02}", guess=CLASSES[i % 3], audit=True) for i in range(30)]
    flipped = {"cat": "cow", "cow": "dog", "dog": "cat"}
    lies = [voice(i, on, flipped[on.output["label"]], f"anon-{i}") for i, on in enumerate(asked)]
    assert view(*lies).count(REJECTED) == 30
    truths = [voice(i, on, on.output["label"], f"anon-{i}") for i, on in enumerate(asked)]
    assert view(*truths).count(ACCEPTED) == 30


def test_a_new_class_waits_for_rows_that_can_judge_it():
    rule = replace(RULE, new_class_judges=2)
    asked = [prediction(f"p{i}", audit=True) for i in range(6)]
    said = [voice(i, on, "zebra", f"user{i}") for i, on in enumerate(asked)]
    made = view(*said, rule=rule, sides={"p0": "judge"})
    assert made.new_classes == ()
    assert made.reasons() == {"a new class needs 3 labels, 2 of them on rows that judge": 6}
    made = view(*said, rule=rule, sides={"p0": "judge", "p1": "judge"})
    assert (made.new_classes, made.count(ACCEPTED), made.count(JUDGED)) == (("zebra",), 4, 2)


def test_numbers_far_from_all_that_was_seen_wait_for_a_reviewer():
    asked = [prediction(f"p{i}", value=10.0 + i) for i in range(4)]
    said = [voice(i, on, on.output["value"] + 1, f"user{i}") for i, on in enumerate(asked[:3])]
    absurd = voice(8, asked[3], 1e99, "user1")
    made = build_label_view([*said, absurd], task=REGRESS, classes=(), rule=RULE, sides={}, plausible=(0.0, 50.0))
    assert [d.status for d in made.decisions] == [ACCEPTED, ACCEPTED, ACCEPTED, HELD]
    seen = voice(9, asked[3], 99.0, "eve", source="reviewer")
    made = build_label_view([*said, absurd, seen], task=REGRESS, classes=(), rule=RULE, sides={}, plausible=(0.0, 50.0))
    assert (made.decisions[3].status, made.decisions[3].label) == (ACCEPTED, 99.0)
