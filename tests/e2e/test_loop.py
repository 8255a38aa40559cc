"""The loop by itself: releases are compared on live traffic, what comes is watched, turns survive being killed."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.products import product

from volant.core.clock import Clock
from volant.core.records import Feedback, Verdict
from volant.store import PredictionRecord, open_store
from volant.store.part import iso
from volant.testing import handmade
from volant.wheel import route
from volant.wheel.ask import answer, ask, questions
from volant.wheel.context import work_on
from volant.wheel.handle import ProductHandle
from volant.wheel.live import live
from volant.wheel.turns import STEPS, Look, due, look, turn
from volant.wheel.watch import watch

START = datetime(2026, 3, 1, tzinfo=UTC)
SEED = np.random.default_rng(0)


class Hands:
    """A clock whose hands are put by hand."""

    def __init__(self):
        self.now = START

    def clock(self):
        return Clock(wall=lambda: self.now)


@pytest.fixture
def hands():
    return Hands()


@pytest.fixture
def churn(tmp_path, hands):
    """A product whose champion thinks that people leave from 40 on; the truth is given by each test."""
    folder = tmp_path / "churn"
    made = handmade.make_product(folder, handmade.FILE_TEXT + "[quality]\nmetric = 'accuracy'\n")
    ages = SEED.uniform(20, 80, 400).round(3)
    lines = [f"{age},{'gold' if i % 3 else 'basic'},{'yes' if age > 50 else 'no'}" for i, age in enumerate(ages)]
    (folder / "customers.csv").write_text("age,plan,churned\n" + "\n".join(lines) + "\n")
    with open_store(made.home, clock=hands.clock()) as store:
        handmade.promote(store, handmade.write_release(made.home))
    return made


def candidate(context, center):
    digest = handmade.write_release(context.product.home, handmade.pipeline(center))
    context.store.add_candidate(digest, None, None, 1, {})
    context.store.add_verdict(Verdict(digest, context.store.champion().release, True, ("better",)))
    return digest


def traffic(context, hands, count, truth_from, *, seed=0, release=None, share=1.0, said=True, ages=(20, 80)):
    """People come and are asked at random; each says the truth, whoever answered them."""
    chance = np.random.default_rng(seed)
    champion = context.store.champion().release
    records, feedback = [], []
    for i in range(count):
        age = round(float(chance.uniform(*ages)), 3)
        by, center = (release, 50.0) if release and chance.random() < share else (champion, 40.0)
        sure = float(1 / (1 + np.exp(-(age - center) / 10)))
        output = {"label": "yes" if sure > 0.5 else "no", "probabilities": {"no": 1 - sure, "yes": sure}}
        name = f"{seed:04d}-{i:05d}"
        at = iso(hands.now + timedelta(seconds=i + 1))
        told = {"age": age, "plan": "gold"}
        records.append(PredictionRecord(id=name, release=by, at=at, input=told, output=output, audit=True))
        if said:
            truth = "yes" if age > truth_from else "no"
            feedback.append(Feedback(name, "correction", truth, f"user{chance.integers(60)}"))
    log = context.store.prediction_log()
    log.append(records)
    log.close()
    hands.now += timedelta(seconds=count + 1)
    if feedback:
        context.store.add_feedback(feedback)


def test_a_canary_that_is_surely_better_is_promoted_and_one_that_is_worse_is_ended(churn, hands):
    with work_on(churn, clock=hands.clock()) as context:
        better = candidate(context, 50.0)
        route.canary(context, better, 0.3)
        traffic(context, hands, 900, 50.0, release=better, share=0.3)
        report = live(context)
        assert [(event.kind, event.release) for event in report.events] == [("promote", better)]
        assert "live traffic" in report.events[0].reason
        worse = candidate(context, 20.0)
        route.canary(context, worse, 0.3)
        traffic(context, hands, 700, 50.0, seed=1)
        assert [(event.kind, event.release) for event in live(context).events] == [("end", worse)]


def test_a_canary_that_is_as_good_stays_a_canary(churn, hands):
    with work_on(churn, clock=hands.clock()) as context:
        same = candidate(context, 60.0)
        route.canary(context, same, 0.3)
        traffic(context, hands, 600, 50.0, release=same, share=0.3)
        report = live(context)
        assert not report.events
        assert report.duels[0].low < 0 < report.duels[0].high


def test_between_turns_live_traffic_is_looked_at_only_when_somebody_spoke(churn, hands):
    with work_on(churn, clock=hands.clock()) as context:
        worse = candidate(context, 70.0)
        handmade.promote(context.store, worse)
        context.store.end_turn(context.store.begin_turn("the first").id, "nothing-to-learn")
        traffic(context, hands, 700, 40.0, release=worse)
        seen = look(context)
        assert [event.kind for event in seen.events] == ["rollback"]
        assert look(context, seen.heard) == Look(None, (), seen.heard)


def test_a_champion_that_is_surely_worse_than_the_one_before_is_taken_back(churn, hands):
    with work_on(churn, clock=hands.clock()) as context:
        before, worse = context.store.champion().release, candidate(context, 70.0)
        handmade.promote(context.store, worse)
        traffic(context, hands, 700, 40.0, release=worse)
        events = live(context).events
        assert [(event.kind, event.release) for event in events] == [("rollback", before)]
        assert worse[:12] in events[0].reason
        assert not live(context).events


def test_a_canary_that_earns_more_is_promoted_whatever_labels_say(churn, hands):
    file = churn.folder / "volant.toml"
    file.write_text(file.read_text() + "[improve]\nreward = [0, 5]\n")
    with work_on(ProductHandle.at(churn.folder).product, clock=hands.clock()) as context:
        other = candidate(context, 70.0)
        route.canary(context, other, 0.4)
        traffic(context, hands, 900, 40.0, release=other, share=0.4, said=False)
        chance = np.random.default_rng(5)
        found = context.store.find_predictions([f"0000-{i:05d}" for i in range(900)])
        by = {one.id: one.release for one in found.values()}
        earned = [name for name, release in sorted(by.items()) if chance.random() < (0.6 if release == other else 0.3)]
        context.store.add_feedback([Feedback(name, "reward", 5, f"user{i % 70}") for i, name in enumerate(earned)])
        hands.now += timedelta(seconds=1)
        report = live(context)
        assert report.duels[0].by == "reward"
        assert report.duels[0].earned == pytest.approx((0.6, 0.3), abs=0.1)
        assert report.duels[0].gain == pytest.approx(0.3, abs=0.1)
        assert [(event.kind, event.release) for event in report.events] == [("promote", other)]


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    handle = product(tmp_path_factory.mktemp("loop"), "wine", budget="1 units")
    handle.train()
    return handle


def send(handle, rows, *, day=0, actor="user", audit=True, said=None, release=None):
    """Predictions of the champion, with what people said."""
    with open_store(handle.product.home) as store:
        by = release or store.champion().release
        start = store.counts()["predictions"]
        log, feedback = store.prediction_log(), []
        at = iso(datetime.now(UTC) + timedelta(days=day))
        sure = {"class_0": 0.9, "class_1": 0.06, "class_2": 0.04}
        for i, row in enumerate(rows):
            output = {"label": "class_0", "probabilities": sure}
            log.append(
                [PredictionRecord(id=f"w{start + i:05d}", release=by, at=at, input=row, output=output, audit=audit)]
            )
            if said:
                feedback.append(Feedback(f"w{start + i:05d}", "correction", said, f"{actor}{i % 40}"))
        log.close()
        store.add_feedback(feedback)


def test_traffic_that_has_moved_is_told_from_traffic_that_has_not(wine):
    chance = np.random.default_rng(3)
    with work_on(wine.product) as context:
        from volant.wheel.collect import collect

        names = [c.name for c in collect(context).schema.inputs]
        table = collect(context).table(names).to_pylist()
    as_before = [table[i] for i in chance.integers(0, len(table), 400)]
    send(wine, as_before)
    with work_on(wine.product) as context:
        calm = watch(context)
    assert calm.moved
    assert not [one for one in calm.alarms if one.what == "input"]
    send(wine, [{**row, "alcohol": row["alcohol"] + 3} for row in as_before] * 3)
    with work_on(wine.product) as context:
        moved = watch(context)
    far = [one for one in moved.alarms if one.what == "input"]
    assert [one.name for one in far] == ["alcohol"]
    assert far[0].low > 0.1


@pytest.mark.parametrize("moved", [False, True])
def test_the_labels_of_traffic_are_watched_too_and_confirm_what_was_expected(tmp_path, moved):
    wine = product(tmp_path, "wine", budget="1 units")
    wine.train()
    with work_on(wine.product) as context:
        from volant.wheel.collect import collect

        source = collect(context)
        rows = source.table([c.name for c in source.schema.inputs]).to_pylist()
        truth = source.table(["target"]).column(0).to_pylist()
    labels = ["class_1"] * len(truth) if moved else truth
    with open_store(wine.product.home) as store:
        first = store.counts()["predictions"]
    send(wine, rows * 2)
    with open_store(wine.product.home) as store:
        store.add_feedback([
            Feedback(f"w{first + i:05d}", "correction", label, "ann", source="reviewer")
            for i, label in enumerate(labels * 2)
        ])  # fmt: skip
    with work_on(wine.product) as context:
        report = watch(context)
    assert [one.what for one in report.alarms if one.what == "label"] == (["label"] if moved else [])
    assert report.expected.labels > 200
    assert report.expected.confirmed == pytest.approx(np.mean([one == "class_0" for one in labels]), abs=0.05)


def test_reviewers_are_asked_within_the_budget_of_a_day_and_their_word_counts(wine):
    chance = np.random.default_rng(4)
    send(wine, [{"alcohol": float(x)} for x in chance.normal(13, 1, 60).round(4)])
    with work_on(wine.product) as context:
        assert ask(context, seed="one") == 20
        assert ask(context, seed="two") == 0
        asked = questions(context)
        assert len(asked) == 20
        assert all(one.why and one.input for one in asked)
        answer(context, asked[0].prediction_id, "class_1", actor="ann", rationale="I drank it")
        answer(context, asked[1].prediction_id, None, actor="ann")
        assert len(questions(context)) == 18
        row = [one for one in context.store.feedback_rows() if one.source == "reviewer"]
        assert [(one.value, one.rationale) for one in row] == [("class_1", "I drank it")]


KILLED = """
import sys
from volant.wheel.context import work_on
from volant.wheel.handle import ProductHandle
from volant.wheel.turns import turn
import os

class Killer:
    def __init__(self, at): self.left = at
    def stage(self, name, total=None):
        if not self.left: os._exit(9)
        self.left -= 1
    def advance(self, done, note=""): pass
    def say(self, text): pass

with work_on(ProductHandle.at(sys.argv[1]).product, progress=Killer(int(sys.argv[2]))) as context:
    turn(context)
"""


def cases(handle):
    """Rows of the source, a little changed, so that they are new."""
    with work_on(handle.product) as context:
        from volant.wheel.collect import collect

        dataset = collect(context)
        rows = dataset.table().slice(0, 60).to_pylist()
    return [({**row, "alcohol": row["alcohol"] + 0.01}, row.pop("target")) for row in rows]


LEARNING = {
    "scratch": "",
    "warm": 'learners = ["linear"]\n[improve]\nlearning = "warm"\n',
    "online": 'learners = ["linear"]\n[improve]\nlearning = "online"\n',
    "shards": 'learners = ["linear"]\nshards = 3\n',
}


@pytest.mark.slow
@pytest.mark.parametrize("way", list(LEARNING))
def test_a_turn_that_is_killed_at_any_boundary_loses_nothing_and_repeats_nothing(tmp_path, way):
    """What is left after a turn was killed at each of its boundaries is what is left after an undisturbed one."""
    seen = {}
    for kills in ("never", "always"):
        handle = product(tmp_path / kills, "wine", budget="2 units", extra=LEARNING[way])
        handle.train()
        told = [({k: v for k, v in row.items() if k != "target"}, label) for row, label in cases(handle)]
        send(handle, [row for row, _ in told])
        with open_store(handle.product.home) as store:
            said = [Feedback(f"w{i:05d}", "correction", label, f"user{i}") for i, (_, label) in enumerate(told)]
            store.add_feedback(said)
        statuses = []
        for boundary in range(60 if kills == "always" else 1):
            at = str(boundary if kills == "always" else 10_000)
            done = subprocess.run([sys.executable, "-c", KILLED, str(handle.product.folder), at], check=False)
            statuses.append(done.returncode)
            if done.returncode == 0:
                break
        assert statuses[-1] == 0
        assert set(statuses[:-1]) <= {9}
        with open_store(handle.product.home) as store:
            turns = store.turns()
            seen[kills] = {
                "steps": [list(one.facts) for one in turns],
                "outcome": [one.outcome for one in turns],
                "verdicts": [(one.verdict.passed, one.verdict.turn) for one in store.verdicts()],
                "deployments": [(one.kind, one.release) for one in store.deployments()],
                "questions": len(store.questions()),
                "feedback": store.counts()["feedback"],
                "candidates": {one.digest: one.facts for one in store.candidates()},
            }
        if kills == "always":
            assert len(statuses) > len(STEPS)
    assert seen["always"] == seen["never"]


def test_a_turn_does_its_steps_in_order_and_tells_whoever_listens(tmp_path):
    heard = tmp_path / "heard.json"
    program = f"import sys, pathlib; pathlib.Path({str(heard)!r}).write_text(sys.stdin.read())"
    extra = (
        f'[notify]\ncommand = [{json.dumps(sys.executable)}, "-c", {json.dumps(program)}]\n[improve]\nevery = "2h"\n'
    )
    handle = product(tmp_path / "told", "wine", budget="1 units", extra=extra)
    handle.train()
    told = cases(handle)
    send(handle, [{k: v for k, v in row.items() if k != "target"} for row, _ in told])
    with open_store(handle.product.home) as store:
        store.add_feedback([Feedback(f"w{i:05d}", "correction", label, f"u{i}") for i, (_, label) in enumerate(told)])
    with work_on(handle.product) as context:
        assert due(context) == "the first"
        done = turn(context)
        assert tuple(done.steps) == STEPS
        assert done.steps["learn"]["labels"]["accepted"] > 0
        assert due(context) is None
    with work_on(handle.product, clock=Clock(wall=lambda: datetime.now(UTC) + timedelta(hours=3))) as context:
        assert due(context) == "every 2h"
    message = json.loads(heard.read_text())
    assert message["turn"] == done.id
    assert message["learned"]["outcome"] == done.outcome


def test_a_clock_that_is_put_back_by_years_does_not_keep_turns_from_being_due(churn, hands):
    hands.now += timedelta(days=3000)
    with work_on(churn, clock=hands.clock()) as context:
        context.store.end_turn(context.store.begin_turn("the first").id, "nothing-to-learn")
        assert due(context) is None
        hands.now = START
        assert due(context) == "the clock was put back"
        context.store.end_turn(context.store.begin_turn("again").id, "nothing-to-learn")
        assert due(context) is None
        hands.now += timedelta(days=1)
        assert due(context) == "every 1d"


def test_the_command_does_one_turn_and_shows_all(wine):
    said = subprocess.run(
        [sys.executable, "-m", "volant.cli.main", "-C", str(wine.product.folder), "--json", "loop", "--once"],
        capture_output=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["steps"]["learn"]["outcome"]
    assert ProductHandle.at(Path(wine.product.folder)).operations.turns()[-1].ended_at
