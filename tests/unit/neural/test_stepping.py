"""Steps in pieces are the same steps; memory that runs out makes pieces smaller; batches come as they were drawn."""

from __future__ import annotations

import threading

import pytest

torch = pytest.importorskip("torch")

from volant.neural.feeding import Feeder, Tensors, dice_at  # noqa: E402
from volant.neural.loop import Loop, Plan  # noqa: E402
from volant.neural.means import Means  # noqa: E402
from volant.neural.optimisers import Group, Sgd  # noqa: E402
from volant.neural.precision import Scale  # noqa: E402


class Line:
    def __init__(self, most=10_000, spoil=1.0):
        torch.manual_seed(0)
        self.model, self.most, self.sizes, self.spoil = torch.nn.Linear(2, 1), most, [], spoil

    def loss(self, batch, progress):
        x, y = batch
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return self.spoil * ((self.model(x)[:, 0] - y) ** 2).mean()

    def judge(self):
        return None


def rows(n=64):
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(1))
    return x, x @ torch.tensor([2.0, -1.0])


def train(line, **means):
    said = []

    class Listener:
        def say(self, text):
            said.append(text)

        def advance(self, done, note=""):
            pass

    with torch.random.fork_rng(devices=[]):
        optimiser = Sgd([Group(tuple(line.model.parameters()), 0.05)])
        Loop(line, rows(), optimiser, Plan(4, 32), torch.Generator(), Listener(), Means(**means)).run()
    return line.model.weight.detach(), said


def test_pieces_add_up_to_the_whole_batch():
    whole, pieces = train(Line())[0], train(Line(), pieces=5)[0]
    assert pieces == pytest.approx(whole, abs=1e-6)


def test_memory_that_runs_out_halves_the_batch_and_is_told():
    line = Line(most=10)
    weights, said = train(line)
    assert weights == pytest.approx(train(Line())[0], abs=1e-6)
    assert said == [
        "memory ran out: batches of 32 rows go on in 2 pieces",
        "memory ran out: batches of 32 rows go on in 4 pieces",
    ]
    assert line.sizes[-4:] == [8, 8, 8, 8]


def test_where_a_single_row_does_not_fit_it_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        train(Line(most=0))


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    class Wrong(Line):
        def loss(self, batch, progress):
            raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        train(Wrong())


def test_long_gradients_are_clipped():
    line = Line(spoil=1e6)
    before = line.model.weight.detach().clone()
    after, _ = train(line, clip=0.1)
    assert float((after - before).norm()) < 1.0


def test_small_gradients_survive_in_half_precision():
    scale = Scale(torch.float16)
    weight = torch.nn.Parameter(torch.ones(2))
    (weight.sum() * scale.value).backward()
    assert scale.undo([weight])
    assert weight.grad.tolist() == [1.0, 1.0]
    weight.grad = torch.tensor([float("inf"), 1.0])
    before = scale.value
    assert not scale.undo([weight])
    assert scale.value == before / 2


class Slow(Tensors):
    slow = True

    def fetch(self, draw):
        self.thread = threading.current_thread()
        return (*super().fetch(draw), torch.rand(1, generator=draw.dice))


def taken(feeder, first, count):
    batches = feeder.batches(first)
    found = [next(batches) for _ in range(count)]
    batches.close()
    return found


def test_batches_are_the_same_from_any_place_on_and_fetched_ahead():
    source = Slow([torch.arange(50)])
    whole = taken(Feeder(source, 16, seed=3), 0, 12)
    assert source.thread is not threading.main_thread()
    source.slow = False
    later = taken(Feeder(source, 16, seed=3), 7, 5)
    assert all(torch.equal(a, b) for x, y in zip(whole[7:], later, strict=True) for a, b in zip(x, y, strict=True))
    assert sorted(torch.cat([b[0] for b in whole[4:8]]).tolist()) == list(range(50))
    assert not torch.equal(torch.cat([b[0] for b in whole[:4]]), torch.cat([b[0] for b in whole[4:8]]))


def test_a_failure_to_fetch_is_told_and_no_thread_is_left():
    class Failing(Slow):
        def fetch(self, draw):
            raise ValueError("a picture is missing")

    before = threading.active_count()
    with pytest.raises(ValueError, match="missing"):
        taken(Feeder(Failing([torch.arange(9)]), 4, seed=0), 0, 1)
    assert threading.active_count() == before


def test_a_crew_shares_each_batch():
    parts = [taken(Feeder(Tensors([torch.arange(48)]), 16, 1, rank, 2), 0, 3) for rank in (0, 1)]
    together = torch.cat([batch[0] for part in parts for batch in part])
    assert sorted(together.tolist()) == list(range(48))


def test_dice_are_a_function_of_their_places():
    def first(*places):
        return float(torch.rand(1, generator=dice_at(*places)))

    assert first(0, 1, 2) == first(0, 1, 2)
    assert len({first(s, a, b) for s in range(3) for a in range(3) for b in range(3)}) == 27
