"""Trust is a function of what was answered, not of order, of names, or of what classes are called."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volant.evidence.trust import Answer, actor_trust

CLASSES = 3


@st.composite
def answers(draw) -> list[Answer]:
    made = []
    for _ in range(draw(st.integers(1, 20))):
        weights = draw(st.lists(st.integers(0, 100), min_size=CLASSES, max_size=CLASSES).filter(any))
        expected = tuple(w / sum(weights) for w in weights)
        gold = draw(st.none() | st.integers(0, CLASSES - 1))
        actor = draw(st.sampled_from(["ann", "bob"]))
        made.append(Answer(actor, draw(st.integers(0, CLASSES - 1)), expected, gold, draw(st.booleans())))
    return made


@settings(max_examples=50, deadline=None)
@given(answers(), st.randoms(use_true_random=False))
def test_order_changes_nothing(given_answers, chance):
    shuffled = list(given_answers)
    chance.shuffle(shuffled)
    assert actor_trust(shuffled) == actor_trust(given_answers)


@settings(max_examples=50, deadline=None)
@given(answers())
def test_it_is_a_distribution_over_rates(given_answers):
    for trust in actor_trust(given_answers).values():
        assert 0 < trust.low <= trust.mean + 1e-9
        assert trust.mean < 1
        assert trust.alpha > 0 < trust.beta
        assert trust.alpha / (trust.alpha + trust.beta) == pytest.approx(trust.mean)


@settings(max_examples=50, deadline=None)
@given(answers())
def test_other_names_for_the_classes_change_nothing(given_answers):
    turned = [
        Answer(
            a.actor, CLASSES - 1 - a.chosen, a.expected[::-1], None if a.gold is None else CLASSES - 1 - a.gold, a.audit
        )
        for a in given_answers
        if a.expected.count(max(a.expected)) == 1
    ]
    straight = [a for a in given_answers if a.expected.count(max(a.expected)) == 1]
    assert {k: v.mean for k, v in actor_trust(turned).items()} == pytest.approx(
        {k: v.mean for k, v in actor_trust(straight).items()}, abs=1e-9
    )
