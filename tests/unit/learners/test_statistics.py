"""Target statistics: out of fold for the rows that they come from, known categories for all others."""

import numpy as np
import pyarrow as pa

from volant.core.plugins import load
from volant.core.records import Column, Schema
from volant.learners.tabular import selection
from volant.learners.tabular.features import encoded_features
from volant.testing.rows import MemoryRows

SCHEMA = Schema((Column("city", "category"), Column("note", "text"), Column("y", "category", "target")))


def rows(cities, targets, notes=None):
    table = {"city": pa.array(cities), "note": pa.array(notes or [None] * len(cities), pa.string())}
    return MemoryRows.of(SCHEMA, pa.table({**table, "y": pa.array(targets)}))


def problem_of(data):
    return load("tasks", "classify").problem(data, "y", "log_loss")


def noise(n=400, seed=0):
    """Forty categories of ten rows and a target that has nothing to do with them."""
    rng = np.random.default_rng(seed)
    return rows([f"c{i % 40}" for i in range(n)], rng.choice(["no", "yes"], n).tolist())


def test_statistics_of_training_rows_do_not_give_their_targets_away():
    data = noise()
    problem = problem_of(data)
    features = encoded_features(data, problem)
    target = load("tasks", "classify").encode(data, problem)
    fitted, known = (x[:, 0] for x in (features.train(data), features.matrix(data)))
    assert abs(np.corrcoef(fitted, target)[0, 1]) < 0.15
    assert np.corrcoef(known, target)[0, 1] > 0.15


def test_categories_that_matter_are_told_apart_in_serving():
    cities = ["rome", "oslo", "lima"] * 100
    data = rows(cities, ["yes" if c == "rome" else "no" for c in cities])
    features = encoded_features(data, problem_of(data))
    fresh = rows(["rome", "oslo", "nowhere", None], ["no"] * 4)
    x = features.matrix(fresh)
    assert x.shape[1] == features.width
    place = features.learned[0][0]
    assert x[0, place] > 0.8
    assert x[1, place] < 0.2
    assert x[1, place] < x[2, place] < x[0, place]
    assert np.isfinite(x[:, : place + 2]).all()


def test_words_that_matter_are_kept():
    notes = ["the parcel came broken", "all went very well"] * 100
    data = rows(["a"] * 200, ["yes", "no"] * 100, notes)
    step = next(s for s in encoded_features(data, problem_of(data)).steps if s.op == "grams")
    assert 0 < len(step.params["keep"]) <= 128
    assert len(step.params["weight"]) == len(step.params["keep"])


def test_grams_are_scored_alike_some_at_a_time(monkeypatch):
    rng = np.random.default_rng(0)
    grams, classes = rng.integers(0, 300, 5_000), rng.integers(0, 7, 5_000)
    wanted = np.bincount(classes, minlength=7) / 5_000
    whole = selection._chi_square(grams, classes, 320, wanted)
    monkeypatch.setattr(selection, "MOST_CELLS", 50)
    assert (selection._chi_square(grams, classes, 320, wanted) == whole).all()
    assert (whole[300:] == 0).all()
    assert whole[:300].max() > 0
