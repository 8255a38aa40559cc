"""A loss that becomes NaN: that learner is stopped, what was good is kept, and the reason is given."""

from dataclasses import replace

import pytest
from tests.products import product

from volant.core import plugins
from volant.learners.tabular.boosted_trees import BoostedTrees


class Exploding(BoostedTrees):
    """Trees whose leaves become NaN after the first configuration."""

    fits = 0

    def fit(self, data, problem, options, context):
        model = super().fit(data, problem, options, context)
        Exploding.fits += 1
        if Exploding.fits > 8:
            model.trees.leaf_weight[:] = [float("nan")] * len(model.trees.leaf_weight)
        return replace(model)


def test_82_a_nan_stops_the_learner_and_keeps_the_last_good(tmp_path, monkeypatch):
    real = plugins.load
    monkeypatch.setattr("volant.core.plugins.load", lambda k, n: Exploding() if n == "boosted_trees" else real(k, n))
    handle = product(tmp_path, budget="40 units", extra='learners = ["boosted_trees"]\n')
    result = handle.train()
    failed = [e for e in result.leaderboard if e.status == "failed"]
    assert failed
    assert all("not finite" in e.reason for e in failed)
    assert result.promoted
    assert {s.metric: s.value for s in result.judged}["roc_auc"] > 0.95


class Heard:
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def stage(self, name, total=None): ...

    def advance(self, done, note=""): ...

    def say(self, text):
        self.lines.append(text)


def test_82_a_network_goes_back_to_its_last_good_weights_and_says_so(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from volant.neural.table_training import TableObjective

    real, calls = TableObjective.loss, []

    def loss(self, batch, progress):
        calls.append(1)
        return real(self, batch, progress) * (float("nan") if len(calls) % 90 == 0 else 1.0)

    monkeypatch.setattr(TableObjective, "loss", loss)
    heard = Heard()
    handle = product(tmp_path, budget="8 units", extra='learners = ["mlp"]\n')
    result = handle.train(progress=heard)
    assert any("back to the last good weights at half the rate" in line for line in heard.lines)
    assert result.promoted
    assert {s.metric: s.value for s in result.judged}["roc_auc"] > 0.9


def test_82_a_network_for_pictures_goes_back_too_and_ends_where_it_keeps_failing(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from tests.unit.learners.test_image_networks import fitted, right, rows

    from volant.core.protocols import RunContext
    from volant.neural.image.objective import ImageObjective

    real, calls, every = ImageObjective.loss, [], 25

    def loss(self, batch, progress):
        calls.append(1)
        return real(self, batch, progress) * (float("nan") if len(calls) % every == 0 else 1.0)

    monkeypatch.setattr(ImageObjective, "loss", loss)
    heard = Heard()
    runner, model = fitted(
        "cnn", rows(), tmp_path / "fit", rows(60, seed=5), RunContext(1, rows(60, seed=5), progress=heard)
    )
    assert model.facts()["falls"] == 2
    assert sum("back to the last good weights at half the rate" in line for line in heard.lines) == 2
    assert right(runner, rows(100, seed=9)) > 0.85
    every = 1
    runner, model = fitted("cnn", rows(), tmp_path / "bad", context=RunContext(seed=1, progress=heard))
    assert any("ends there: it keeps failing" in line for line in heard.lines)
    said = runner.predict(rows(20).batch(["picture"]))["probability"]
    assert abs(said.sum(axis=1) - 1.0).max() < 1e-5, "what is left is a network that answers"
