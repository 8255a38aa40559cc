"""Who answers whom: canaries and splits by share, the same release for the same subject."""

from __future__ import annotations

from collections import Counter

import pytest

from volant.testing import handmade

ROW = {"age": 50}


@pytest.fixture
def shared(running):
    """A service with a canary that answers three in ten."""
    running.canary = running.write_release(30.0)
    running.route("canary", running.canary, share=0.3, policy="canary")
    return running


def releases(running, subjects):
    answer = running.post("/v1/predict", json={"rows": [ROW] * len(subjects), "subject": subjects}).json()
    return [one.get("release", answer["release"]) for one in answer["predictions"]]


def test_a_canary_answers_its_share_and_each_subject_has_one_release(shared):
    subjects = [f"subject {n}" for n in range(1000)]
    first = releases(shared, subjects)
    assert Counter(first)[shared.canary[:12]] / 1000 == pytest.approx(0.3, abs=0.06)
    assert releases(shared, subjects) == first
    assert releases(shared, subjects[::-1]) == first[::-1]


def test_every_prediction_is_logged_with_who_answered_and_how_likely_that_was(shared):
    champion = shared.store.champion().release
    answers = shared.predict(*[ROW] * 60, subject=[f"subject {n}" for n in range(60)])
    found = shared.store.find_predictions([one["id"] for one in answers])
    seen = {(record.release, record.policy, record.propensity) for record in found.values()}
    assert seen == {(shared.canary, "canary", 0.3), (champion, "champion", 0.7)}
    assert {record.deployment for record in found.values()} == {1, 2}


def test_rows_without_a_subject_are_answered_by_one_release(shared):
    seen = Counter()
    for _ in range(60):
        answer = shared.post("/v1/predict", json={"rows": [ROW] * 5}).json()
        assert all("release" not in one for one in answer["predictions"])
        seen[answer["release"]] += 1
    assert set(seen) == {shared.canary[:12], shared.store.champion().release[:12]}


def test_a_share_that_grows_keeps_whom_it_had(shared):
    subjects = [f"subject {n}" for n in range(300)]
    before = releases(shared, subjects)
    shared.route("canary", shared.canary, share=0.6, policy="canary")
    after = releases(shared, subjects)
    canary = shared.canary[:12]
    assert {s for s, r in zip(subjects, before, strict=True) if r == canary} < {
        s for s, r in zip(subjects, after, strict=True) if r == canary
    }


def test_another_experiment_draws_anew(shared):
    subjects = [f"subject {n}" for n in range(300)]
    before = [release == shared.canary[:12] for release in releases(shared, subjects)]
    shared.route("end", shared.canary)
    other = shared.write_release(31.0)
    shared.route("split", other, share=0.3, policy="offer")
    after = [release == other[:12] for release in releases(shared, subjects)]
    both = sum(a and b for a, b in zip(before, after, strict=True)) / 300
    assert both == pytest.approx(0.09, abs=0.06)


def test_the_end_of_a_route_gives_all_to_the_champion(shared):
    shared.route("end", shared.canary)
    assert set(releases(shared, [f"subject {n}" for n in range(50)])) == {shared.store.champion().release[:12]}
    assert 'policy="canary"' not in shared.get("/metrics").text


def test_a_new_champion_ends_all_routes(shared):
    digest = shared.new_release(45.0)
    shared.service.watch()
    assert set(releases(shared, [f"subject {n}" for n in range(50)])) == {digest[:12]}


def test_shares_are_among_the_figures(shared):
    text = shared.get("/metrics").text
    shares = {'policy="canary"': " 0.3", 'policy="champion"': " 0.7"}
    for label, share in shares.items():
        assert any(label in line and line.endswith(share) for line in text.splitlines())


def test_a_canary_that_cannot_be_loaded_is_ended_and_nobody_notices(running):
    champion = running.store.champion().release
    digest = running.write_release(30.0)
    (running.product.home / "candidates" / digest / "pipeline.json").write_text("{}")
    running.route("canary", digest, share=0.5, policy="canary")
    assert set(releases(running, [f"subject {n}" for n in range(50)])) == {champion[:12]}
    last = running.store.deployments()[-1]
    assert (last.kind, last.release) == ("end", digest)
    assert "failed its warm-up" in last.reason


def test_a_canary_that_takes_other_inputs_is_ended(running):
    from dataclasses import replace

    from volant.core.records import Field

    other = replace(handmade.signature(2), inputs=(Field("age", "number", True, 1.0),))
    running.route("canary", running.write_release(signature=other), share=0.5, policy="canary")
    assert "other inputs" in running.store.deployments()[-1].reason


def test_one_release_that_fails_spoils_no_other(shared, monkeypatch):
    arm = shared.service.deck.traffic.arms[0]

    def fails(batch, call=None):
        raise RuntimeError("broken")

    monkeypatch.setattr(arm.slot.release.runner, "predict", fails)
    statuses = Counter(
        shared.post("/v1/predict", json={"row": ROW, "subject": f"subject {n}"}).status_code for n in range(40)
    )
    assert set(statuses) == {200, 500}
    assert shared.store.counts()["predictions"] == 40
    lines = [line for line in shared.get("/metrics").text.splitlines() if "volant_prediction_failures_total{" in line]
    failures = {line.split('release="')[1][:12]: float(line.rsplit(" ", 1)[1]) for line in lines}
    assert failures[shared.canary[:12]] == statuses[500]
    assert failures[shared.store.champion().release[:12]] == 0
