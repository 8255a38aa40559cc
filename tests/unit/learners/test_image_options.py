"""Options of networks for pictures: each changes what it names, and is refused where it makes no sense."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch")

from tests.unit.learners.test_image_networks import CLASSES, fitted, problem, right, rows  # noqa: E402

from volant.core import plugins  # noqa: E402
from volant.core.clock import Machine  # noqa: E402
from volant.core.protocols import RunContext  # noqa: E402
from volant.errors import BadInput  # noqa: E402
from volant.learners.image import decoding  # noqa: E402
from volant.neural.image import compiled  # noqa: E402
from volant.neural.image.building import build  # noqa: E402
from volant.neural.image.design import Design, Recipe  # noqa: E402
from volant.neural.image.optimising import optimiser_of  # noqa: E402
from volant.neural.image.rows import ImageRows  # noqa: E402
from volant.search.given import settled, with_given  # noqa: E402
from volant.testing.rows import MemoryRows  # noqa: E402

MACHINE = Machine(cores=2, memory=8_000_000_000, disk=10_000_000_000)


class Heard:
    def __init__(self):
        self.lines = []

    def stage(self, name, total=None): ...

    def advance(self, done, note=""): ...

    def say(self, text):
        self.lines.append(text)


@pytest.mark.parametrize(
    "options",
    [
        {"optimiser": "sgd", "schedule": "cosine", "warm_up": 0.1},
        {"optimiser": "muon", "schedule": "linear", "average": 0.9},
        {"optimiser": "adamw", "schedule": "constant", "accumulate": 2, "clip": 1.0, "decay": 0.01},
    ],
    ids=lambda options: options["optimiser"],
)
def test_networks_learn_by_any_optimiser_and_schedule(tmp_path, options):
    runner, model = fitted("cnn", rows(), tmp_path / "fit", epochs=12, **options)
    assert right(runner, rows(100, seed=9)) > 0.8
    found = model.facts()["rate"]
    assert (found == 1e-3) == (options["optimiser"] == "adamw"), "another optimiser finds a rate of its own"


def test_the_quick_network_can_be_taught_otherwise(tmp_path):
    runner, model = fitted("convnet", rows(), tmp_path / "fit", widths="8,8,16", optimiser="adamw", epochs=12)
    assert right(runner, rows(100, seed=9)) > 0.8
    assert model.facts()["rate"] != 0.24


def test_training_ends_early_where_nothing_gets_better(tmp_path):
    found = rows(40, seed=5)
    swapped = pa.array([CLASSES[v == CLASSES[0]] for v in found.table(["label"]).column(0).to_pylist()])
    judges = MemoryRows.of(found.schema, found.table().set_column(1, "label", swapped))
    _, whole = fitted("cnn", rows(64), tmp_path / "whole", judges, epochs=20, batch=16)
    _, early = fitted("cnn", rows(64), tmp_path / "early", judges, epochs=20, batch=16, patience=0.05)
    assert early.facts()["epochs"] < whole.facts()["epochs"] == 20


def test_parts_of_a_batch_add_up_to_the_same_steps(tmp_path):
    once, _ = fitted("cnn", rows(64), tmp_path / "once", epochs=1)
    parts, _ = fitted("cnn", rows(64), tmp_path / "parts", epochs=1, accumulate=4)
    asked = rows(40, seed=3).batch(["picture"])
    np.testing.assert_allclose(once.predict(asked)["probability"], parts.predict(asked)["probability"], atol=2e-3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"optimiser": "adam"}, "adamw"),
        ({"schedule": "one cycle"}, "one_cycle"),
        ({"dropout": 1.5}, "at most 0.9"),
        ({"accumulate": 0}, "at least 1"),
        ({"augment": "flips"}, "no augmentation is called 'flips'"),
        ({"compile": 1}, "kind bool"),
    ],
)
def test_values_that_make_no_sense_are_refused_with_what_would(given, said):
    learner, asked = plugins.load("learners", "resnet"), problem(rows(10))
    with pytest.raises(BadInput, match="options of learners do not fit") as bad:
        with_given(learner.portfolio(asked), "resnet", given)
    assert said in str(bad.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute:UserWarning")
def test_compiled_steps_leave_the_same_network(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "BACKEND", "eager")
    plain, _ = fitted("cnn", rows(64), tmp_path / "plain", epochs=2, dropout=0.2)
    heard = Heard()
    context = RunContext(seed=1, progress=heard)
    quick, _ = fitted("cnn", rows(64), tmp_path / "quick", context=context, epochs=2, dropout=0.2, compile=True)
    assert not any("cannot be compiled" in line for line in heard.lines)
    asked = rows(40, seed=3).batch(["picture"])
    np.testing.assert_allclose(plain.predict(asked)["probability"], quick.predict(asked)["probability"], atol=1e-4)


def test_without_a_compiler_networks_learn_as_they_are_and_it_is_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(compiled, "BACKEND", refuse)
    heard = Heard()
    context = RunContext(seed=1, progress=heard)
    quick, _ = fitted("cnn", rows(64), tmp_path / "quick", context=context, epochs=2, compile=True)
    plain, _ = fitted("cnn", rows(64), tmp_path / "plain", epochs=2)
    assert any("cannot be compiled here" in line for line in heard.lines)
    asked = rows(40, seed=3).batch(["picture"])
    np.testing.assert_array_equal(plain.predict(asked)["probability"], quick.predict(asked)["probability"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute:UserWarning")
def test_the_compiler_of_torch_gives_the_same_network(tmp_path):
    heard = Heard()
    context = RunContext(seed=1, progress=heard)
    quick, _ = fitted("cnn", rows(64), tmp_path / "quick", context=context, epochs=2, compile=True)
    plain, _ = fitted("cnn", rows(64), tmp_path / "plain", epochs=2)
    if any("cannot be compiled" in line for line in heard.lines):
        pytest.skip("there is no compiler here")
    asked = rows(40, seed=3).batch(["picture"])
    np.testing.assert_allclose(plain.predict(asked)["probability"], quick.predict(asked)["probability"], atol=5e-3)


def test_pictures_that_fit_nowhere_are_decoded_when_they_are_needed(tmp_path, monkeypatch):
    whole, _ = fitted("convnet", rows(64), tmp_path / "whole", widths="8,8,16", epochs=3)
    monkeypatch.setattr(decoding, "IN_MEMORY", 1_000)
    mapped, _ = fitted("convnet", rows(64), tmp_path / "mapped", widths="8,8,16", epochs=3)
    monkeypatch.setattr(decoding, "fits_on_disk", lambda size: False)
    data = rows(64)
    assert not isinstance(decoding.decoder_for(rows(8), "picture").pixels(data, 2), np.ndarray)
    never, _ = fitted("convnet", data, tmp_path / "never", widths="8,8,16", epochs=3)
    asked = rows(40, seed=3).batch(["picture"])
    said = [runner.predict(asked)["probability"] for runner in (whole, mapped, never)]
    np.testing.assert_array_equal(said[0], said[1])
    np.testing.assert_array_equal(said[0], said[2])


def flops(design, height, width):
    """Operations of one picture's way through a network, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    pictures = np.random.default_rng(0).integers(0, 255, (8, height, width, 3)).astype(np.uint8)
    some = ImageRows.of(pictures, np.arange(8) % 2, np.ones(8), 2)
    network = build(design, some, 2, 0).eval()
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        network(torch.from_numpy(pictures))
    return counted.get_total_flops() / 8


@pytest.mark.parametrize("name", ["cnn", "resnet", "vit"])
@pytest.mark.parametrize("size", [(32, 32), (64, 64), (128, 96), (500, 375)])
def test_estimates_follow_the_work_that_pictures_of_a_size_make(name, size):
    from volant.learners.image.decoding import looked_at

    learner, asked = plugins.load("learners", name), replace(problem(rows(10)), rows=50_000, picture=size)
    options = learner.portfolio(asked)[0]
    widths = () if name == "cnn" else (options.width,)
    design = Design(name, widths, {"cnn": 2, "resnet": 18}.get(name) or options.depth)
    work = 3.0 * options.epochs * asked.rows * flops(design, *looked_at(asked)) / (6e10 * 2**0.9)
    assert learner.estimate(asked, MACHINE).seconds == pytest.approx(work, rel=0.5, abs=60)


def test_more_pixels_take_more_time_and_memory():
    learner, asked = plugins.load("learners", "resnet"), replace(problem(rows(10)), rows=10_000)
    small, large = (learner.estimate(replace(asked, picture=(n, n)), MACHINE) for n in (32, 80))
    assert large.seconds > 2 * small.seconds
    assert large.bytes >= small.bytes


def test_an_optimiser_moves_every_parameter_that_learns():
    pictures = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3)).astype(np.uint8)
    some = ImageRows.of(pictures, np.arange(8) % 2, np.ones(8), 2)
    for kind in ("adamw", "sgd", "muon"):
        network = build(Design("vit", (32,), 2), some, 2, 0)
        moved = optimiser_of(network, Recipe(1, 8, 1e-3, optimiser=kind)).parameters()
        assert sorted(map(id, moved)) == sorted(id(p) for p in network.parameters() if p.requires_grad)


def test_a_network_beside_the_product_file_is_found_from_anywhere(tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    from volant.bind.transformers import write_example

    (tmp_path / "product" / "weights").mkdir(parents=True)
    write_example(tmp_path / "product" / "weights")
    monkeypatch.chdir(tmp_path)
    given = {"backbone": {"source": "weights"}}
    learner = settled({"backbone": plugins.load("learners", "backbone")}, given, tmp_path / "product")["backbone"]
    data = rows(20)
    (options,) = {replace(each, tune="frozen") for each in learner.portfolio(problem(data))}
    assert options.source == "weights", "a product that was moved trains alike"
    learner.fit(data, problem(data), options, RunContext()).export(tmp_path)
    assert (tmp_path / "network.onnx").is_file()


def test_weights_of_the_quick_network_are_drawn_to_zero():
    held = ImageRows.of(np.zeros((40, 16, 16, 3), np.uint8), np.arange(40) % 2, np.ones(40), 2)
    network = build(Design("convnet", (8, 16)), held, 2, 0)
    optimiser = optimiser_of(network, Recipe(4, 20, 0.24, quick=True, l1=10.0))
    filters = network.body.groups[0].convolutions[0].weight
    filters.grad = torch.ones_like(filters)
    optimiser.step(0.0)
    assert (filters == 0).float().mean() > 0.9


@pytest.mark.parametrize(("epochs", "most"), [(3, 3), (40, 200)])
def test_passes_that_the_product_file_asks_for_hold_with_a_deadline_too(epochs, most):
    """What the learner itself would choose is a beginning; there may be time for more."""
    learner, data = plugins.load("learners", "convnet"), rows(20)
    options = replace(learner.portfolio(problem(data))[0], epochs=epochs)
    asked = learner.fitting(data, problem(data), options, RunContext(seconds=60.0))
    assert asked.recipe.epochs == most
