"""The demonstration as the command line tells it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

demo = pytest.importorskip("volant.testing.demo")


@pytest.fixture
def result():
    from volant.testing.paired import Paired, Share

    first, last = Share(0.85, 0.82, 0.88, 600), Share(0.95, 0.93, 0.97, 600)
    counts = {"answers": 200, "wrong": 18, "accepted": 170, "rejected": 12, "held": 0, "judged": 20}
    told = {"champion": first, "challenger": last, "reason": "surely better", "release": "a" * 64, "seconds": 4.0}
    return demo.DemoResult(
        folder=Path("digits"),
        labelled=150,
        hidden=600,
        users=100,
        stubborn=3,
        first=first,
        rounds=(
            demo.Round(number=1, outcome="promoted", **counts, **told),
            demo.Round(number=2, outcome="nothing-to-learn", **counts, **{**told, "challenger": None}),
        ),
        poisoned=demo.Poisoned(0.4, "b" * 64, last, first, True, "surely worse"),
        rollback=demo.RolledBack("a" * 64, "c" * 64, "c" * 12, "a" * 64),
        last=last,
        gain=Paired(0.1, 0.07, 0.13, 0.0001),
        passed=True,
        seconds=51.0,
        next=("volant -C digits serve", "volant -C digits history"),
    )


def playing(monkeypatch, result):
    asked = []

    def play(*, progress, folder):
        asked.append(folder)
        progress.say("round 1")
        return result

    monkeypatch.setattr(demo, "demo", play)
    return asked


def test_the_story_is_told(call, monkeypatch, result):
    asked = playing(monkeypatch, result)
    said = call("demo", "-C", "here")
    assert said.status == 0
    assert asked == [Path("here")]
    for part in (
        "150 labelled",
        "3 of them always say 7",
        "surely better",
        "refused",
        "+10.0%",
        "volant -C digits serve",
    ):
        assert part in said.out


def test_without_a_gain_the_status_is_1(call, monkeypatch, result):
    playing(monkeypatch, replace(result, passed=False))
    assert call("demo").status == 1


def test_json_is_the_same_as_one_object(call, monkeypatch, result):
    playing(monkeypatch, result)
    said = call("demo", "--json")
    assert said.json()["rounds"][0]["accepted"] == 170
    assert said.err == ""
