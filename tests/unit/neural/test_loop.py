"""The loop trains, stops, keeps the best weights, holds deadlines and finds its way back from nonsense."""

from __future__ import annotations

import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from volant.neural.loop import Loop, Plan, torch_threads  # noqa: E402
from volant.neural.optimisers import Adam, Group  # noqa: E402
from volant.neural.schedules import constant, cosine  # noqa: E402


@contextmanager
def settled(seed, threads):
    """Torch's own dice for the weights that `Line` begins with; a loop has dice of its own."""
    with torch_threads(threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class Line:
    """A line through rows; `spoil` makes chosen steps fail, `judgements` are told in turn instead of measured."""

    def __init__(self, spoil=(), judgements=(), slow=0.0):
        self.model = torch.nn.Linear(2, 1)
        self.spoil, self.judgements, self.slow = set(spoil), list(judgements), slow
        self.calls, self.seen, self.at = 0, [], []

    def loss(self, batch, progress):
        self.calls += 1
        self.at.append(progress)
        self.seen.append(batch[0].shape[0])
        time.sleep(self.slow)
        x, y = batch
        loss = ((self.model(x)[:, 0] - y) ** 2).mean()
        return loss * float("nan") if self.calls in self.spoil else loss

    def judge(self):
        if not self.judgements:
            return None
        return self.judgements.pop(0) if len(self.judgements) > 1 else self.judgements[0]


def rows(n=100):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 2, generator=generator)
    return x, x @ torch.tensor([2.0, -1.0]) + 0.5


def train(objective, plan, data=None, progress=None, schedule=cosine):
    optimiser = Adam([Group(tuple(objective.model.parameters()), 0.1, rate_schedule=schedule)])
    return Loop(objective, data or rows(), optimiser, plan, torch.Generator().manual_seed(7), progress).run()


def trained(seed=0, **options):
    with settled(seed, 1):
        line = Line(**options)
        found = train(line, Plan(epochs=60, batch=20))
    return line, found


def test_it_learns():
    line, found = trained()
    assert line.model.weight.tolist()[0] == pytest.approx([2.0, -1.0], abs=0.01)
    assert found.epochs == 60
    assert not line.model.training


def test_every_row_is_seen_once_per_epoch():
    with settled(0, 1):
        line = Line()
        train(line, Plan(epochs=3, batch=32))
    assert sum(line.seen) == 300
    assert set(line.seen) == {25}, "batches are about as large as each other: none of a handful of rows"


def test_same_seed_gives_same_weights_and_another_seed_others():
    same = [trained()[0].model.weight for _ in range(2)]
    assert torch.equal(*same)
    assert not torch.equal(same[0], trained(seed=1)[0].model.weight)


def test_the_state_of_torch_is_left_as_it_was():
    line, threads = Line(), torch.get_num_threads()
    before = torch.random.get_rng_state()
    with torch_threads(1):
        train(line, Plan(epochs=2, batch=20))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads


def test_the_best_weights_are_kept():
    with settled(0, 1):
        line = Line(judgements=[3.0, 1.0, 2.0])
        kept = []
        judge = line.judge

        def judged():
            kept.append(line.model.weight.detach().clone())
            return judge()

        line.judge = judged
        found = train(line, Plan(epochs=20, batch=20))
    assert found.loss == 1.0
    assert found.best == pytest.approx(8 / 20)
    assert torch.equal(line.model.weight, kept[1])


def test_patience_ends_training():
    with settled(0, 1):
        line = Line(judgements=[1.0, 2.0])
        found = train(line, Plan(epochs=100, batch=20, patience=0.1))
    assert found.best == pytest.approx(0.04)
    assert found.epochs <= 20


def test_training_ends_at_the_given_progress_of_an_unchanged_schedule():
    with settled(0, 1):
        line = Line()
        found = train(line, Plan(epochs=40, batch=20, until=0.5))
    assert found.epochs == 20
    assert max(line.at) == pytest.approx(0.5, abs=0.01)


def test_a_deadline_holds_and_the_schedule_ends_with_it():
    with settled(0, 1):
        line = Line(slow=0.002)
        started = time.monotonic()
        found = train(line, Plan(epochs=100_000, batch=20, seconds=0.3))
    assert time.monotonic() - started < 10.0, "a busy machine may be late, but 100,000 epochs take longer"
    assert line.at[-1] > 0.5, "the schedule went on with the clock"
    assert found.rows_per_second > 0


def test_a_training_that_ends_before_its_schedule_has_all_of_the_time_for_that_part(monkeypatch):
    hours = iter(range(10_000))
    monkeypatch.setattr("volant.neural.loop.time", SimpleNamespace(monotonic=lambda: next(hours)))
    with settled(0, 1):
        line = Line()
        found = train(line, Plan(epochs=100, batch=20, until=0.25, seconds=100.0))
    assert max(line.at) < 0.25
    assert found.epochs * 5 > 80, "the clock is read before each step, and a second later each time"


def test_without_time_the_model_stays_as_it_was():
    with settled(0, 1):
        line = Line()
        before = line.model.weight.detach().clone()
        train(line, Plan(epochs=10, batch=20, seconds=1e-9))
    assert torch.equal(before, line.model.weight)


def test_numbers_that_are_none_lead_back_to_the_last_good_weights():
    line, found = trained(spoil=[30, 31])
    assert found.falls == 2
    assert line.model.weight.tolist()[0] == pytest.approx([2.0, -1.0], abs=0.05)


def test_training_that_keeps_failing_ends():
    line, found = trained(spoil=range(40, 10_000))
    assert line.calls < 60
    assert bool(torch.isfinite(line.model.weight).all())
    assert found.falls > 3


def test_steps_that_ruin_the_weights_are_not_kept():
    with settled(0, 1):
        line = Line()
        optimiser = Adam([Group(tuple(line.model.parameters()), float("inf"))])
        Loop(line, rows(), optimiser, Plan(epochs=20, batch=20), torch.Generator()).run()
    assert bool(torch.isfinite(line.model.weight).all())


def test_progress_is_told():
    told = []

    class Listener:
        def advance(self, done, note=""):
            told.append((done, note))

    with settled(0, 1):
        train(Line(judgements=[0.5]), Plan(epochs=8, batch=20, seconds=60.0), progress=Listener())
    assert [round(done, 2) for done, _ in told] == [0.5, 1.0]
    assert all("loss" in note and "held out" in note and "rows/s" in note for _, note in told)


def test_the_running_mean_of_the_weights_is_what_is_judged_and_kept():
    with settled(0, 1):
        line = Line(judgements=[2.0, 1.0])
        judged = []
        judge = line.judge

        def noted():
            judged.append(line.model.weight.detach().clone())
            return judge()

        line.judge = noted
        optimiser = Adam([Group(tuple(line.model.parameters()), 0.1)])
        Loop(line, rows(), optimiser, Plan(epochs=8, batch=20, average=0.9), torch.Generator()).run()
        plain = Line()
        train(plain, Plan(epochs=8, batch=20), schedule=constant)
    assert torch.equal(line.model.weight, judged[1])
    assert not torch.equal(line.model.weight, plain.model.weight)
