"""Learners for pictures: sizes, mirrors, columns beside, deadlines, kills, pretrained networks."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch")

from PIL import Image  # noqa: E402

from volant.core import plugins  # noqa: E402
from volant.core.progress import Silent  # noqa: E402
from volant.core.protocols import Earlier, RunContext  # noqa: E402
from volant.core.records import Column, Problem, Schema  # noqa: E402
from volant.errors import BadInput  # noqa: E402
from volant.learners.image.decoding import decoder_for  # noqa: E402
from volant.neural.image.symmetry import mirror_keeps  # noqa: E402
from volant.runtime.load import Runner  # noqa: E402
from volant.search.given import settled, with_given  # noqa: E402
from volant.search.portfolio import plan  # noqa: E402
from volant.testing.rows import MemoryRows  # noqa: E402

CLASSES = ("lying", "standing")


def png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def bars(n, seed=0, size=(16, 16), grey=False):
    """Bars that lie or stand on noise."""
    dice = np.random.default_rng(seed)
    files, labels = [], []
    for _ in range(n):
        x = dice.integers(0, 90, (*size, 3)).astype(np.uint8)
        if grey:
            x[:] = x[..., :1]
        standing, at = bool(dice.integers(2)), dice.integers(1, min(size) - 2)
        if standing:
            x[:, at : at + 2] += 120
        else:
            x[at : at + 2] += 120
        files.append(png(x))
        labels.append(CLASSES[standing])
    return files, labels


def rows(n=160, seed=0, numbers=None, **options):
    files, labels = bars(n, seed, **options)
    columns = [Column("picture", "image"), Column("label", "category", "target")]
    table = {"picture": pa.array(files, pa.large_binary()), "label": pa.array(labels)}
    if numbers is not None:
        columns.insert(1, Column("size", "number"))
        table["size"] = pa.array(numbers)
    return MemoryRows.of(Schema(tuple(columns)), pa.table({c.name: table[c.name] for c in columns}))


def colours(n, seed=0):
    """Pictures that are red or blue: what a network with weights of no meaning can tell apart, too."""
    dice = np.random.default_rng(seed)
    kinds = dice.integers(0, 2, n)
    pictures = dice.integers(0, 120, (n, 16, 16, 3)).astype(np.uint8)
    pictures[np.arange(n), ..., 2 * kinds] += 130
    schema = Schema((Column("picture", "image"), Column("label", "category", "target")))
    files = pa.array([png(picture) for picture in pictures], pa.large_binary())
    return MemoryRows.of(schema, pa.table({"picture": files, "label": pa.array([CLASSES[k] for k in kinds])}))


def problem(data, classes=CLASSES):
    return Problem("classify", "label", data.schema.inputs, len(data), classes, "log_loss")


def fitted(name, data, folder, judges=None, context=None, **options):
    learner, asked = plugins.load("learners", name), problem(data)
    chosen = replace(learner.portfolio(asked)[0], **options)
    context = context or RunContext(seed=1, validation=judges)
    model = learner.fit(data, asked, chosen, context)
    folder.mkdir(exist_ok=True)
    return Runner(model.export(folder), folder), model


def right(runner, data):
    said = runner.predict(data.batch([c.name for c in data.schema.inputs]))["probability"].argmax(axis=1)
    truth = np.array([CLASSES.index(v) for v in data.table(["label"]).column(0).to_pylist()])
    return float((said == truth).mean())


@pytest.mark.parametrize("name", ["convnet", "cnn", "resnet"])
def test_it_learns_and_serves_without_torch(tmp_path, name):
    runner, model = fitted(name, rows(), tmp_path / "fit", rows(60, seed=5))
    assert right(runner, rows(100, seed=9)) > 0.85
    assert model.facts()["side"] == 16


def test_a_rate_is_found_where_none_is_given(tmp_path):
    runner, model = fitted("cnn", rows(), tmp_path / "fit", rate=0.0, dropout=0.2, l1=1e-4, epochs=12)
    assert 1e-5 < model.facts()["rate"] < 0.1
    assert right(runner, rows(100, seed=9)) > 0.8


def test_with_a_deadline_it_ends_in_time_with_a_network_that_fits(tmp_path):
    context = RunContext(seed=1, seconds=8.0, validation=rows(40, seed=3))
    runner, model = fitted("convnet", rows(), tmp_path / "fit", context=context)
    assert right(runner, rows(60, seed=9)) > 0.0, "how much it learns depends on how busy the machine is"
    assert model.facts()["epochs"] > 0
    assert min(model.facts()["widths"]) >= 16


@pytest.mark.parametrize(
    ("size", "shape"),
    [((28, 28), (28, 28, 3)), ((112, 92), (112, 92, 3)), ((8, 8), (8, 8, 3)), ((600, 400), (192, 128, 3))],
)
def test_pictures_keep_their_size_or_come_to_a_fitting_one(size, shape):
    assert decoder_for(rows(3, size=size), "picture").shape == shape


def test_pictures_of_many_sizes_become_squares_and_grey_ones_stay_grey():
    mixed = pa.array([*bars(3, size=(60, 90))[0], *bars(3, size=(100, 70))[0]], pa.large_binary())
    data = rows(6)
    columns = data.columns.set_column(0, "picture", mixed)
    assert decoder_for(MemoryRows.of(data.schema, columns), "picture").shape == (64, 64, 3)
    assert decoder_for(rows(5, grey=True), "picture").shape == (16, 16, 1)


def test_mirrors_are_allowed_where_they_mean_the_same():
    dice = np.random.default_rng(0)
    y = dice.integers(0, 2, 400)
    x = dice.integers(0, 60, (400, 12, 12, 3)).astype(np.uint8)
    x[y == 1, :, :4] += 150
    assert not mirror_keeps(x, y), "left and right tell the classes apart"
    x = dice.integers(0, 60, (400, 12, 12, 3)).astype(np.uint8)
    x[y == 1, :4] += 150
    assert mirror_keeps(x, y)


def test_columns_beside_the_picture_count(tmp_path):
    files = rows(200).columns.column("picture")
    numbers = np.random.default_rng(0).normal(size=200)
    labels = pa.array([CLASSES[int(v > 0)] for v in numbers])
    schema = Schema((Column("picture", "image"), Column("size", "number"), Column("label", "category", "target")))
    data = MemoryRows.of(schema, pa.table({"picture": files, "size": pa.array(numbers), "label": labels}))
    runner, _ = fitted("cnn", data, tmp_path / "fit", epochs=30)
    assert right(runner, data) > 0.9


def test_missing_pictures_are_answered(tmp_path):
    runner, _ = fitted("cnn", rows(), tmp_path / "fit")
    said = runner.predict({"picture": np.array([None, None], dtype=object)})["probability"]
    assert np.isfinite(said).all()


def test_a_killed_fit_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    from volant.neural import means
    from volant.neural.image.objective import ImageObjective

    monkeypatch.setattr(means.Keeper, "is_due", lambda self, steps: True)
    whole = RunContext(seed=1, folder=tmp_path / "whole-learning")
    fitted("convnet", rows(), tmp_path / "whole", context=whole, epochs=4)
    real, left = ImageObjective.loss, [9]

    def loss(self, batch, progress):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return real(self, batch, progress)

    monkeypatch.setattr(ImageObjective, "loss", loss)
    cut = RunContext(seed=1, folder=tmp_path / "cut-learning")
    with pytest.raises(KeyboardInterrupt):
        fitted("convnet", rows(), tmp_path / "cut", context=cut, epochs=4)
    fitted("convnet", rows(), tmp_path / "cut", context=cut, epochs=4)
    assert (tmp_path / "cut" / "network.onnx").read_bytes() == (tmp_path / "whole" / "network.onnx").read_bytes()
    assert (tmp_path / "cut-learning" / "curves.svg").is_file()


@pytest.mark.parametrize(
    "kind", ["convnext", *[pytest.param(kind, marks=pytest.mark.slow) for kind in ("vit", "dinov2")]]
)
def test_a_pretrained_network_from_a_folder(tmp_path, kind):
    pytest.importorskip("transformers")
    from volant.bind.transformers import write_example

    (tmp_path / "weights").mkdir()
    write_example(tmp_path / "weights", kind)
    source = str(tmp_path / "weights")
    runner, _ = fitted("backbone", colours(120), tmp_path / "fit", colours(40, seed=3), source=source)
    assert right(runner, colours(60, seed=9)) > 0.9


@pytest.mark.parametrize("tune", ["layers", pytest.param("lora", marks=pytest.mark.slow)])
def test_a_pretrained_network_is_tuned(tmp_path, tune):
    pytest.importorskip("peft")
    from volant.bind.transformers import write_example

    (tmp_path / "weights").mkdir()
    write_example(tmp_path / "weights")
    options = {"source": str(tmp_path / "weights"), "tune": tune, "epochs": 2}
    first, _ = fitted("backbone", colours(120), tmp_path / "first", **options)
    fitted("backbone", colours(120), tmp_path / "second", **options)
    names = ("first", "second")
    assert len({(tmp_path / name / "network.onnx").read_bytes() for name in names}) == 1
    assert right(first, colours(60, seed=9)) > 0.9


@pytest.mark.parametrize("grey", [False, True], ids=["colours", "grey"])
def test_a_network_goes_on_from_the_weights_of_an_earlier_one(tmp_path, grey):
    """After few rows and epochs it tells little; it gets better from there, and what was computed stays as it was."""
    options = {"widths": "8,16,16", "batch": 32, "epochs": 3, "views": 1}
    runner, model = fitted("convnet", rows(48, grey=grey), tmp_path / "first", **options)
    learner, more = plugins.load("learners", "convnet"), rows(320, seed=4, grey=grey)
    made = [gone_on("convnet", model, more, tmp_path / name, options) for name in ("one", "again")]
    assert right(made[0][0], rows(100, seed=9, grey=grey)) > right(runner, rows(100, seed=9, grey=grey))
    assert learner.ways == ("warm",)
    later, earlier = made[0][1].learned, model.learned
    assert np.array_equal(later.state["body.whiten.weight"], earlier.state["body.whiten.weight"])
    assert later.design == earlier.design
    assert later.epochs == earlier.epochs, "how long it learned at first, however often it goes on"
    assert len({(tmp_path / name / "network.onnx").read_bytes() for name in ("one", "again")}) == 1
    kept = {path.name for path in (tmp_path / "one-kept").iterdir()}
    assert kept == {"network.safetensors", "network.json"}


def gone_on(name, model, data, folder, options):
    """A fit that goes on from a model."""
    learner, kept, before = plugins.load("learners", name), Path(f"{folder}-kept"), Path(f"{folder}-before")
    for place in (folder, kept, before):
        place.mkdir()
    learner.keep(model, kept)
    chosen = replace(learner.portfolio(problem(data))[0], **options)
    earlier = Earlier(model.export(before), kept, "warm")
    found = learner.resume(earlier, data, problem(data), chosen, RunContext(seed=2))
    return Runner(found.export(folder), folder), found


def test_a_network_goes_on_with_the_columns_beside_the_picture(tmp_path):
    numbers = np.random.default_rng(0).normal(size=120)
    labels = pa.array([CLASSES[int(v > 0)] for v in numbers])
    data = rows(120, numbers=numbers)
    data = MemoryRows.of(data.schema, data.columns.set_column(2, "label", labels))
    _, model = fitted("cnn", data, tmp_path / "fit", epochs=20)
    runner, _ = gone_on("cnn", model, data, tmp_path / "later", {"epochs": 20})
    assert right(runner, data) > 0.9


@pytest.mark.parametrize(
    "tune", ["frozen", *[pytest.param(tune, marks=pytest.mark.slow) for tune in ("layers", "lora")]]
)
def test_a_pretrained_network_goes_on(tmp_path, tune):
    pytest.importorskip("peft")
    from volant.bind.transformers import write_example

    (tmp_path / "weights").mkdir()
    write_example(tmp_path / "weights")
    options = {"source": str(tmp_path / "weights"), "tune": tune, "epochs": 2}
    _, model = fitted("backbone", colours(60), tmp_path / "first", **options)
    runner, found = gone_on("backbone", model, colours(120, seed=2), tmp_path / "later", options)
    assert right(runner, colours(60, seed=9)) > 0.9
    held = [name.startswith("body.") for name in found.learned.state]
    assert not any(held) if tune == "frozen" else any(held), "what the source has is not kept again"


@pytest.mark.parametrize("content", [None, '{"model_type": "vit", "auto_map": {"AutoModel": "evil.Model"}}'])
def test_a_network_that_cannot_be_opened_is_an_error_with_its_place(tmp_path, content):
    pytest.importorskip("transformers")
    if content is not None:
        (tmp_path / "config.json").write_text(content)
        (tmp_path / "evil.py").write_text("raise SystemExit('code was run')")
    with pytest.raises(BadInput, match="pretrained") as caught:
        fitted("backbone", rows(20), tmp_path / "fit", source=str(tmp_path), side=16)
    assert caught.value.code == "source-missing"


def test_what_a_head_on_frozen_features_does_not_heed_is_told(tmp_path):
    pytest.importorskip("transformers")
    from volant.bind.transformers import write_example

    said = []

    class Told(Silent):
        def say(self, text):
            said.append(text)

    write_example(tmp_path)
    learner = plugins.load("learners", "backbone")
    for given in ({}, {"epochs": 9, "clip": 0.5}, {"epochs": 9, "tune": "lora"}):
        options = learner.options(source=str(tmp_path), **given)
        learner.fitting(rows(4), problem(rows(4)), options, RunContext(progress=Told()))
    assert said == ["backbone: features stay as they are, which does not heed clip, epochs"]


def test_without_a_source_the_backbone_says_what_it_lacks():
    asked = problem(rows(20))
    trials = plan({"backbone": plugins.load("learners", "backbone")}, asked, lambda learner: 1.0)
    assert [t.status for t in trials] == ["unsupported"]
    assert "source" in trials[0].reason


def test_options_of_the_product_file_replace_those_of_the_portfolio():
    learner, asked = plugins.load("learners", "convnet"), problem(rows(20))
    given = with_given(learner.portfolio(asked), "convnet", {"augment": "strong", "epochs": 3})
    assert [(o.augment, o.epochs) for o in given] == [("strong", 3)]
    with pytest.raises(BadInput, match="epoch") as caught:
        with_given(learner.portfolio(asked), "convnet", {"epoks": 3})
    assert caught.value.troubles[0].meant == "epochs"
    with pytest.raises(BadInput, match="kind int"):
        with_given(learner.portfolio(asked), "convnet", {"epochs": "many"})
    assert math.isclose(with_given(learner.portfolio(asked), "convnet", {"rate": 1})[0].rate, 1.0)


def test_settled_options_are_not_tuned():
    learner, asked = plugins.load("learners", "convnet"), problem(rows(20))
    given = settled({"convnet": learner}, {"convnet": {"augment": "strong"}})["convnet"]
    assert {options.augment for options in given.portfolio(asked)} == {"strong"}
    assert "augment" not in given.space(asked)
    assert "rate" in given.space(asked)
    assert given.name == "convnet"
