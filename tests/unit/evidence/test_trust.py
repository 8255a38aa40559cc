from __future__ import annotations

import random

import numpy as np
import pytest

from volant.evidence.trust import Answer, actor_trust, newcomer

CLASSES = 10
SURE = 0.5


def champion(rng: np.random.Generator, *, accuracy: float = 0.8, classes: int = CLASSES) -> tuple[int, np.ndarray]:
    """A truth and a calibrated-ish probability vector whose likeliest class is right at that rate."""
    truth = int(rng.integers(classes))
    noise = rng.dirichlet(np.full(classes, 0.4))
    believed = truth if rng.random() < accuracy else int(rng.integers(classes))
    p = 0.2 * noise
    p[believed] += 0.65
    p[truth] += 0.15
    return truth, p / p.sum()


def crowd(habits: dict[str, int], answers: int, *, seed: int, **kind) -> list[Answer]:
    rng = np.random.default_rng(seed)
    given = []
    for habit, count in habits.items():
        for person in range(count):
            done = 0
            while done < answers:
                truth, p = champion(rng, **kind)
                chosen = say(habit, truth, p, rng)
                if chosen is not None:
                    given.append(Answer(f"{habit} {person}", chosen, tuple(p.tolist())))
                    done += 1
    return given


def say(habit: str, truth: int, p: np.ndarray, rng: np.random.Generator) -> int | None:
    classes = len(p)
    slip = int((truth + 1 + rng.integers(classes - 1)) % classes)
    return {
        "honest": truth,
        "sloppy": slip if rng.random() < 0.1 else truth,
        "corrects only": truth if truth != p.argmax() else None,
        "always 7": 7 % classes,
        "random": int(rng.integers(classes)),
        "malicious": (truth + 1) % classes,
    }[habit]


def means(given: list[Answer], habit: str) -> np.ndarray:
    return np.array([t.mean for actor, t in actor_trust(given).items() if actor.startswith(habit)])


def test_nobody_gives_nothing():
    assert actor_trust([]) == {}


def test_a_newcomer_is_believed_but_not_much():
    unknown = newcomer()
    assert SURE < unknown.mean < 0.9
    assert unknown.low < SURE
    assert unknown.alpha / (unknown.alpha + unknown.beta) == pytest.approx(unknown.mean)


@pytest.mark.parametrize("accuracy", [0.8, 0.95])
def test_people_who_correct_a_mediocre_champion_are_not_punished(accuracy):
    for answers in (1, 4, 10, 30):
        honest = crowd({"honest": 40, "sloppy": 40}, answers, seed=answers, accuracy=accuracy)
        assert np.mean(means(honest, "") >= SURE) >= 0.97
        if answers >= 10:
            assert np.mean(means(honest, "honest")) > 0.85


def test_people_who_only_correct_are_not_punished():
    given = crowd({"honest": 10, "corrects only": 20, "always 7": 1}, 10, seed=3)
    assert np.mean(means(given, "corrects only") >= SURE) >= 0.9


@pytest.mark.parametrize(("habit", "least"), [("always 7", 1.0), ("random", 0.8), ("malicious", 0.9)])
def test_liars_are_recognised_after_ten_answers(habit, least):
    crowds = [crowd({"honest": 20, "sloppy": 20, habit: 5}, 10, seed=seed) for seed in range(4)]
    earned = np.concatenate([means(given, habit) for given in crowds])
    assert np.mean(earned < SURE) >= least
    assert earned.mean() < 0.3


def test_a_lone_stubborn_user_is_recognised_without_a_crowd():
    assert means(crowd({"always 7": 1}, 8, seed=0), "always 7")[0] < 0.2


def test_one_answer_condemns_nobody():
    assert np.all(means(crowd({"always 7": 30}, 1, seed=0), "always 7") > 0.3)


def test_a_user_whose_cases_are_all_of_one_class_is_not_called_stubborn():
    p = (0.03, 0.97)
    given = [Answer("clerk", 1, p) for _ in range(30)]
    assert actor_trust(given)["clerk"].mean > 0.7


def test_a_champion_that_knows_nothing_still_shows_who_is_stubborn():
    flat = (0.1,) * CLASSES
    given = [Answer("bob", 7, flat) for _ in range(10)]
    given += [Answer("ann", i % CLASSES, flat) for i in range(10)]
    earned = actor_trust(given)
    assert earned["bob"].mean < SURE < earned["ann"].mean


def test_a_reviewers_word_counts_more_than_the_champions():
    p = (0.9, 0.05, 0.05)
    against = [Answer("ann", 0, p, gold=1 + i % 2) for i in range(5)]
    withit = [Answer("bob", 1 + i % 2, p, gold=1 + i % 2) for i in range(5)]
    earned = actor_trust(against + withit)
    assert earned["ann"].mean < 0.3
    assert earned["bob"].mean > 0.8


def test_disagreeing_with_every_audit_weighs_more_than_choosing_what_to_correct():
    p = (0.9, 0.1)
    others = [Answer(f"u{i}", 1, p) for i in range(30) for _ in range(5)]
    chose = actor_trust([*others, *(Answer("eve", 1, p) for _ in range(8))])["eve"]
    asked = actor_trust([*others, *(Answer("eve", 1, p, audit=True) for _ in range(8))])["eve"]
    assert asked.mean < SURE < chose.mean


def test_order_changes_nothing():
    given = crowd({"honest": 5, "random": 3, "always 7": 2}, 7, seed=1)
    shuffled = given.copy()
    random.Random(0).shuffle(shuffled)
    assert actor_trust(shuffled) == actor_trust(given)


def test_more_evidence_narrows_the_interval():
    few, many = (actor_trust(crowd({"honest": 1}, n, seed=2))["honest 0"] for n in (3, 60))
    assert many.low > few.low
    assert many.alpha + many.beta > few.alpha + few.beta
    assert (few.answers, many.answers) == (3, 60)
