"""Crowds: accounts that cost nothing, groups that have agreed, people who are no people, and programs."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.evidence.test_label_view import CLASSES, CLASSIFY, NOW, RULE, prediction, view, voice

from volant.evidence.label_view import ACCEPTED, HELD, JUDGED, build_label_view
from volant.evidence.reference import Second
from volant.store.records import PredictionRecord

AFTER = {"cat": "cow", "cow": "dog", "dog": "cat"}


def cases(count, *, right=0.85, seed=0):
    """Predictions and truths: the champion is right at that rate."""
    chance = random.Random(seed)
    made = []
    for i in range(count):
        truth = CLASSES[i % 3]
        guess = truth if chance.random() < right else AFTER[truth]
        made.append((prediction(f"p{i:04}", guess=guess, audit=True), truth))
    return made


def honest(shown, people=20, voices=2, *, slip=0.05, seed=1):
    """Everybody sees some of the cases and slips at times."""
    chance = random.Random(seed)
    said = []
    for on, truth in shown:
        for name in chance.sample(range(people), voices):
            value = chance.choice(CLASSES) if chance.random() < slip else truth
            said.append(voice(len(said), on, value, f"user{name}", age=6e6 * chance.random() + 60))
    return said


def labels(made):
    return {d.prediction_id: d.label for d in made.decisions if d.status == ACCEPTED}


def test_a_crowd_of_new_names_is_not_believed_against_somebody_proven():
    shown = cases(60)
    said = honest(shown[:59])
    on, truth = shown[59]
    said.append(voice(5000, on, truth, "user1"))
    flood = [voice(6000 + i, on, AFTER[AFTER[truth]], f"new{i}") for i in range(50)]
    made = view(*said, *flood)
    assert labels(made).get(on.id) in (None, truth)


def test_a_crowd_of_new_names_weighs_no_more_than_one_good_voice_against_a_sure_champion():
    on = prediction("p")
    one = view(voice(1, on, "dog", "new")).decisions[0]
    many = view(*(voice(i, on, "dog", f"new{i}") for i in range(200))).decisions[0]
    assert many.weight < one.weight + 0.3
    proven = view(*honest(cases(60)), *(voice(9000 + i, prediction("p"), "dog", f"user{i}") for i in range(5)))
    assert next(d for d in proven.decisions if d.prediction_id == "p").weight > 0.99


def plotted(shown, members, share, seed=2):
    """A group tells the truth, and lies alike about some of the cases."""
    chance = random.Random(seed)
    said = []
    for on, truth in shown:
        lie = chance.random() < share
        value = AFTER[truth] if lie else truth
        for m in range(members):
            said.append(voice(20_000 + len(said), on, value, f"plot{m}", age=6e6 * chance.random()))
    return said


def test_a_group_that_has_agreed_is_found_and_its_word_alone_counts_for_nothing():
    shown = cases(300)
    said = honest(shown[:200])
    made = view(*said, *plotted(shown[200:], 5, 0.4))
    assert made.groups == (tuple(f"plot{m}" for m in range(5)),)
    truths = {on.id: truth for on, truth in shown}
    guessed = {on.id: on.output["label"] for on, _ in shown}
    found = {name: label for name, label in labels(made).items() if name >= "p0200"}
    assert [name for name, label in found.items() if label not in (truths[name], guessed[name])] == []
    assert "said by none but a group of actors" in made.reasons()


def test_honest_people_who_see_the_same_cases_are_no_group():
    shown = cases(300, right=0.7)
    assert view(*honest(shown, people=6, voices=5, slip=0.1)).groups == ()
    assert view(*honest(shown, people=40, voices=3, slip=0.15)).groups == ()


def test_what_a_group_changes_is_nothing_where_somebody_honest_spoke():
    shown = cases(300)
    said = honest(shown, voices=3)
    before = labels(view(*said))
    after = labels(view(*said, *plotted(shown[:150], 8, 0.5)))
    changed = [name for name, label in before.items() if name in after and after[name] != label]
    assert changed == []


def test_somebody_who_answers_faster_than_people_do_is_held():
    shown = cases(400)
    said = honest(shown[:200])
    machine = [voice(30_000 + i, on, truth, "fast", age=300 + i) for i, (on, truth) in enumerate(shown[200:])]
    made = view(*said, *machine)
    assert made.reasons()["from an actor who answers faster than people do"] > 150


@pytest.mark.parametrize("source", ["rule", "model"])
def test_a_program_is_one_actor_whatever_names_it_gives(source):
    shown = cases(60)
    lies = [voice(i, on, AFTER[truth], f"name{i}", source=source) for i, (on, truth) in enumerate(shown)]
    made = view(*lies)
    assert list(made.trust) == [f"{source}:"]
    assert made.count(ACCEPTED) == 0


def test_a_second_look_outweighs_what_the_champion_said():
    shown = cases(40, right=1.0)
    said = honest(shown, voices=1, slip=0.0)
    on = said[0].prediction
    liar = voice(0, on, AFTER[said[0].value], said[0].actor)
    said[0] = liar
    expected = np.array([[0.98 if c == truth else 0.01 for c in CLASSES] for _, truth in shown])
    second = Second(CLASSES, probabilities=expected)
    arguments = {"task": CLASSIFY, "classes": CLASSES, "rule": RULE, "sides": {}}
    looked = build_label_view(said, **arguments, second=second)
    assert looked.decisions[0].status == HELD
    assert looked.count(ACCEPTED) == 39


def test_labels_that_models_without_them_find_unlikely_count_less_where_that_is_asked_for():
    shown = cases(120)
    said = honest(shown, slip=0.0)
    likely = np.full((120, 3), 0.05)
    for i, (_, truth) in enumerate(shown):
        likely[i] = 0.1 if i % 2 else 0.35
        likely[i, CLASSES.index(truth)] = 0.8 if i % 2 else 0.3
    second = Second(CLASSES, probabilities=likely)
    made = [
        build_label_view(said, task=CLASSIFY, classes=CLASSES, rule=rule, sides={}, second=second)
        for rule in (RULE, replace(RULE, robust=0.7))
    ]
    plain = {d.prediction_id: d.weight for d in made[0].decisions if d.status == ACCEPTED}
    robust = made[1]
    after = {d.prediction_id: d.weight for d in robust.decisions if d.status == ACCEPTED}
    ratio = {name: after[name] / plain[name] for name in plain}
    assert min(ratio[f"p{i:04}"] for i in range(1, 120, 2) if f"p{i:04}" in ratio) > 0.8
    assert max(ratio[f"p{i:04}"] for i in range(0, 120, 2) if f"p{i:04}" in ratio) < 0.5
    assert robust.version != made[0].version


def test_what_is_probably_confused_is_left_out_or_shared_as_the_product_file_says():
    shown = cases(300)
    said = honest(shown, voices=1, slip=0.0)
    wrong = {one.prediction.id for one in said[::5]}
    said = [
        voice(i, one.prediction, AFTER[one.value] if one.prediction.id in wrong else one.value, one.actor)
        for i, one in enumerate(said)
    ]
    likely = np.array([[0.64 if c == truth else 0.18 for c in CLASSES] for _, truth in shown])
    arguments = {"task": CLASSIFY, "classes": CLASSES, "sides": {}, "second": Second(CLASSES, probabilities=likely)}
    made = {
        way: build_label_view(said, rule=replace(RULE, robust=1.0, robust_by=way), **arguments)
        for way in ("select", "correct")
    } | {"": build_label_view(said, rule=RULE, **arguments)}
    left = {d.prediction_id for d in made["select"].decisions if d.status == HELD and "have not seen" in d.reason}
    used = {way: {d.prediction_id for d in view.decisions if d.status == ACCEPTED} for way, view in made.items()}
    assert len(wrong & used["select"]) < 0.8 * len(wrong & used[""])
    assert len(left & wrong) > 4 * len(left - wrong)
    verdicts = made["correct"].verdicts
    shared = dict(zip(verdicts.ids.to_pylist(), verdicts.shared.tolist(), strict=True))
    assert np.mean([shared[name] for name in used["correct"] & wrong]) > 0.3
    assert np.mean([shared[name] for name in used["correct"] - wrong]) < 0.1


def calibrated(count, *, unsure=0.25, seed=3):
    """Predictions and truths: the champion is sure and right, or torn between two classes and wrong at times."""
    chance = random.Random(seed)
    made = []
    for i in range(count):
        guess = CLASSES[i % 3]
        torn = chance.random() < unsure
        likely = {c: 0.01 for c in CLASSES} | ({AFTER[guess]: 0.4, guess: 0.59} if torn else {guess: 0.98})
        truth = AFTER[guess] if torn and chance.random() < 0.4 else guess
        output = {"label": guess, "probabilities": likely}
        facts = {"release": "r", "at": NOW.isoformat(), "input": {}, "audit": True}
        made.append((PredictionRecord(id=f"p{i:04}", output=output, **facts), truth))
    return made


def spoken_by_one(shown, *, wrong, people=60, seed=5):
    """Everybody sees some cases alone, and that share of what they say is wrong."""
    chance = random.Random(seed)
    said = []
    for i, (on, truth) in enumerate(shown):
        value = chance.choice([c for c in CLASSES if c != truth]) if chance.random() < wrong else truth
        said.append(voice(i, on, value, f"user{i % people}", age=60 + 100 * i))
    return said


def contradictions(said, made):
    """Of the labels that are used, those that contradict the answer."""
    used = labels(made)
    return [one for one in said if one.prediction.output["label"] != one.value == used.get(one.prediction.id)]


def test_where_many_contradictions_are_wrong_one_voice_alone_is_not_enough():
    shown = calibrated(360)
    truths = {on.id: truth for on, truth in shown}
    calm, doubtful = (spoken_by_one(shown, wrong=wrong) for wrong in (0.0, 0.1))
    assert len(contradictions(calm, view(*calm))) > 20
    made = view(*doubtful)
    assert [one for one in contradictions(doubtful, made) if truths[one.prediction.id] != one.value] == []
    assert made.reasons()["one voice alone contradicts what is expected"] > 10


def test_there_a_second_voice_or_somebody_seasoned_is_enough():
    shown = calibrated(360)
    said = spoken_by_one(shown, wrong=0.1)
    target, truth = next((on, t) for on, t in calibrated(400)[360:] if on.output["label"] != t)
    first, second = (voice(9000 + i, target, truth, name) for i, name in enumerate(("somebody new", "user50")))
    assert target.id not in labels(view(*said, first))
    assert labels(view(*said, first, second))[target.id] == truth
    record = [voice(9100 + i, on, right, "old hand", age=900 + i) for i, (on, right) in enumerate(shown[:40])]
    assert labels(view(*said, *record, voice(9000, target, truth, "old hand")))[target.id] == truth


def test_there_one_voice_alone_does_not_judge():
    shown = calibrated(360)
    said = spoken_by_one(shown, wrong=0.1)
    on, truth = shown[50]
    sides = {on.id: "judge"}
    assert view(*said, sides=sides).count(JUDGED) == 0
    assert view(*said, voice(9001, on, truth, "user55"), sides=sides).count(JUDGED) == 1


def test_between_two_voices_the_champion_does_not_decide():
    said = honest(cases(60))
    on = prediction("p", guess="dog")
    made = view(*said, voice(9000, on, "dog", "user1"), voice(9001, on, "cat", "user2"))
    found = next(d for d in made.decisions if d.prediction_id == "p")
    assert (found.status, found.reason) == (HELD, "actors contradict each other")


@pytest.mark.parametrize(("record", "lies"), [(20, 10), (40, 20), (80, 40)])
def test_somebody_who_earned_trust_and_lies_alone_from_then_on_is_not_believed(record, lies):
    shown, chance = calibrated(460), random.Random(2)
    said = spoken_by_one(shown[:300], wrong=0.03)
    earned = chance.sample(shown[:300], record)
    said += [voice(5000 + i, on, truth, "sleeper", age=5e6 + i) for i, (on, truth) in enumerate(earned)]
    betrayed = [(on, chance.choice([c for c in CLASSES if c != t])) for on, t in chance.sample(shown[300:], lies)]
    betrayed = [(on, value) for on, value in betrayed if value != on.output["label"]]
    said += [voice(6000 + i, on, value, "sleeper", age=600 + i) for i, (on, value) in enumerate(betrayed)]
    used = labels(view(*said))
    assert [on.id for on, value in betrayed if used.get(on.id) == value] == []


def asleep(shown, lies, *, people=3):
    """Some people who are right about all that is shown, and then say the same wrong thing about a few cases."""
    said = [voice(20_000 + i * people + k, on, truth, f"asleep{k}") for i, (on, truth) in enumerate(shown)
            for k in range(people)]  # fmt: skip
    return said + [
        voice(30_000 + i * people + k, on, AFTER[truth], f"asleep{k}")
        for i, (on, truth) in enumerate(lies)
        for k in range(people)
    ]


def test_trust_from_easy_cases_does_not_buy_lies_that_are_told_together():
    shown = cases(160, right=1.0)
    lies = [(on, truth) for on, truth in shown[:40] if truth == "cat"][:4]
    made = view(*honest(shown[40:]), *asleep(shown[40:80], lies))
    assert not set(labels(made)) & {on.id for on, _ in lies}
    alone = {d.prediction_id: d.status for d in made.decisions}
    assert {alone[on.id] for on, _ in lies} == {HELD}


def test_what_two_honest_people_correct_alike_is_used():
    shown = cases(160)
    made = labels(view(*honest(shown, slip=0.0)))
    wrong = [(on, truth) for on, truth in shown if on.output["label"] != truth]
    used = sum(made.get(on.id) == truth for on, truth in wrong)
    assert used >= 0.8 * len(wrong)
