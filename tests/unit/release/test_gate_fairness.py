"""The gate and the groups: what is refused, that nothing passes unmeasured, and what a passing candidate is told."""

from dataclasses import replace

import pytest

from volant.core.records import Comparison, Gap
from volant.release.fairness import FairnessRules
from volant.release.gate import CandidateFacts, GateRules, decide

METRIC = "equalized_odds_difference"
FAIR = FairnessRules(METRIC, 0.1, ("sex",))
RULES = GateRules(metric="log_loss", fairness=FAIR)
BETTER = [Comparison("log_loss", "", 900, 0.05, 0.01, 0.09, 0.4, 0.38, "relative")]
GAP = Gap(METRIC, "sex", 900, 0.06, 0.01, 0.14, "sex=M", "sex=F", (), 0.08)


def verdict(*gaps, rules=RULES, found=BETTER, **facts):
    return decide(found, rules, CandidateFacts("a" * 64, "b" * 64, gaps=gaps, **facts))


def test_a_candidate_within_the_limit_passes_and_is_told_where_it_stands():
    passed = verdict(GAP)
    assert passed.passed
    assert passed.gaps == (GAP,)
    assert (
        "Between the groups of sex the equalized odds difference is 0.06 (sex=M against sex=F), within 0.01 and 0.14; "
        "at most 0.1 is allowed; the champion's is 0.08." in passed.reasons
    )


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ([replace(GAP, value=0.2, low=0.12, high=0.3)], "at most 0.1 is allowed, surely exceeded."),
        ([replace(GAP, value=0.12, low=0.02, high=0.3)], "at most 0.1 is allowed, and chance alone may explain it."),
        ([replace(GAP, value=float("nan"))], "could not be measured"),
        ([replace(GAP, high=float("nan"))], "could not be measured"),
        ([replace(GAP, high=float("inf"))], "could not be measured"),
        ([], "was not measured, and a limit is set"),
        ([replace(GAP, column="race")], "was not measured, and a limit is set"),
        ([replace(GAP, metric="accuracy_difference")], "was not measured, and a limit is set"),
        ([GAP, GAP], "was not measured, and a limit is set"),
    ],
)
def test_who_treats_groups_too_differently_or_unmeasured_is_refused(gaps, said):
    refused = verdict(*gaps)
    assert not refused.passed
    assert said in refused.reasons[0]
    assert refused.gaps == tuple(gaps)


def test_the_bound_must_keep_the_limit_too_where_it_must_be_sure():
    rules = replace(RULES, fairness=replace(FAIR, sure=True))
    assert "and that is not sure" in verdict(GAP, rules=rules).reasons[0]
    assert verdict(replace(GAP, high=0.1), rules=rules).passed


def test_a_ratio_must_not_be_less():
    name = "demographic_parity_ratio"
    rules = replace(RULES, fairness=FairnessRules(name, 0.8, ("sex",)))
    ratio = replace(GAP, metric=name, value=0.85, low=0.7, high=0.95)
    assert verdict(ratio, rules=rules).passed
    assert not verdict(replace(ratio, value=0.75, low=0.6), rules=rules).passed
    surely = verdict(replace(ratio, value=0.5, low=0.4, high=0.6), rules=rules)
    assert "at least 0.8 is allowed, surely exceeded" in surely.reasons[0]
    assert not verdict(ratio, rules=replace(rules, fairness=replace(rules.fairness, sure=True))).passed


def test_every_condition_must_hold_at_once():
    worse = [replace(BETTER[0], low=-0.1)]
    both = verdict(replace(GAP, value=0.3), found=worse)
    assert len(both.reasons) == 2
    assert not verdict(GAP, found=worse).passed


def test_the_baseline_must_keep_the_limit_as_well():
    facts = CandidateFacts("a" * 64, None, is_baseline=True, gaps=(replace(GAP, value=0.3),))
    assert not decide([], RULES, facts).passed


def test_no_limit_or_a_limit_without_columns():
    assert verdict(replace(GAP, value=0.9), rules=GateRules(metric="log_loss")).passed
    assert "no column tells the groups" in verdict(rules=replace(RULES, fairness=replace(FAIR, columns=()))).reasons[0]
    broken = replace(RULES, fairness=replace(FAIR, limit=float("nan")))
    assert not verdict(GAP, rules=broken).passed


def test_groups_that_are_too_small_are_named():
    said = " ".join(verdict(replace(GAP, left_out=("sex is one of 2 rare values",))).reasons)
    assert "Too few rows to compare: sex is one of 2 rare values." in said
