"""What logged traffic says a challenger would earn is a condition of its promotion."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from tests.e2e.test_wheel import answer, split_product

from volant.core.clock import Clock
from volant.core.records import Comparison, Feedback, Verdict
from volant.release.gate import CandidateFacts, GateRules, decide
from volant.store import PredictionRecord, open_store
from volant.store.part import iso
from volant.testing import handmade
from volant.wheel import route
from volant.wheel.collect import collect
from volant.wheel.context import work_on
from volant.wheel.handle import ProductHandle
from volant.wheel.history import deploy_verdict, open_candidate
from volant.wheel.live import live
from volant.wheel.worth import worth_of

START = datetime(2026, 3, 1, tzinfo=UTC)
RULES = "[quality]\nmetric = 'accuracy'\n[improve]\nreward = [0, 2]\n"
CLICKS = """
[feedback.signals.click]
when = "click"
kind = "reward"
value = 2
otherwise = 0
position = "place"
"""
BETTER = Comparison("accuracy", "", 500, 0.05, 0.01, 0.09, 0.8, 0.85)


class Shop:
    """A product whose champion says yes from 40 on. A yes is worth most between 50 and 60, and nothing below."""

    def __init__(self, folder, more=""):
        self.product = handmade.make_product(folder / "shop", handmade.FILE_TEXT + RULES + more)
        self.now = START
        chance = np.random.default_rng(0)
        lines = [f"{age:.3f},gold,{'yes' if age > 50 else 'no'}" for age in chance.uniform(20, 80, 300)]
        (folder / "shop" / "customers.csv").write_text("age,plan,churned\n" + "\n".join(lines) + "\n")
        with open_store(self.product.home, clock=self.clock) as store:
            handmade.promote(store, handmade.write_release(self.product.home))

    @property
    def clock(self):
        return Clock(wall=lambda: self.now)

    def context(self):
        return work_on(self.product, clock=self.clock)

    def candidate(self, context, center):
        digest = handmade.write_release(context.product.home, handmade.pipeline(center))
        context.store.add_candidate(digest, None, collect(context).digest, 1, {})
        context.store.add_verdict(Verdict(digest, context.store.champion().release, True, ("better",)))
        return digest

    def traffic(self, context, count, *, seed, other=None, share=0.0, worth=(0.1, 0.5), clicks=False):
        """Everybody is answered by the champion or, in that share, by another; `worth`: of a yes below 50, of a no."""
        chance, champion = np.random.default_rng(seed), context.store.champion().release
        records, said = [], []
        for i in range(count):
            age, mine = round(float(chance.uniform(20, 80)), 3), other is not None and chance.random() < share
            yes = age > (50.0 if mine else 40.0)
            id, at = f"{seed:03d}-{i:06d}", iso(self.now + timedelta(seconds=10 + i))
            output = {"label": "yes" if yes else "no", "probabilities": {"no": 1.0 - yes, "yes": 0.0 + yes}}
            told = {"id": id, "at": at, "input": {"age": age, "plan": "gold"}, "output": output}
            told["propensity"] = share if mine else 1 - share
            records.append(PredictionRecord(release=other if mine else champion, **told))
            good = chance.random() < ((0.9 if age > 50 else worth[0]) if yes else worth[1])
            if clicks:
                said.append(Feedback(id, "signal", {"click": bool(good), "place": 1}, f"u{i}"))
            elif good:
                said.append(Feedback(id, "reward", 2, f"u{i}"))
        log = context.store.prediction_log()
        log.append(records)
        log.close()
        self.now += timedelta(seconds=count + 10)
        context.store.add_feedback(said)
        self.now += timedelta(seconds=1)


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def judged(context, digest, alpha=0.05):
    """What the gate says of a candidate that is better on the judge rows."""
    champion = open_candidate(context, context.store.champion().release)
    found = worth_of(context, digest, champion, alpha)
    facts = CandidateFacts(digest, champion.digest, worth=found)
    verdict = decide([BETTER], GateRules("accuracy", alpha=alpha), facts)
    return found, verdict, deploy_verdict(context, verdict, 1, champion.digest)


@pytest.mark.parametrize("clicks", [False, True])
def test_a_challenger_that_decides_as_an_arm_did_is_judged_by_what_the_arm_earned(tmp_path, clicks):
    """A yes at 40 to 50 is worth 0.1, a no 0.5: one sixth of the people, so 0.067 on average."""
    shop = Shop(tmp_path, CLICKS if clicks else "")
    with shop.context() as context:
        arm = shop.candidate(context, 50.0)
        route.split(context, arm, 0.4)
        shop.traffic(context, 5_000, seed=1, other=arm, share=0.4, clicks=clicks)
        found, verdict, kind = judged(context, arm)
        assert found.low < 0.4 / 6 < found.high
        assert found.low > -0.02
        assert found.untold == 0
        assert kind == "promote"
        assert "On logged traffic" in " ".join(verdict.reasons)
        assert context.store.verdicts()[-1].verdict.comparisons[-1].metric == "reward"


def test_a_challenger_that_surely_earns_less_is_refused_however_good_its_labels_are(shop):
    with shop.context() as context:
        arm = shop.candidate(context, 50.0)
        route.split(context, arm, 0.4)
        shop.traffic(context, 5_000, seed=2, other=arm, share=0.4, worth=(0.9, 0.1))
        found, verdict, kind = judged(context, arm)
        assert found.high < -0.02
        assert kind == "refuse"
        assert "surely earns less" in verdict.reasons[0]


def test_what_the_log_cannot_tell_is_found_out_by_a_canary(shop):
    """Only the champion answered, so nobody knows what another decision is worth."""
    with shop.context() as context:
        shop.traffic(context, 800, seed=3)
        digest = shop.candidate(context, 60.0)
        found, verdict, kind = judged(context, digest)
        assert found.untold == pytest.approx(1 / 3, abs=0.05)
        assert kind == "canary"
        assert "begins as a canary" in verdict.reasons[-1]
        event = context.store.deployments()[-1]
        assert (event.facts["share"], event.facts["promote_after"]) == (0.1, None)


def test_without_a_word_about_rewards_nothing_is_asked_of_the_log(shop):
    with shop.context() as context:
        digest = shop.candidate(context, 60.0)
        champion = open_candidate(context, context.store.champion().release)
        assert worth_of(context, digest, champion, 0.05) is None
        log = context.store.prediction_log()
        told = {"age": 30.0}
        log.append([PredictionRecord(id="x", release=champion.digest, at=iso(shop.now), input=told, output={})])
        log.close()
        shop.now += timedelta(days=3)
        assert worth_of(context, digest, champion, 0.05) is None


def test_propensities_that_cannot_be_true_are_left_out(shop):
    with shop.context() as context:
        arm = shop.candidate(context, 50.0)
        route.split(context, arm, 0.4)
        shop.traffic(context, 600, seed=4, other=arm, share=0.4)
        before = judged(context, arm)[0].rows
        champion = context.store.champion().release
        log, at = context.store.prediction_log(), iso(shop.now + timedelta(seconds=60))
        output = {"label": "yes", "probabilities": {"no": 0.0, "yes": 1.0}}
        for i, (release, share) in enumerate([(champion, 0.0), (champion, 0.3), ("f" * 64, 0.4)]):
            told = {"id": f"odd{i}", "at": at, "input": {"age": 70.0}, "output": output}
            log.append([PredictionRecord(release=release, propensity=share, subject=f"s{i}", **told)])
        log.close()
        shop.now += timedelta(days=3)
        with open_store(shop.product.home) as store:
            assert store.index_segments() == 3
        assert judged(context, arm)[0].rows == before


def test_one_busy_subject_promotes_nobody(shop):
    """A robot that was dealt to the canary praises whatever it gets, thousands of times."""
    with shop.context() as context:
        arm = shop.candidate(context, 50.0)
        route.canary(context, arm, 0.4)
        shop.traffic(context, 40, seed=6, other=arm, share=0.4)
        log, at = context.store.prediction_log(), shop.now
        output = {"label": "yes", "probabilities": {"no": 0.0, "yes": 1.0}}
        log.append([
            PredictionRecord(
                id=f"robot{i:05d}", release=arm, propensity=0.4, subject="robot", input={"age": 70.0}, output=output,
                at=iso(at + timedelta(seconds=i)), audit=True,
            )
            for i in range(3_000)
        ])  # fmt: skip
        log.close()
        shop.now += timedelta(days=2)
        context.store.add_feedback([Feedback(f"robot{i:05d}", "reward", 2, "robot") for i in range(3_000)])
        shop.now += timedelta(seconds=1)
        report = live(context)
        assert not report.events
        assert report.duels[0].rows == 41


def test_a_turn_judges_by_what_was_logged_and_says_so(tmp_path):
    handle, rows, labels = split_product(tmp_path, 200)
    file = handle.product.folder / "volant.toml"
    file.write_text(file.read_text() + "[improve]\nreward = [0, 1]\n")
    handle = ProductHandle.at(handle.product.folder)
    handle.train(budget="1 units")
    records = answer(handle, rows, labels)
    with open_store(handle.product.home) as store:
        store.add_feedback([Feedback(one.id, "reward", i % 2, f"r{i}") for i, one in enumerate(records)])
    turn = handle.improve(budget="1 units")
    told = [one for one in turn.train.verdict.comparisons if one.metric == "reward"]
    assert [one.slice for one in told] == ["logged traffic"]
    assert turn.outcome in ("canary", "refused")
    if turn.train.verdict.passed:
        assert "logged traffic" in turn.train.verdict.reasons[-1]


def test_canaries_on_trial_leave_the_champion_half_of_the_traffic(shop):
    with shop.context() as context:
        shop.traffic(context, 300, seed=7)
        kinds = [judged(context, shop.candidate(context, 55.0 + i))[2] for i in range(7)]
        assert kinds == ["canary"] * 5 + ["refuse"] * 2
        assert "half of the traffic" in context.store.deployments()[-1].reason


def test_what_was_said_by_and_of_whoever_was_erased_earns_nothing(shop):
    with shop.context() as context:
        digest = shop.candidate(context, 60.0)
        champion = open_candidate(context, context.store.champion().release)
        output = {"label": "yes", "probabilities": {"no": 0.0, "yes": 1.0}}
        log = context.store.prediction_log()
        for i, who in enumerate(["ann", "somebody-else"]):
            told = {"input": {"age": 70.0}, "output": output, "at": iso(shop.now), "subject": who}
            log.append([PredictionRecord(id=f"g{i}", release=champion.digest, **told)])
        log.close()
        shop.now += timedelta(days=3)
        context.store.add_feedback([Feedback(f"g{i}", "reward", 2, f"u{i}") for i in range(2)])
        context.store.bury("ann")
        shop.now += timedelta(seconds=1)
        assert worth_of(context, digest, champion, 0.05).people == 1
