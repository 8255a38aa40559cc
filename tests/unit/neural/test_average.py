from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from volant.neural.average import Average  # noqa: E402


def walked(decay, places):
    """A model whose only weight walked through these places, and its average."""
    model = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(places[0])
    average = Average(model, decay)
    for place in places[1:]:
        with torch.no_grad():
            model.weight.fill_(place)
        average.update()
    return model, average


def applied(model, average):
    with average.applied():
        return float(model.weight.detach())


def test_a_weight_that_stands_still_is_its_own_mean():
    assert applied(*walked(0.9, [3.0] * 50)) == pytest.approx(3.0)


def test_the_mean_of_a_weight_that_swings_lies_between():
    model, average = walked(0.9, [0.0] + [1.0, -1.0] * 100)
    assert abs(applied(model, average)) < 0.1
    assert float(model.weight.detach()) == -1.0, "the model itself goes on from where it was"


def test_the_beginning_is_soon_forgotten():
    assert applied(*walked(0.999, [100.0] + [1.0] * 100)) == pytest.approx(1.0, abs=0.1)


def test_without_decay_there_is_no_mean():
    assert applied(*walked(0.0, [0.0, 1.0, 7.0])) == 7.0


def test_it_begins_anew():
    model, average = walked(0.99, [100.0] + [50.0] * 5)
    with torch.no_grad():
        model.weight.fill_(2.0)
    average.restart()
    assert applied(model, average) == 2.0
