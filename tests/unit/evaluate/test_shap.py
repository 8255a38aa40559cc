"""Exact Shapley values of trees and linear maps are those of the definition, for columns and not for features."""

from __future__ import annotations

import itertools
import math

import numpy as np
import onnxruntime as ort
import pytest

from volant.bind import lightgbm
from volant.bind.onnx import Trees, linear_model, trees_model
from volant.bind.onnx_reader import GREATER, LESS, LESS_OR_EQUAL, MEMBER, TreeArrays, read_model
from volant.evaluate.shap import LinearShares, TreeShares

OWNER = np.array([0, 1, 2, 3, 0, 1])
"""Features 0 and 4 stem from one column, 1 and 5 from another."""


def matrix(rows, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 6)).astype(np.float32)
    x[:, 2] = rng.integers(0, 30, rows)
    x[rng.random(x.shape) < 0.1] = np.nan
    return x


def brute(value, x, background, owner, d):
    """Shapley values by their definition; `value` gives one number per row of a matrix."""
    worth = {}
    for size in range(d + 1):
        for coalition in itertools.combinations(range(d), size):
            worth[coalition] = value(np.where(np.isin(owner, coalition), x, background)).mean()
    found = np.zeros(d)
    for j in range(d):
        for coalition in worth:
            if j not in coalition:
                k = len(coalition)
                weight = math.factorial(k) * math.factorial(d - k - 1) / math.factorial(d)
                found[j] += weight * (worth[tuple(sorted((*coalition, j)))] - worth[coalition])
    return found


def walk(trees: TreeArrays, x, coefficients):
    """The weighted targets of each row, one node after the other."""
    places = np.cumsum(trees.mode == MEMBER) - 1
    compare = {LESS_OR_EQUAL: np.less_equal, LESS: np.less, GREATER: np.greater}
    out = np.zeros(len(x))
    for i, row in enumerate(x):
        for node in trees.roots:
            while True:
                value, mode = row[trees.feature[node]], trees.mode[node]
                if np.isnan(value):
                    held = trees.missing_true[node]
                elif mode == MEMBER:
                    held = value in trees.members[places[node]]
                else:
                    held = compare[mode](value, trees.split[node])
                ids, leaf = (trees.true_id, trees.true_leaf) if held else (trees.false_id, trees.false_leaf)
                if leaf[node]:
                    number = ids[node]
                    out[i] += trees.leaf_weight[number] * coefficients[trees.leaf_target[number]]
                    break
                node = ids[node]
    return out


@pytest.fixture(scope="module", params=[("binary", 2), ("multiclass", 3), ("regression", 0)], ids=lambda p: p[0])
def boosted(request, tmp_path_factory):
    """Trees on numbers with holes and on codes of categories, as a release holds them."""
    objective, classes = request.param
    x = matrix(1500, 0)
    y = np.nan_to_num(x[:, 0] * x[:, 1]) + (np.nan_to_num(x[:, 2]) % 5 > 2) + np.nan_to_num(x[:, 4])
    target = y if not classes else np.digitize(y, [0.5, 1.5][: classes - 1])
    params = {"objective": objective, "num_leaves": 12, "num_threads": 1, "seed": 0, "deterministic": True}
    params |= {"num_class": 3} if classes == 3 else {}
    part = lightgbm.Part(x, target, np.ones(len(x)))
    booster, rounds, *_ = lightgbm.train(
        params, part, None, categorical=[2], rounds=25, patience=10, seconds=float("inf")
    )
    path = tmp_path_factory.mktemp(objective) / "trees.onnx"
    path.write_bytes(trees_model(lightgbm.trees_of(booster, rounds, 6)))
    return path


def test_what_is_read_back_answers_as_the_file_does(boosted):
    trees, x = read_model(boosted), matrix(40, 3)
    margins = ort.InferenceSession(str(boosted)).run(None, {"x": x})[0]
    for target in range(trees.targets):
        assert walk(trees, x, np.eye(trees.targets)[target]) == pytest.approx(margins[:, target], abs=1e-5)


def test_shares_are_those_of_the_definition_and_add_up(boosted):
    trees, background = read_model(boosted), matrix(9, 1)
    coefficients = np.linspace(1.0, -0.5, trees.targets)
    shares = TreeShares(trees, OWNER, 4, background)
    for one in np.vstack([matrix(4, 2), np.full((1, 6), np.nan, np.float32)])[:, None]:
        wanted = brute(lambda rows: walk(trees, rows, coefficients), one, background, OWNER, 4)
        found = shares.shares(one, coefficients)
        assert found == pytest.approx(wanted, abs=1e-9)
        assert shares.base(coefficients) == pytest.approx(walk(trees, background, coefficients).mean())
        assert shares.output(one, coefficients) == pytest.approx(walk(trees, one, coefficients)[0])
        assert shares.base(coefficients) + found.sum() == pytest.approx(shares.output(one, coefficients), rel=1e-6)


def test_as_many_background_rows_as_a_mask_holds(boosted):
    trees, background, one = read_model(boosted), matrix(64, 5), matrix(1, 6)
    coefficients = np.ones(trees.targets)
    whole = TreeShares(trees, OWNER, 4, background).shares(one, coefficients)
    halves = [TreeShares(trees, OWNER, 4, part).shares(one, coefficients) for part in np.split(background, 2)]
    assert whole == pytest.approx(np.mean(halves, axis=0), abs=1e-12)
    with pytest.raises(ValueError, match="64"):
        TreeShares(trees, OWNER, 4, matrix(65, 5))


def hand_made() -> Trees:
    """A tree of every kind of step, and one that is a single leaf."""
    trees = Trees(width=2, targets=1)
    low, high, other = (trees.add_leaf(0, weight) for weight in (1.0, -2.0, 5.0))
    for mode, split in ((LESS, 0.0), (GREATER, 1.0), (MEMBER, 0.0)):
        outer, inner = trees.add_node(0, mode, split, False), trees.add_node(1, LESS_OR_EQUAL, 0.0, True)
        trees.roots.append(outer)
        if mode == MEMBER:
            trees.members.append([0.0, 3.0])
        trees.true_id[outer], trees.true_leaf[outer] = inner, 0
        trees.false_id[outer], trees.false_leaf[outer] = other, 1
        trees.true_id[inner], trees.true_leaf[inner] = low, 1
        trees.false_id[inner], trees.false_leaf[inner] = high, 1
    alone = trees.add_node(0, LESS_OR_EQUAL, 0.0, True)
    trees.roots.append(alone)
    trees.true_id[alone] = trees.false_id[alone] = trees.add_leaf(0, 0.25)
    trees.true_leaf[alone] = trees.false_leaf[alone] = 1
    return trees


def test_every_kind_of_comparison(tmp_path):
    (tmp_path / "t.onnx").write_bytes(trees_model(hand_made()))
    trees = read_model(tmp_path / "t.onnx")
    rows = np.array([[-1, -1], [0, 1], [3, 1], [2, -1], [np.nan, np.nan], [1, 0], [0.5, 2]], np.float32)
    answers = ort.InferenceSession(str(tmp_path / "t.onnx")).run(None, {"x": rows})[0][:, 0]
    assert walk(trees, rows, np.ones(1)) == pytest.approx(answers)
    shares = TreeShares(trees, np.array([0, 1]), 2, rows)
    for one in rows[:, None]:
        wanted = brute(lambda given: walk(trees, given, np.ones(1)), one, rows, np.array([0, 1]), 2)
        assert shares.shares(one, np.ones(1)) == pytest.approx(wanted)


def test_a_linear_map_has_the_shares_of_the_definition(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "l.onnx").write_bytes(linear_model(rng.normal(size=(6, 3)), rng.normal(size=3)))
    affine = read_model(tmp_path / "l.onnx")
    background, one = rng.normal(size=(8, 6)).astype(np.float32), rng.normal(size=(1, 6)).astype(np.float32)
    coefficients = np.array([1.0, -1.0, 0.5])
    shares = LinearShares(affine, OWNER, 4, background)
    wanted = brute(lambda x: (x @ affine.weights + affine.bias) @ coefficients, one, background, OWNER, 4)
    assert shares.shares(one, coefficients) == pytest.approx(wanted)
    assert shares.base(coefficients) + wanted.sum() == pytest.approx(shares.output(one, coefficients))


def test_a_model_of_several_steps_is_not_taken_for_one(tmp_path):
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
        "two",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
    )
    (tmp_path / "two.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    assert read_model(tmp_path / "two.onnx") is None
