"""Optimisers reach the minimum, turn matrices, draw to zero, and go on from a state as if nothing had happened."""

from __future__ import annotations

import math
import time

import pytest

torch = pytest.importorskip("torch")

from volant.neural.muon import Muon, orthogonal  # noqa: E402
from volant.neural.optimisers import Adam, Group, Sgd, Together  # noqa: E402
from volant.neural.schedules import linear  # noqa: E402


def bowl():
    """Weights, and a loss that is least where they are ones."""
    weights = torch.nn.Parameter(torch.linspace(-1.0, 2.0, 12).view(3, 4))
    return weights, lambda: ((weights - 1.0) ** 2).sum()


MAKERS = {
    "adam": lambda group: Adam([group]),
    "sgd": lambda group: Sgd([group]),
    "muon": lambda group: Muon([group], momentum=0.9),
    "together": lambda group: Together(Muon([]), Sgd([group])),
}


def descend(optimiser, loss, steps, begin=0, of=200):
    for step in range(begin, begin + steps):
        loss().backward()
        optimiser.step(step / of)


@pytest.mark.parametrize("name", MAKERS)
def test_it_finds_the_minimum(name):
    weights, loss = bowl()
    descend(MAKERS[name](Group((weights,), 0.05, rate_schedule=linear)), loss, 200)
    assert weights.detach() == pytest.approx(torch.ones(3, 4), abs=0.05)


@pytest.mark.parametrize("name", MAKERS)
def test_from_a_state_it_goes_on_to_the_same_numbers(name):
    (whole, loss), (cut, cut_loss) = bowl(), bowl()
    group = Group((whole,), 0.05, rate_schedule=linear)
    descend(MAKERS[name](group), loss, 40)
    first = MAKERS[name](Group((cut,), 0.05, rate_schedule=linear))
    descend(first, cut_loss, 17)
    second = MAKERS[name](Group((cut,), 0.05, rate_schedule=linear))
    second.restore({key: value.clone() for key, value in first.state().items()})
    descend(second, cut_loss, 23, begin=17)
    assert torch.equal(whole, cut)


def test_a_calmed_optimiser_remembers_half_its_rate():
    weights, loss = bowl()
    optimiser = Sgd([Group((weights,), 0.1)], momentum=0.0)
    optimiser.calm()
    again = Sgd([Group((weights,), 0.1)], momentum=0.0)
    again.restore(optimiser.state())
    before = weights.detach().clone()
    descend(again, loss, 1)
    assert weights.detach() == pytest.approx(before - 0.05 * 2 * (before - 1.0))


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (8, 8)], ids=str)
def test_an_orthogonalised_matrix_has_singular_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert float(values.min()) > 0.4
    assert float(values.max()) < 1.3


def test_muon_holds_filters_at_their_length():
    filters = torch.nn.Parameter(torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(0)) * 7)
    optimiser = Muon([Group((filters,), 1e-6)], unit=True)
    (filters**2).sum().backward()
    optimiser.step(0.0)
    assert float(filters.detach().norm()) == pytest.approx(8**0.5, rel=1e-3)


def test_l1_leaves_weights_that_say_nothing_at_zero():
    weights = torch.nn.Parameter(torch.tensor([1.0, 0.02, -0.03]))
    optimiser = Sgd([Group((weights,), 0.1, l1=0.5)], momentum=0.0)
    for _ in range(20):
        ((weights[0] - 2.0) ** 2).backward()
        optimiser.step(0.0)
    assert weights.detach().tolist()[1:] == [0.0, 0.0]
    assert float(weights.detach()[0]) == pytest.approx(1.75, abs=0.05)


class Line:
    def __init__(self, takes=0.0, holds=math.inf):
        self.model = torch.nn.Linear(2, 1)
        self.takes, self.holds, self.calls = takes, holds, 0

    def loss(self, batch, progress):
        self.calls += 1
        time.sleep(self.takes)
        if len(batch[0]) > self.holds:
            raise MemoryError
        return ((self.model(batch[0])[:, 0] - batch[1]) ** 2).mean()


def test_a_rate_is_found_and_nothing_is_changed_by_it():
    from volant.neural.finder import find_rate

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        line = Line()
    x = torch.randn(128, 2, generator=torch.Generator().manual_seed(1))
    optimiser = Sgd([Group(tuple(line.model.parameters()), 0.1)], momentum=0.0)
    before = line.model.weight.detach().clone()
    found = find_rate(line, (x, 3 * x[:, 0]), optimiser, batch=32)
    assert 0.1 < found.suggested < 20
    assert found.losses[-1] > min(found.losses), "it ends where rates are too large"
    assert torch.equal(before, line.model.weight)
    assert optimiser.damping == 1.0


@pytest.mark.parametrize(("seconds", "most"), [(0.1, 1), (0.6, 30)])
def test_a_rate_is_looked_for_no_longer_than_there_is_time(seconds, most):
    from volant.neural.finder import find_rate

    line, x = Line(takes=0.02), torch.zeros(32, 2)
    optimiser = Sgd([Group(tuple(line.model.parameters()), 0.1)], momentum=0.0)
    found = find_rate(line, (x, x[:, 0]), optimiser, batch=32, seconds=seconds)
    assert line.calls <= most
    assert most > 1 or found.suggested == 1.0, "without a trial the first guess stays"
    assert optimiser.damping == 1.0


def test_a_rate_is_found_where_memory_holds_no_whole_batch():
    from volant.neural.finder import find_rate

    line, x = Line(holds=8), torch.randn(32, 2, generator=torch.Generator().manual_seed(1))
    optimiser = Sgd([Group(tuple(line.model.parameters()), 0.1)], momentum=0.0)
    assert find_rate(line, (x, 3 * x[:, 0]), optimiser, batch=32).suggested > 0.0
