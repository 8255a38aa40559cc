"""A budget shorter than one model: the baseline is released, and volant says so."""

import pytest
from tests.products import product


@pytest.mark.parametrize("budget", ["1 units", "0.5s"])
def test_81_the_baseline_is_released_and_it_is_said(tmp_path, budget):
    handle = product(tmp_path, budget=budget)
    result = handle.train()
    assert result.promoted
    assert "baseline" in result.note
    assert "baseline" in handle.history()[-1].reason
    assert [e.name for e in result.leaderboard if e.weight] == ["prior"]
    assert handle.explain(row=0).output == pytest.approx(handle.explain(row=1).output)


def test_81_more_time_replaces_the_baseline(tmp_path):
    handle = product(tmp_path, budget="1 units")
    first = handle.train()
    second = handle.train(budget="7 units")
    assert second.promoted
    assert second.verdict.champion == first.candidate
