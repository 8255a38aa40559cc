"""What a network exports gives what torch gives, whatever it is made of and however many rows come at once."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from volant.learners.tabular.network_export import network_model  # noqa: E402
from volant.neural.architecture import Architecture, Inputs  # noqa: E402
from volant.neural.loop import torch_threads  # noqa: E402
from volant.neural.table_training import TableRows, averaged, network_for  # noqa: E402

MANY = Inputs(5, 3, (12, 40, 5))
KINDS = {
    "members": (MANY, Architecture((32, 16), members=4, pieces=6)),
    "one member": (MANY, Architecture((24,), members=1, pieces=6)),
    "plain": (Inputs(5, 3), Architecture((16, 16))),
    "numbers alone": (Inputs(5, 0), Architecture((16,), members=2, pieces=8)),
    "no numbers": (Inputs(0, 7), Architecture((16, 16, 16), members=3, pieces=8)),
    "codes alone": (Inputs(0, 0, (19,)), Architecture((16,), members=2)),
    "one column per code": (Inputs(0, 0, (4, 9)), Architecture((16,), members=2)),
    "no layer": (Inputs(4, 0), Architecture((), members=1)),
    **{name: (MANY, Architecture((16, 16), 3, 4, name)) for name in ("selu", "silu", "mish")},
}


def matrix(inputs, rows, seed=0):
    rng = np.random.default_rng(seed)
    parts = [4.0 * rng.standard_t(2, size=(rows, inputs.numbers)), rng.random((rows, inputs.plain))]
    parts += [rng.integers(0, size, (rows, 1)) for size in inputs.sizes]
    return np.concatenate(parts, axis=1).astype(np.float32)


def network(kind, classes, seed=0):
    """A network whose every parameter is random, as if it were trained."""
    inputs, architecture = KINDS[kind]
    y = np.random.default_rng(seed).integers(0, classes, 300) if classes else np.arange(300.0)
    rows = TableRows.of(matrix(inputs, 300), y, np.ones(300), classes)
    with torch_threads(1):
        made = network_for(rows, inputs, architecture, classes, seed)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=made.dice))
    return made.eval()


def run(model, x):
    import onnxruntime

    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def softmax(margins):
    e = np.exp(margins - margins.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("rows", [1, 2, 7, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_those_of_torch(kind, rows):
    made, x = network(kind, 3), matrix(KINDS[kind][0], rows, seed=1)
    with torch.inference_mode():
        wanted = averaged(made(torch.from_numpy(x)), 3).numpy()
    assert np.allclose(softmax(run(network_model(made, 3, 0.0, 0.0), x)), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 7, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_those_of_torch(kind, rows):
    made, x = network(kind, 0), matrix(KINDS[kind][0], rows, seed=1)
    with torch.inference_mode():
        wanted = averaged(made(torch.from_numpy(x)), 0).numpy()
    given = run(network_model(made, 0, -1e9, 1e9), x)
    assert given.shape == (rows, 1)
    assert np.allclose(given, wanted, rtol=1e-5, atol=1e-4 * np.abs(wanted).max())


def test_numbers_stay_within_their_limits():
    made, x = network("members", 0), matrix(MANY, 200, seed=1)
    free = run(network_model(made, 0, -1e9, 1e9), x)
    low, high = np.quantile(free, [0.25, 0.75])
    assert np.allclose(run(network_model(made, 0, low, high), x), np.clip(free, low, high))


def test_certainty_stays_finite():
    made = network("one member", 3)
    with torch.no_grad():
        made.heads.mul_(1e4)
    margins = run(network_model(made, 3, 0.0, 0.0), matrix(MANY, 50))
    assert np.isfinite(margins).all()
    assert np.allclose(softmax(margins).max(axis=1), 1.0)


def test_equal_networks_have_equal_bytes():
    first, second = (network_model(network("members", 3), 3, 0.0, 0.0) for _ in range(2))
    assert first == second
    assert network_model(network("members", 3, seed=1), 3, 0.0, 0.0) != first


def test_an_untrained_network_gives_the_frequencies():
    y = np.repeat([0, 1, 2], [60, 30, 10])
    rows = TableRows.of(matrix(MANY, 100), y, np.ones(100), 3)
    with torch_threads(1):
        made = network_for(rows, MANY, Architecture((8,), 2, 4), 3, 0).eval()
    said = softmax(run(network_model(made, 3, 0.0, 0.0), matrix(MANY, 5, seed=3)))
    assert np.allclose(said, [0.6, 0.3, 0.1], atol=0.01)
