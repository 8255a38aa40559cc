"""Where a rate is looked for: on the device that a network will be trained on."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.unit.neural.image.test_networks import network, rows  # noqa: E402

from volant.neural.image.design import Recipe  # noqa: E402
from volant.neural.image.optimising import with_rate  # noqa: E402


def asked(device=None):
    net = network("cnn")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    drawn = net.dice.get_state()
    found = with_rate(net, rows(64), "classes", Recipe(1.0, 32, 0.0), device=device)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert {str(value.device) for value in net.state_dict().values()} == {"cpu"}
    assert torch.equal(drawn, net.dice.get_state())
    return found.rate


def test_a_rate_is_found_and_the_network_stays_as_it_was():
    cpu = torch.device("cpu")
    assert 0.0 < asked(cpu) == asked(cpu)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_rate_is_looked_for_on_a_gpu_where_there_is_one(monkeypatch):
    from volant.neural import stepping

    devices = set()
    step = stepping.Stepper._gradients

    def seen(self, batch, progress):
        devices.update(values.device.type for values in batch)
        return step(self, batch, progress)

    monkeypatch.setattr(stepping.Stepper, "_gradients", seen)
    assert asked() > 0.0
    assert devices == {"cuda"}
