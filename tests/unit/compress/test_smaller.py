"""Smaller networks: channels cut where nothing else hangs on them, eight bits, and what a teacher can mend."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.unit.neural.image.test_networks import fitted, network, recipe, rows  # noqa: E402

from volant.bind.onnx_channels import links, without  # noqa: E402
from volant.bind.onnx_quantise import dynamic, static  # noqa: E402
from volant.bind.onnx_replay import Replay, Unplayable  # noqa: E402
from volant.compress.measure import Limits, Measured, best, judged  # noqa: E402
from volant.compress.tuning import Effort, Lessons, tuned, two_of_four  # noqa: E402
from volant.core.progress import Silent  # noqa: E402
from volant.neural.image.export import exported_network  # noqa: E402


@pytest.fixture(scope="module")
def taught():
    net = network("convnet")
    fitted(net, rows(), **vars(recipe("convnet")))
    return exported_network(net, rows(16).sample(16))


def said(model, pictures):
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": pictures})[0]


def right(model, n=256):
    judges = rows(n, seed=5)
    return float((said(model, judges.pictures).argmax(axis=1) == judges.targets.numpy().argmax(axis=1)).mean())


@pytest.mark.parametrize("name", ["convnet", "deep", "cnn", "resnet", "vit"])
def test_a_replay_says_what_the_model_says_and_knows_its_gradient(name):
    some = rows(6).sample(6)
    model = exported_network(network(name), some)
    replay = Replay(model)
    assert replay(some).detach().numpy() == pytest.approx(said(model, some.numpy()), abs=1e-3)
    replay(some).sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in replay.parameters() if p.grad is not None)
    assert said(replay.model(), some.numpy()) == pytest.approx(said(model, some.numpy()), abs=1e-5)


def test_a_model_of_trees_is_not_played():
    from volant.bind.onnx import Trees, trees_model

    trees = Trees(width=2, targets=1)
    trees.add_constant(0, 1.0)
    with pytest.raises(Unplayable):
        Replay(trees_model(trees))


def test_channels_are_cut_where_nothing_else_hangs_on_them(taught):
    assert len(links(taught)) == 7, "the first layer, and two in each of three groups"
    small = without(taught, 0.5)
    assert len(small) < 0.45 * len(taught)
    assert said(small, rows(3).pictures).shape == (3, 2)
    residual = exported_network(network("resnet"), rows(4).sample(4))
    assert 0 < len(links(residual)) < 20, "what is added to something else stays as wide as it is"
    assert len(without(residual, 0.5)) < len(residual)


def test_cutting_nothing_changes_nothing(taught):
    pictures = rows(5).pictures
    assert said(without(taught, 0.0), pictures) == pytest.approx(said(taught, pictures), abs=1e-6)


def test_the_dense_layer_behind_flat_maps_loses_the_right_numbers():
    model = exported_network(network("cnn"), rows(4).sample(4))
    link = [one for one in links(model) if one.dense and one.block > 1]
    assert [one.block for one in link] == [16]
    said(without(model, 0.3), rows(2).pictures)


def test_a_cut_network_learns_from_the_whole_one(taught):
    given = rows(256)
    lessons = Lessons((given.pictures,), given.targets.numpy().argmax(axis=1))
    cut = without(taught, 0.5)
    mended = tuned(cut, taught, lessons, Effort(epochs=20), Silent())
    again = tuned(cut, taught, lessons, Effort(epochs=20), Silent())
    assert mended == again
    assert right(mended) > max(0.9, right(cut) - 0.01)


def test_half_of_the_weights_stay_zero_while_the_others_learn(taught):
    given = rows(128)
    lessons = Lessons((given.pictures,), given.targets.numpy().argmax(axis=1))
    sparse = Replay(tuned(taught, taught, lessons, Effort(epochs=2), Silent(), two_of_four))
    wide = [sparse.weight(n).detach().numpy() for n in sparse.names() if sparse.weight(n).numel() >= 256]
    wide = [w.reshape(len(w), -1) for w in wide if w.ndim > 1]
    assert wide
    for weight in wide:
        fours = weight[:, : weight.shape[1] // 4 * 4].reshape(len(weight), -1, 4)
        assert int((fours != 0).sum(axis=2).max()) <= 2


def test_eight_bits_are_a_quarter_of_the_size_and_answer_alike(taught):
    pictures = rows(128).pictures
    small = static(taught, [{"x": pictures[i : i + 32]} for i in range(0, 128, 32)])
    assert right(small) >= right(taught) - 0.03
    assert np.mean(said(small, pictures).argmax(axis=1) == said(taught, pictures).argmax(axis=1)) > 0.97
    vit = exported_network(network("vit"), rows(4).sample(4))
    assert len(dynamic(vit)) < 0.6 * len(vit)
    said(dynamic(vit), pictures[:5])


def test_a_student_learns_what_a_larger_network_answers(monkeypatch):
    from volant.compress import students as of
    from volant.compress.networks import Network
    from volant.core.records import Step

    large = exported_network(network("resnet"), rows(4).sample(4))
    given = rows(256)
    teaching = Lessons((given.pictures,), given.targets.numpy().argmax(axis=1))
    monkeypatch.setattr(of, "BYTES", {widths: 1 for widths in of.WIDTHS})
    step = Network(Step("onnx", ("pixels",), "margin", {"output": "y"}, "network.onnx"), large)
    assert of.students(step, teaching) == of.WIDTHS
    flat = Lessons((np.zeros((3, 4), np.float32),), None)
    assert of.students(step, flat) == (), "only networks that look at pixels have such students"
    made, again = (of.student(step, teaching, (4, 8, 8), Effort(epochs=3), Silent()) for _ in range(2))
    assert made == again
    assert right(made) > 0.9


def several(n=256, seed=0):
    """Pictures that carry none, one or both of two labels; of some nobody has said the first."""
    given = rows(n, seed=seed)
    first = given.targets.numpy().argmax(axis=1)
    second = np.random.default_rng(seed).integers(0, 2, n)
    given.pictures[second == 1, :4, :4] = 255
    truth = np.stack([first, second], axis=1)
    truth[::7, 0] = -1
    return Lessons((given.pictures,), truth)


def test_labels_are_learned_one_by_one_and_nothing_from_silence():
    from volant.compress.tuning import distance

    told = torch.tensor([[2.0, -2.0], [0.0, 3.0]])
    truth = torch.tensor([[1, -1], [0, 1]])
    alike = distance(told, told, truth, "labels")
    assert distance(told + torch.tensor([1.0, 0.0]), told, truth, "labels") != alike
    other = torch.tensor([[1, -1], [0, 0]])
    assert distance(told, told, other, "labels") > alike, "a truth against the teacher"
    said = told.clone().requires_grad_()
    distance(said, told, torch.full((2, 2), -1), "labels").backward()
    assert float(said.grad.abs().max()) < 1e-6, "where nobody has said, the teacher is all there is"


def test_a_class_that_the_release_does_not_know_teaches_nothing():
    from volant.compress.tuning import distance

    told = torch.tensor([[2.0, -2.0], [0.0, 3.0]], requires_grad=True)
    loss = distance(told, told.detach(), torch.tensor([-1, -1]), "classes")
    loss.backward()
    assert torch.isfinite(loss)
    assert float(told.grad.abs().max()) < 1e-6


def test_a_student_of_several_labels_answers_each(monkeypatch):
    from volant.compress import students as of
    from volant.compress.networks import Network
    from volant.core.records import Step

    lessons = several()
    net = network("convnet")
    large = exported_network(net, rows(16).sample(16))
    step = Network(Step("onnx", ("pixels",), "margin", {"output": "y"}, "network.onnx"), large)
    truth = lessons.truth
    monkeypatch.setattr("volant.bind.onnx_torch.answers", lambda *_: np.where(truth < 0, 0, 8.0 * truth - 4.0))
    made = of.student(step, lessons, (4, 8, 8), Effort(epochs=3), Silent())
    found = said(made, lessons.inputs[0]) > 0
    known = truth >= 0
    assert np.mean((found == (truth == 1))[known]) > 0.8
    assert len(np.unique(found, axis=0)) > 2, "each label for itself"


def test_a_cut_network_of_several_labels_learns_them():
    lessons = several()
    model = exported_network(network("convnet"), rows(16).sample(16))
    made = tuned(without(model, 0.25), model, lessons, Effort(epochs=1), Silent())
    assert said(made, lessons.inputs[0][:3]).shape == (3, 2)


def measured(**changes):
    given = {
        "name": "int8",
        "size_bytes": 300,
        "latency_ms": 1.0,
        "faster": (1.5, 1.2, 1.8),
        "memory_mb": 3.0,
        "metric": 0.5,
        "difference": (0.0, -0.001, 0.001),
        "same": 1.0,
        "apart": 0.0,
        "steady": True,
    }
    return Measured(**{**given, **changes})


ORIGINAL = measured(name="as it is", size_bytes=1000, latency_ms=1.5, faster=(1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"difference": (0.0, -0.1, 0.1)}, "worse"),
        ({"difference": (0.0, float("nan"), 0.1)}, "worse"),
        ({"size_bytes": 990, "faster": (1.1, 0.9, 1.3)}, "neither"),
        ({"steady": False}, "batch"),
        ({"latency_ms": 9.0}, "longer"),
        ({"size_bytes": 600}, "larger"),
    ],
)
def test_what_is_not_measurably_better_is_not_shipped(changes, reason):
    limits = Limits(tolerance=0.02, latency_ms=5.0, size_mb=0.0005)
    found = judged(measured(**changes), limits, ORIGINAL)
    assert not found.fit
    assert reason in found.why


def test_the_smallest_and_quickest_is_chosen():
    limits = Limits(tolerance=0.02)
    fit = [judged(measured(name=str(size), size_bytes=size), limits, ORIGINAL) for size in (300, 200, 400)]
    assert best(fit).name == "200"
    assert best([]) is None
