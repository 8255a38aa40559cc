"""Networks for pictures learn, are exported to the same answers, and go on after they were killed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from volant.core.progress import Silent  # noqa: E402
from volant.errors import Failure  # noqa: E402
from volant.neural.crew import Alone  # noqa: E402
from volant.neural.image import export  # noqa: E402
from volant.neural.image.cnn import Cnn  # noqa: E402
from volant.neural.image.convnet import ConvNet  # noqa: E402
from volant.neural.image.design import Augmentation, Recipe  # noqa: E402
from volant.neural.image.layers import Shape, begun_at, pixels_of  # noqa: E402
from volant.neural.image.network import Beside, ImageNetwork  # noqa: E402
from volant.neural.image.optimising import quick_head  # noqa: E402
from volant.neural.image.resnet import ResNet  # noqa: E402
from volant.neural.image.rows import ImageRows  # noqa: E402
from volant.neural.image.training import Circumstances, train  # noqa: E402
from volant.neural.image.vit import Vit  # noqa: E402
from volant.neural.image.whitening import Patches, directions  # noqa: E402
from volant.neural.loop import torch_threads  # noqa: E402


def pictures(n, side=16, channels=3, seed=0):
    """Bright bars on noise that lie (class 0) or stand (class 1), anywhere."""
    dice = np.random.default_rng(seed)
    x = dice.integers(0, 90, (n, side, side, channels)).astype(np.uint8)
    y = dice.integers(0, 2, n)
    for i in range(n):
        at = dice.integers(1, side - 2)
        if y[i]:
            x[i, :, at : at + 2] += 120
        else:
            x[i, at : at + 2] += 120
    return x, y


def rows(n=256, classes=2, beside=None, **options):
    x, y = pictures(n, **options)
    return ImageRows.of(x, y, np.ones(n), classes, beside)


def bodies(shape, dice):
    some = rows(64, side=shape.side, channels=shape.channels).sample(64)
    return {
        "convnet": lambda: ConvNet(pixels_of(some)(some), (8, 16, 16)),
        "deep": lambda: ConvNet(pixels_of(some)(some), (8, 8), depth=3),
        "cnn": lambda: Cnn(shape),
        "resnet": lambda: ResNet(shape.channels, shape.side, 18, width=4),
        "resnet50": lambda: ResNet(shape.channels, shape.side, 50, width=4),
        "vit": lambda: Vit(shape, dice, features=32, depth=2, skipped=0.1),
    }


def network(name, shape=None, outputs=2, beside=None, seed=0):
    shape = shape or Shape(16, 16)
    some = rows(64, side=shape.side, channels=shape.channels).sample(64)
    dice = torch.Generator().manual_seed(3)
    with begun_at(seed):
        found = ImageNetwork(pixels_of(some), bodies(shape, dice)[name](), outputs, beside, dice=dice)
        if name in ("convnet", "deep"):
            quick_head(found)
    return found


def recipe(name, **changes):
    quick = name in ("convnet", "deep")
    given = {"epochs": 5, "batch": 32, "rate": 0.1 if quick else 3e-3, "quick": quick, **changes}
    return Recipe(**given)


def fitted(net, given, held_out=None, kind="classes", folder=None, **plan):
    at = Circumstances(float("inf"), Silent(), folder, Alone())
    with torch_threads(1):
        return train(net, given, held_out, kind, Recipe(**plan), at)


@pytest.mark.parametrize("name", ["convnet", "cnn", "resnet", "vit"])
def test_it_learns_what_a_picture_shows(name):
    net, judges = network(name), rows(128, seed=9)
    epochs = {"vit": 16, "resnet": 8}.get(name, 5)
    fitted(net, rows(), judges, **vars(recipe(name, epochs=epochs, smoothing=0.1)))
    with torch.no_grad():
        said = net(judges.sample(128)).argmax(dim=1)
    found = float((said == judges.targets.argmax(dim=1)).float().mean())
    assert found > (0.62 if name == "vit" else 0.9), "a transformer needs more rows than there are here"


@pytest.mark.parametrize("name", ["convnet", "deep", "cnn", "resnet", "resnet50", "vit"])
def test_what_is_exported_says_the_same_for_any_number_of_rows(name):
    net = network(name).train()
    some = rows(40).sample(40)
    with torch.no_grad():
        for _ in range(3):
            net(some)  # the statistics of normalisation are no longer those it began with
    model = export.exported_network(net, some)
    assert model == export.exported_network(net, some), "equal networks have equal bytes"
    assert b"/src/" not in model


def test_a_picture_and_its_mirror_image_get_the_same_answer():
    net = network("convnet").eval()
    net.mirrored = True
    some = rows(12).sample(12)
    with torch.no_grad():
        assert net(some) == pytest.approx(net(some.flip(2)), abs=1e-5)
        assert net(some[:1]) == pytest.approx(net(some)[:1], abs=1e-5)
    export.exported_network(net, some)


def test_an_export_that_says_something_else_is_refused(monkeypatch):
    monkeypatch.setattr(export, "apart", lambda *given: float("nan"))
    with pytest.raises(Failure, match="disagree"):
        export.exported_network(network("cnn"), rows(8).sample(8))


def test_an_export_that_errs_in_large_batches_alone_is_refused(monkeypatch):
    real = export.apart
    monkeypatch.setattr(export, "apart", lambda *given: real(*given) if given[3] == export.SIZES else float("nan"))
    with pytest.raises(Failure, match="disagree"):
        export.exported_network(network("cnn"), rows(8).sample(8))


@pytest.mark.parametrize("side", [8, 9, 28, 64, 150, 224])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_quick_network_takes_pictures_of_any_size(side, channels):
    net = network("convnet", Shape(side, side, channels))
    given = rows(4, side=side, channels=channels)
    assert net.eval()(given.sample(4)).shape == (4, 2)


def test_columns_beside_a_picture_are_used():
    dice = np.random.default_rng(0)
    beside = dice.normal(size=(256, 3)).astype(np.float32)
    x, _ = pictures(256)
    y = (beside[:, 1] > 0).astype(np.int64)
    given = ImageRows.of(x, y, np.ones(256), 2, beside)
    with begun_at(0):
        net = ImageNetwork(pixels_of(given.sample(64)), Cnn(Shape(16, 16)), 2, Beside(3, 16), dice=torch.Generator())
    fitted(net, given, **vars(recipe("cnn", epochs=10)))
    said = net(given.sample(256), given.beside).argmax(dim=1).numpy()
    assert (said == y).mean() > 0.95
    export.exported_network(net, given.sample(16), given.beside[:16])


def test_numbers_and_several_labels_are_learned_too():
    x, y = pictures(256)
    number = ImageRows.of(x, y * 2.0 - 1.0, np.ones(256), 0)
    net = network("cnn", outputs=1)
    fitted(net, number, kind="number", **vars(recipe("cnn", epochs=8)))
    with torch.no_grad():
        assert float(((net(number.sample(256)) - number.targets) ** 2).mean()) < 0.3
    labels = ImageRows(x, torch.from_numpy(np.stack([y, 1 - y, y], axis=1)).float(), torch.ones(256))
    net = network("cnn", outputs=3)
    fitted(net, labels, kind="labels", **vars(recipe("cnn", epochs=8)))
    assert float(((net(labels.sample(256)) > 0) == (labels.targets > 0.5)).float().mean()) > 0.9


@pytest.mark.parametrize("name", ["convnet", "vit"])
def test_a_killed_training_goes_on_to_the_same_network(tmp_path, monkeypatch, name):
    from volant.neural import means

    how = Augmentation(("crop", "flip", "randaugment", "erase", "mixup"))
    plan = vars(recipe(name, epochs=3, average=0.9, augmentation=how))
    whole = network(name)
    fitted(whole, rows(), rows(64, seed=4), folder=tmp_path / "whole", **plan)
    monkeypatch.setattr(means, "SECONDS", 0.0)
    monkeypatch.setattr(means.Keeper, "is_due", lambda self, steps: True)
    kill = Killing(14)
    monkeypatch.setattr("volant.neural.image.training.ImageObjective.loss", kill.loss)
    with pytest.raises(KeyboardInterrupt):
        fitted(network(name), rows(), rows(64, seed=4), folder=tmp_path / "cut", **plan)
    kill.left = 10_000
    resumed = network(name)
    fitted(resumed, rows(), rows(64, seed=4), folder=tmp_path / "cut", **plan)
    assert kill.left > 10_000 - 24
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    assert (tmp_path / "cut" / "curves.svg").is_file()


class Killing:
    """The loss of an objective, until it is called once too often."""

    def __init__(self, left):
        from volant.neural.image.objective import ImageObjective

        kind, real = self, ImageObjective.loss
        self.left = left

        def loss(objective, batch, progress):
            kind.left -= 1
            if kind.left < 0:
                raise KeyboardInterrupt
            return real(objective, batch, progress)

        self.loss = loss


def test_the_first_layer_makes_patches_uncorrelated():
    some = rows(200, side=20).sample(200)
    scaled = pixels_of(some)(some)
    filters = directions(scaled, Patches(2, 1))
    half = filters[: len(filters) // 2]
    seen = torch.nn.functional.conv2d(scaled, half).permute(1, 0, 2, 3).flatten(1)
    spread = seen @ seen.T / seen.shape[1]
    assert spread == pytest.approx(torch.eye(len(half)), abs=0.1)
    assert torch.equal(filters[len(half) :], -half)


def test_grey_pictures_have_no_filters_for_colour():
    grey = rows(100, channels=1).sample(100).repeat(1, 1, 1, 3)
    assert len(directions(pixels_of(grey)(grey), Patches(2, 1))) == 8


def test_weights_that_begin_at_a_seed_are_the_same_whatever_torch_drew_before():
    first = network("resnet").state_dict()
    torch.rand(17)
    second = network("resnet").state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_two_processes_train_one_network(tmp_path, monkeypatch):
    pytest.importorskip("accelerate")
    from volant.neural.image.building import build
    from volant.neural.image.crewed import train_together
    from volant.neural.image.design import Design

    monkeypatch.setenv("VOLANT_PROCESSES", "2")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    given, judges, design = rows(), rows(64, seed=4), Design("convnet", (8, 16))
    net = build(design, given, 2, seed=0)
    job = {"design": design, "recipe": recipe("convnet"), "outputs": 2, "kind": "classes", "seed": 0}
    job |= {"seconds": float("inf"), "threads": 2}
    found = train_together(net, given, judges, job, tmp_path, Silent())
    assert found.epochs == 5
    with torch.no_grad():
        said = net.eval()(judges.sample(64)).argmax(dim=1)
    assert float((said == judges.targets.argmax(dim=1)).float().mean()) > 0.85
    state = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    job["recipe"] = replace(job["recipe"], epochs=1, slower=1e-6)
    fresh = build(design, given, 2, seed=1)
    train_together(fresh, given, judges, job, tmp_path / "later", Silent(), state)
    assert torch.allclose(fresh.head.weight, net.head.weight, atol=1e-3), "they go on from what they are given"
