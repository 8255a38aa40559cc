"""What the gate says, in full sentences."""

from dataclasses import replace

import pytest

from volant.core.records import Comparison
from volant.release.gate import CandidateFacts, GateRules, decide

RULES = GateRules(metric="log_loss", required=("sex=F",), alpha=0.05)
FACTS = CandidateFacts("a" * 64, "b" * 64, latency_ms=2.0, memory_mb=50.0, size_mb=1.0)


def better(name="", low=0.01, n=1000, difference=0.05):
    return Comparison("log_loss", name, n, difference, low, 0.09, 0.4, 0.38, "relative")


BOTH = [better(), better("sex=F", -0.01)]


def first(found=BOTH, rules=RULES, facts=FACTS):
    return decide(found, rules, facts).reasons[0]


def test_a_promotion_says_how_much_is_gained():
    verdict = decide(BOTH, RULES, FACTS)
    assert verdict.passed
    assert verdict.reasons == (
        "log_loss is 5 % better than the champion's (0.38 against 0.4, 1,000 rows), and at 95 % confidence the gain "
        "is above 1 %; more than 0 % is needed.",
        "No required slice is harmed: the bound is lowest in sex=F, at minus 1 %, and minus 2 % is tolerated.",
    )
    assert verdict.comparisons == tuple(BOTH)
    assert (verdict.challenger, verdict.champion, verdict.alpha) == (FACTS.candidate, FACTS.champion, 0.05)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            [better(low=-0.01), BOTH[1]],
            "but that may be chance: at 95 % confidence the gain may be as low as minus 1 %",
        ),
        ([replace(better(low=-1.9), heaviest=0.47), BOTH[1]], "is needed. 47 % of these rows are alike, or of one"),
        ([better(difference=-0.05, low=-0.2), BOTH[1]], "5 % worse than the champion's"),
        ([better(difference=0.0, low=0.0), BOTH[1]], "neither better nor worse"),
        ([better(low=0.0), BOTH[1]], "may be as low as 0 %"),
        ([BOTH[0], better("sex=F", -0.02)], "The slice sex=F may get worse by 2 % in log_loss"),
        ([BOTH[0]], "The slice sex=F was not compared"),
        ([BOTH[1]], "The whole of the judge rows was not compared"),
        ([better(n=29), BOTH[1]], "has 29 rows to judge by; at least 30 are needed"),
        ([BOTH[0], better("sex=F", n=3)], "The slice sex=F has 3 rows"),
        ([better(low=float("nan")), BOTH[1]], "low is not a finite number"),
        ([*BOTH, BOTH[0]], "was compared 2 times"),
        ([replace(BOTH[0], metric="ece"), BOTH[1]], "was compared by ece, but log_loss decides"),
        ([], "The whole of the judge rows was not compared"),
    ],
)
def test_a_refusal_says_why_first(found, said):
    verdict = decide(found, RULES, FACTS)
    assert not verdict.passed
    assert said in verdict.reasons[0]


def test_the_worst_slice_is_named_first():
    rules = replace(RULES, required=("sex=F", "sex=M"))
    found = [better(), better("sex=F", -0.1), better("sex=M", -0.3)]
    assert "sex=M" in first(found, rules)


def test_a_slice_that_nobody_requires_does_not_block():
    assert decide([*BOTH, better("tiny", -0.9, n=3)], RULES, FACTS).passed


def test_other_rows_are_no_comparison():
    assert "different rows" in first(facts=replace(FACTS, candidate_rows="x", champion_rows="y"))


def test_minima_are_floors_or_ceilings():
    rules = replace(RULES, minimum={"accuracy": 0.8, "log_loss": 0.5})
    rules = replace(rules, greater_is_better={"accuracy": True, "log_loss": False})
    good = replace(FACTS, scores={"accuracy": 0.81, "log_loss": 0.4})
    assert decide(BOTH, rules, good).passed
    assert "accuracy is 0.7 on the judge rows; at least 0.8" in first(
        BOTH, rules, replace(good, scores={"accuracy": 0.7, "log_loss": 0.4})
    )
    assert "log_loss is 0.6 on the judge rows; at most 0.5" in first(
        BOTH, rules, replace(good, scores={"accuracy": 0.9, "log_loss": 0.6})
    )
    assert "could not be measured" in first(BOTH, rules, FACTS)
    assert "not known whether" in first(BOTH, replace(rules, greater_is_better={}), good)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"latency_ms": 1.0}, "The latency of one row is 2 ms; at most 1 ms is allowed."),
        ({"memory_mb": 10.0}, "The memory of the loaded candidate is 50 MB; at most 10 MB is allowed."),
        ({"size_mb": 0.5}, "The size on disk is 1 MB; at most 0.5 MB is allowed."),
    ],
)
def test_costs_have_limits(limit, said):
    rules = replace(RULES, **limit)
    assert said in decide(BOTH, rules, FACTS).reasons
    unmeasured = replace(FACTS, **dict.fromkeys(limit))
    assert "was not measured" in first(BOTH, rules, unmeasured)
    assert decide(BOTH, replace(RULES, **{name: 1e3 for name in limit}), FACTS).passed


def test_a_first_release_is_compared_with_the_baseline():
    facts = replace(FACTS, champion=None)
    assert "than the baseline's" in first(facts=facts)
    assert not decide([better(low=-0.1), BOTH[1]], RULES, facts).passed


def test_the_baseline_is_a_first_release_if_it_keeps_the_minima():
    facts = replace(FACTS, champion=None, is_baseline=True, scores={"accuracy": 0.6})
    rules = replace(RULES, minimum={"accuracy": 0.5}, greater_is_better={"accuracy": True})
    even = [better(difference=0.0, low=0.0, n=5)]
    verdict = decide(even, rules, facts)
    assert verdict.passed
    assert "No learner but the baseline" in verdict.reasons[0]
    assert not decide(even, replace(rules, minimum={"accuracy": 0.7}), facts).passed
    assert not decide(even, rules, replace(facts, champion="b")).passed
