"""Pairs of columns become features where they tell more than the columns one by one, and only there."""

import numpy as np
import pyarrow as pa
import pytest

from volant.core.plugins import load
from volant.core.records import Column, Schema
from volant.learners.tabular.features import encoded_features, linear_features
from volant.learners.tabular.pairs import Pairs, chosen_pairs
from volant.testing.rows import MemoryRows

WORDS = np.array(["a", "b", "c", "d"])


def rows(values, target, monotone=""):
    kinds = {name: "number" if np.asarray(v).dtype.kind == "f" else "category" for name, v in values.items()}
    kind = "number" if np.asarray(target).dtype.kind == "f" else "category"
    inputs = [Column(n, k, monotone=monotone if k == "number" else "") for n, k in kinds.items()]
    schema = Schema((*inputs, Column("y", kind, "target")))
    return MemoryRows.of(schema, pa.table({**values, "y": target}))


def problem_of(data):
    task = "regress" if data.schema["y"].type == "number" else "classify"
    return load("tasks", task).problem(data, "y", "rmse" if task == "regress" else "log_loss")


def pairs_of(data, words=()):
    codes = {n: np.searchsorted(WORDS, data.table([n]).column(0).to_pylist()).astype(float) for n in words}
    return chosen_pairs(data, problem_of(data), data.schema.inputs, codes, 0)


def drawn(seed=0, n=3_000):
    rng = np.random.default_rng(seed)
    numbers = {name: np.exp(rng.normal(size=n)) for name in ("length", "width", "height")}
    words = {name: WORDS[rng.integers(0, 4, n)] for name in ("colour", "shape")}
    return rng, numbers, words


def test_a_ratio_that_decides_is_found_and_helps_a_line():
    rng, numbers, _ = drawn()
    data = rows(numbers, np.log(numbers["length"] / numbers["width"]) + 0.1 * rng.normal(size=3_000))
    found = pairs_of(data)
    assert set(found.combined[0]) == {"length", "width"}
    plain, paired = (linear_features(data, problem_of(data), paired=on).matrix(data) for on in (False, True))
    y = data.batch(["y"])["y"]
    left = [np.linalg.lstsq(np.c_[x, np.ones(len(y))], y, rcond=None)[1][0] for x in (plain, paired)]
    assert left[1] < 0.75 * left[0]


def test_categories_that_decide_together_are_crossed():
    rng, numbers, words = drawn()
    same = (words["colour"] == words["shape"]) ^ (rng.random(3_000) < 0.05)
    data = rows({**numbers, **words}, np.where(same, "yes", "no"))
    assert [set(pair) for pair in pairs_of(data, words).crossed] == [{"colour", "shape"}]
    features = encoded_features(data, problem_of(data))
    x = features.train(data)
    assert max(abs(np.corrcoef(column, same)[0, 1]) for column in x.T if column.std() > 0) > 0.8
    assert "cross" in {step.op for step in features.steps}


def test_a_number_is_compared_with_its_group():
    rng, _, words = drawn()
    base = 40.0 * np.searchsorted(WORDS, words["colour"])
    price = base + rng.normal(size=3_000)
    data = rows({"price": price, **words}, np.where(price - base > 0, "dear", "cheap"))
    assert ("colour", "price") in pairs_of(data, words).grouped


@pytest.mark.parametrize("seed", range(8))
def test_where_columns_speak_one_by_one_no_pair_is_chosen(seed):
    rng, numbers, words = drawn(seed)
    y = numbers["length"] + 2.0 * (words["colour"] == "a") + rng.normal(size=3_000)
    assert pairs_of(rows({**numbers, **words}, y), words) == Pairs()


def test_columns_that_must_stay_monotone_and_tiny_data_are_left_alone():
    _, numbers, _ = drawn()
    y = np.log(numbers["length"] / numbers["width"])
    assert pairs_of(rows(numbers, y, monotone="increasing")) == Pairs()
    few = {name: values[:100] for name, values in numbers.items()}
    assert pairs_of(rows(few, y[:100])) == Pairs()


@pytest.mark.parametrize("wild", [np.inf, -np.inf, 1e300])
def test_numbers_that_are_no_float32_leave_means_of_groups_finite(wild):
    rng, _, words = drawn()
    base = 40.0 * np.searchsorted(WORDS, words["colour"])
    price = base + rng.normal(size=3_000)
    answer = np.where(price - base > 0, "dear", "cheap")
    price[::50] = wild
    data = rows({"price": price, **words}, answer)
    assert ("colour", "price") in pairs_of(data, words).grouped
    features = encoded_features(data, problem_of(data))
    assert np.isfinite(features.matrix(data)).all()
    assert all(np.isfinite(step.params["table"]).all() for step in features.steps if step.op == "lookup")


def test_one_row_has_the_same_features_alone_as_among_others():
    _, numbers, words = drawn()
    numbers["width"][::7] = np.nan
    same = (words["colour"] == words["shape"]) ^ (numbers["length"] > numbers["height"])
    data = rows({**numbers, **words}, np.where(same, "yes", "no"))
    for features in (encoded_features(data, problem_of(data)), linear_features(data, problem_of(data))):
        whole = features.matrix(data)
        assert {"combine", "cross"} & {step.op for step in features.steps}
        assert np.array_equal(features.matrix(data.take(np.array([7]))), whole[7:8], equal_nan=True)
        assert whole.shape[1] == features.width
