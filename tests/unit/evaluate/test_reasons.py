"""Reasons say in words what pushed towards an answer."""

from __future__ import annotations

import numpy as np
import pytest

from volant.core.records import Field
from volant.evaluate.reasons import in_words, reasons

QUANTILES = [float(v) for v in (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.5, "balance 0.5 is very low"),
        (120 / 8, "balance 15 is low"),
        (50.0, "balance 50 is usual"),
        (85.0, "balance 85 is high"),
        (1234567.0, "balance 1,234,567 is very high"),
        (float("nan"), "balance is missing"),
    ],
)
def test_a_number_is_compared_with_the_training_rows(value, said):
    assert in_words(Field("balance", "number"), value, {"quantiles": QUANTILES}) == said


def test_a_number_that_most_rows_have_is_usual():
    facts = {"quantiles": [0.0] * 9 + [3.0, 8.0, 20.0, 90.0]}
    assert in_words(Field("gain", "number"), 0.0, facts) == "gain 0 is usual"
    assert in_words(Field("gain", "number"), 50.0, facts) == "gain 50 is very high"
    assert in_words(Field("gain", "number"), 50.0, {}) == "gain 50"


def test_other_types_have_words_of_their_own():
    plan = Field("plan", "category", choices=("gold", "basic"))
    assert in_words(plan, "gold", {"shares": {"gold": 0.5}}) == "plan is gold"
    assert in_words(plan, "basic", {"shares": {"basic": 0.01}}) == "plan basic is rare"
    assert in_words(plan, "iron", {}) == "plan iron was never seen in training"
    assert in_words(Field("active", "boolean"), 0.0, {}) == "active is no"
    times = [f"20{year}-01-01" for year in range(10, 23)]
    assert in_words(Field("made", "timestamp"), np.datetime64("2025-03-01", "us"), {"quantiles": times}) == (
        "made 2025-03-01 is very late"
    )
    assert in_words(Field("note", "text"), "secret", {}) == "the text in note"


def test_only_what_pushed_towards_the_answer_and_is_sure_is_a_reason():
    fields = [Field(name, "boolean") for name in "abcde"]
    parts, errors = np.array([0.5, -0.9, 0.1, 0.3, 0.0]), np.array([0.0, 0.0, 0.08, 0.01, 0.0])
    found = reasons(fields, [1.0] * 5, parts, errors, profile={}, towards=True)
    assert [one.text for one in found] == ["a is yes: +0.5", "d is yes: +0.3"]
    both = reasons(fields, [1.0] * 5, parts, errors, profile={}, towards=False, most=2)
    assert [(one.column, one.contribution) for one in both] == [("b", -0.9), ("a", 0.5)]
    assert reasons(fields, [1.0] * 5, parts, errors, profile={}, towards=True, most=0) == ()
