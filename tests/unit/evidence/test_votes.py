from __future__ import annotations

import pytest

from volant.evidence.votes import Ballot, class_vote, number_vote


def test_trust_outweighs_numbers():
    ballots = [Ballot("a", 0.95), Ballot("b", 0.3), Ballot("b", 0.3)]
    assert class_vote(ballots).label == "a"


def test_a_tie_is_broken_by_name_and_shows_in_the_share():
    outcome = class_vote([Ballot("b", 0.5), Ballot("a", 0.5)])
    assert (outcome.label, outcome.share) == ("a", 0.5)


def test_the_median_of_numbers_ignores_one_far_off():
    outcome = number_vote([Ballot(1.0, 0.9), Ballot(1.1, 0.9), Ballot(900.0, 0.9)], tolerance=0.5)
    assert outcome.label == 1.1
    assert outcome.share == pytest.approx(2 / 3)


def test_weight_grows_with_support_and_never_passes_one():
    one, two = class_vote([Ballot("a", 0.7)]), class_vote([Ballot("a", 0.7)] * 2)
    assert one.weight < two.weight <= 1.0
