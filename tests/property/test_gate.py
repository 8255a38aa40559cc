"""The gate fails closed: whatever is missing, not finite or too small refuses, and a worse bound never helps."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volant.core.records import Comparison
from volant.release.gate import CandidateFacts, GateRules, alpha_for_turn, decide

SLICES = ("", "sex=F", "sex=M", "class=new")
numbers = st.floats(-1, 1) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0])
finite = st.floats(-0.5, 0.5)


@st.composite
def comparisons(draw, value=numbers, names=SLICES):
    """Comparisons of some slices, often passing."""
    found = []
    for name in draw(st.lists(st.sampled_from(names), max_size=5)):
        low = draw(value)
        found.append(
            Comparison(
                "log_loss",
                name,
                draw(st.integers(0, 200)),
                draw(value),
                low,
                draw(value),
                draw(value),
                draw(value),
                draw(st.sampled_from(["relative", "absolute"])),
            )
        )
    return found


@st.composite
def rules(draw):
    return GateRules(
        metric="log_loss",
        min_gain=draw(st.floats(0, 0.1)),
        tolerance=draw(st.floats(0, 0.1)),
        min_rows=draw(st.integers(2, 100)),
        required=tuple(draw(st.lists(st.sampled_from(SLICES[1:]), unique=True))),
        minimum=draw(st.dictionaries(st.sampled_from(["accuracy", "log_loss"]), st.floats(0, 1), max_size=2)),
        greater_is_better={"accuracy": True, "log_loss": False},
        latency_ms=draw(st.none() | st.floats(0.1, 10)),
    )


@st.composite
def facts(draw):
    return CandidateFacts(
        "a",
        draw(st.sampled_from(["b", None])),
        draw(st.booleans()),
        latency_ms=draw(st.none() | st.floats(0, 20) | st.just(math.nan)),
        scores=draw(st.dictionaries(st.sampled_from(["accuracy", "log_loss"]), numbers)),
        candidate_rows=draw(st.sampled_from(["", "same"])),
        champion_rows=draw(st.sampled_from(["", "same"])),
    )


def values(one):
    return one.difference, one.low, one.high, one.champion, one.challenger


@given(comparisons(), rules(), facts())
def test_what_passes_is_complete_and_finite(found, asked, known):
    verdict = decide(found, asked, known)
    assert verdict.reasons
    assert all(reason.endswith(".") and reason[0] for reason in verdict.reasons)
    if not verdict.passed:
        return
    assert all(math.isfinite(value) for one in found for value in values(one))
    assert known.candidate_rows == known.champion_rows
    assert known.latency_ms is None or math.isfinite(known.latency_ms)
    assert all(math.isfinite(known.scores[name]) for name in asked.minimum)
    if asked.latency_ms is not None:
        assert known.latency_ms is not None
        assert known.latency_ms <= asked.latency_ms
    if known.is_baseline and known.champion is None:
        return
    by_name = {one.slice: one for one in found}
    assert by_name[""].low > asked.min_gain
    for name in ("", *asked.required):
        assert by_name[name].n >= asked.min_rows
        assert by_name[name].low > (asked.min_gain if name == "" else -asked.tolerance)


@st.composite
def passing(draw):
    asked = replace(draw(rules()), minimum={}, latency_ms=None)
    found = [
        Comparison("log_loss", name, 200, 0.3, draw(st.floats(0.11, 0.3)), 0.4, 1.0, 0.7, "relative")
        for name in ("", *asked.required)
    ]
    return found, asked


@given(passing())
def test_what_is_surely_better_everywhere_passes(case):
    found, asked = case
    assert decide(found, asked, CandidateFacts("a", "b")).passed


@given(comparisons(finite), rules(), facts(), st.integers(0, 4), st.floats(0, 2) | st.just(math.inf))
def test_a_lower_bound_never_turns_a_refusal_into_a_promotion(found, asked, known, which, less):
    before = decide(found, asked, known)
    if not found:
        return
    place = which % len(found)
    lowered = [replace(one, low=one.low - less) if i == place else one for i, one in enumerate(found)]
    after = decide(lowered, asked, known)
    assert before.passed or not after.passed


@given(passing(), st.data())
def test_one_missing_slice_small_slice_or_strange_number_refuses(case, data):
    found, asked = case
    place = data.draw(st.integers(0, len(found) - 1))
    broken = data.draw(st.sampled_from([math.nan, math.inf, -math.inf]))
    field = data.draw(st.sampled_from(["difference", "low", "high", "champion", "challenger"]))
    spoilt = {
        "missing": [one for i, one in enumerate(found) if i != place],
        "small": [replace(one, n=asked.min_rows - 1) if i == place else one for i, one in enumerate(found)],
        "strange": [replace(one, **{field: broken}) if i == place else one for i, one in enumerate(found)],
        "twice": [*found, found[place]],
        "another metric": [replace(one, metric="ece") if i == place else one for i, one in enumerate(found)],
    }
    for name, changed in spoilt.items():
        assert not decide(changed, asked, CandidateFacts("a", "b")).passed, name
    assert not decide(found, asked, CandidateFacts("a", "b", candidate_rows="x", champion_rows="y")).passed


@given(st.floats(1e-6, 0.5), st.integers(1, 3000))
def test_all_turns_together_never_spend_more_than_alpha(alpha, turns):
    spent = [alpha_for_turn(alpha, k) for k in range(1, turns + 1)]
    assert sum(spent) <= alpha
    assert spent == sorted(spent, reverse=True)
    assert min(spent) > 0


def test_turns_are_counted_from_one():
    with pytest.raises(ValueError, match="from 1"):
        alpha_for_turn(0.05, 0)
