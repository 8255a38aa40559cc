"""Thresholds that keep groups close: what they promise on held-out rows, what they cost, and that it carries over."""

import numpy as np
import pytest

from volant.evaluate.mitigation import MARGIN, Held, Limit, group_thresholds, one_threshold
from volant.tasks.decisions import Aim, answers


def biased(n=12_000, seed=0):
    """Calibrated probabilities of two groups, of which the second is rarely positive."""
    rng = np.random.default_rng(seed)
    group = (rng.random(n) < 0.4).astype(int)
    p = rng.beta(np.where(group == 0, 2.0, 1.0), np.where(group == 0, 2.0, 3.0))
    return Held(p, rng.random(n) < p, np.ones(n), group)


def rates(held, answer, metric):
    def of(mask):
        return [answer[mask & (held.group == g)].mean() for g in (0, 1)]

    whole = np.ones(len(answer), dtype=bool)
    sides = {"demographic_parity_difference": [whole], "equal_opportunity_difference": [held.true]}
    sides["equalized_odds_difference"] = [held.true, ~held.true]
    return max(abs(a - b) for a, b in (of(mask) for mask in sides[metric]))


def answered(held, choice):
    both = np.stack([1 - held.p, held.p], axis=1)
    return answers(both, choice.decision, np.array(["F", "M"], dtype=object)[held.group])


@pytest.mark.parametrize("objective", ["accuracy", "balanced_accuracy", "f1", "cost"])
@pytest.mark.parametrize(
    "metric", ["demographic_parity_difference", "equal_opportunity_difference", "equalized_odds_difference"]
)
def test_a_threshold_per_group_brings_groups_together_at_little_cost(metric, objective):
    held, new = biased(), biased(seed=1)
    limit = Limit(metric, 0.1)
    aim = Aim(objective, costs=((0.0, 1.0), (2.0, 0.0)))
    choice = group_thresholds(held, aim, limit, "sex", ["F", "M"])
    assert choice.kept
    before = rates(new, (new.p >= 0.5).astype(int), metric)
    after = rates(new, answered(new, choice), metric)
    assert before > 0.2
    assert after <= 0.1
    assert rates(held, answered(held, choice), metric) <= 0.1 * MARGIN + 1e-9
    accuracy = [(a == new.true).mean() for a in ((new.p >= 0.5), answered(new, choice))]
    if objective == "accuracy":
        assert accuracy[0] - 0.06 < accuracy[1] <= accuracy[0] + 0.005


def test_one_threshold_for_all_keeps_the_limit_at_a_price():
    held, new = biased(), biased(seed=1)
    limit = Limit("demographic_parity_difference", 0.1)
    choice = one_threshold(held, Aim("accuracy"), limit)
    assert not choice.decision.column
    answer = answered(new, choice)
    assert rates(new, answer, limit.metric) <= 0.1
    each = answered(new, group_thresholds(held, Aim("accuracy"), limit, "sex", ["F", "M"]))
    assert (answer == new.true).mean() < (each == new.true).mean() - 0.02


def test_a_ratio_can_be_kept():
    held, new = biased(), biased(seed=1)
    limit = Limit("demographic_parity_ratio", 0.8)
    choice = group_thresholds(held, Aim("accuracy"), limit, "sex", ["F", "M"])
    answer = answered(new, choice)
    shares = [answer[new.group == g].mean() for g in (0, 1)]
    assert choice.kept
    assert min(shares) / max(shares) >= 0.8
    assert max(shares) > 0.1


def test_the_first_class_may_be_the_one_that_counts():
    held = biased()
    mirrored = Held(1 - held.p, ~held.true, held.weight, held.group)
    one = group_thresholds(held, Aim("accuracy"), Limit("equal_opportunity_difference", 0.05, 0), "sex", ["F", "M"])
    other = group_thresholds(mirrored, Aim("accuracy"), Limit("equal_opportunity_difference", 0.05, 1), "sex", [0, 1])
    assert one.value == pytest.approx(other.value, abs=0.003)


def test_groups_that_are_too_small_keep_the_usual_threshold():
    held = biased(600)
    held.group[held.group == 1] = np.where(np.arange((held.group == 1).sum()) < 5, 1, -1)
    choice = group_thresholds(held, Aim("accuracy"), Limit("demographic_parity_difference", 0.1), "sex", ["F", "M"])
    assert not choice.kept
    assert not choice.decision.column
