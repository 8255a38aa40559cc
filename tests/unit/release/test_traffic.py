"""What follows from a history of deployments."""

from __future__ import annotations

import pytest

from volant.release.traffic import standing
from volant.store.records import DeploymentRow


def history(*said):
    """Events from words such as `promote a`, `canary b 0.2`."""
    events = []
    for seq, words in enumerate(said, start=1):
        kind, release, *share = words.split()
        facts = {"share": float(share[0]), "policy": kind} if share else {}
        events.append(DeploymentRow(seq, "2026-01-01T00:00:00+00:00", kind, release, None, "", 1, facts))
    return standing(events)


def champions(*said):
    return [event.release for event in history(*said).champions]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ((), []),
        (("promote a",), ["a"]),
        (("promote a", "refuse b"), ["a"]),
        (("promote a", "promote b"), ["a", "b"]),
        (("promote a", "promote b", "rollback a"), ["a"]),
        (("promote a", "promote b", "promote b", "rollback a"), ["a"]),
        (("promote a", "promote b", "promote c", "rollback a"), ["a"]),
        (("promote a", "promote b", "rollback a", "promote c"), ["a", "c"]),
        (("promote a", "promote b", "promote a", "rollback b"), ["a", "b"]),
        (("rollback a",), ["a"]),
    ],
)
def test_champions_that_can_be_gone_back_to(said, left):
    assert champions(*said) == left


def test_routes_last_until_they_end_or_the_champion_changes():
    now = history("promote a", "canary b 0.1", "shadow c", "split d 0.2")
    assert [event.release for event in now.routes()] == ["b", "d", "c"]
    assert now.free == pytest.approx(0.7)
    assert [event.release for event in history("promote a", "canary b 0.1", "canary b 0.3").arms] == ["b"]
    assert history("promote a", "canary b 0.1", "end b").routes() == ()
    assert history("promote a", "canary b 0.1", "promote b").routes() == ()
    assert history("promote a", "canary b 0.1", "refuse c").free == pytest.approx(0.9)
