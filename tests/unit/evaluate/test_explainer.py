"""A release is explained exactly where its models add up, and honestly otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from volant.core.plugins import load
from volant.core.protocols import RunContext
from volant.core.records import Column, Pipeline, Schema, Step
from volant.data.profile import profile
from volant.errors import BadInput
from volant.evaluate.background import as_batch, background_of, typical_rows
from volant.evaluate.explainer import EXACT, SAMPLED, SURROGATE, Explainer
from volant.evaluate.mixing import Mixing
from volant.learners.tabular.boosted_trees import BoostedTrees, BoostedTreesOptions
from volant.learners.tabular.leaves import LeafModel
from volant.learners.tabular.linear import Linear, LinearOptions
from volant.learners.tabular.prior import Prior, PriorOptions
from volant.release.export import Part, combine
from volant.release.signature import signature_of
from volant.runtime.load import Release, Runner
from volant.testing.rows import MemoryRows

SCHEMA = Schema(
    (
        Column("size", "number"),
        Column("shape", "category"),
        Column("open", "boolean"),
        Column("made", "timestamp"),
        Column("note", "text"),
        Column("y", "category", "target"),
    )
)


def rows(task, classes=2, n=400, seed=0):
    rng = np.random.default_rng(seed)
    size, shape = rng.normal(size=n), rng.integers(0, 4, n)
    score = size + (shape < 2) * (1 + size) + rng.normal(size=n) * 0.3
    columns = {
        "size": pa.array(np.where(rng.random(n) < 0.1, np.nan, size), from_pandas=True),
        "shape": pa.array([f"s{i}" for i in shape]),
        "open": pa.array((shape % 2).astype(bool)),
        "made": pa.array(np.datetime64("2024-01-01", "us") + rng.integers(0, 700, n) * np.timedelta64(1, "D")),
        "note": pa.array(["some words " * int(i) for i in shape]),
        "y": pa.array(score) if task == "regress" else pa.array([f"c{i}" for i in np.digitize(score, [0.5, 2])]),
    }
    if task == "classify" and classes == 2:
        columns["y"] = pa.array(["no" if v < 0.5 else "yes" for v in score])
    kind = "number" if task == "regress" else "category"
    return MemoryRows.of(Schema((*SCHEMA.columns[:-1], Column("y", kind, "target"))), pa.table(columns))


def release(folder, task="classify", classes=2, learners=("trees",), temperature=1.0, factors=None, rename="size"):
    """A release of one model or of several, as the export stage makes it."""
    data = rows(task, classes)
    renamed = (replace(data.schema.columns[0], name=rename), *data.schema.columns[1:])
    data = MemoryRows.of(Schema(renamed), data.columns.rename_columns([c.name for c in renamed]))
    kind = load("tasks", task)
    problem = kind.problem(data, "y", kind.default_metric)
    parts = []
    for place, name in enumerate(learners):
        learner, options = {
            "trees": (BoostedTrees(), BoostedTreesOptions(rounds=12, leaves=8, min_leaf=5)),
            "others": (BoostedTrees(), BoostedTreesOptions(rounds=9, leaves=4, min_leaf=5, learning_rate=0.2)),
            "forest": (BoostedTrees(), BoostedTreesOptions(rounds=12, leaves=8, min_leaf=5)),
            "linear": (Linear(), LinearOptions()),
            "prior": (Prior(), PriorOptions()),
        }[name]
        own = folder / f"fit{place}"
        own.mkdir()
        model = learner.fit(data, problem, options, RunContext())
        parts.append(Part((as_forest(model) if name == "forest" else model).export(own), own, 1.0 + place))
    pipeline = combine(parts, kind.output, folder)
    if temperature != 1.0:
        step = Step("temperature", (pipeline.outputs["probability"],), "calibrated", {"value": temperature})
        pipeline = replace(pipeline, steps=(*pipeline.steps, step), outputs={"probability": "calibrated"})
    if factors is not None:
        step = Step("reweigh", (pipeline.outputs["probability"],), "reweighed", {"factors": factors})
        pipeline = replace(pipeline, steps=(*pipeline.steps, step), outputs={"probability": "reweighed"})
    facts = profile(data)
    made = Release("d" * 64, folder, signature_of(problem, facts), Runner(pipeline, folder), facts)
    batch = data.batch([field.name for field in made.signature.inputs])
    answer = made.predict(batch)[kind.output]
    typical = typical_rows(
        batch, answer if answer.ndim == 1 else answer[:, 0], {c.name: c.type for c in problem.inputs}
    )
    return made, {name: values[:3] for name, values in batch.items()}, as_batch(typical, made.signature)


def as_forest(model):
    """The same trees with a probability of every class in each leaf, as forests have them."""
    trees = model.trees
    table = np.random.default_rng(0).dirichlet([1, 1, 1], len(trees.leaf_weight)) / len(trees.roots)
    owner = {}
    for tree, root in enumerate(trees.roots):
        waiting = [root]
        while waiting:
            node = waiting.pop()
            for number, leaf in (
                (trees.true_id[node], trees.true_leaf[node]),
                (trees.false_id[node], trees.false_leaf[node]),
            ):
                if leaf:
                    owner[number] = tree
                else:
                    waiting.append(number)
    trees.leaf_target = [owner[i] for i in range(len(trees.leaf_weight))]
    trees.leaf_weight = [float(i) for i in range(len(trees.leaf_weight))]
    trees.targets = len(trees.roots)
    return LeafModel(model.features, trees, table, "", {})


def one_of(batch, i):
    return {name: values[i : i + 1] for name, values in batch.items()}


CASES = {
    "binary": ({}, "log-odds"),
    "calibrated": ({"temperature": 1.7}, "log-odds"),
    "linear": ({"learners": ("linear",)}, "log-odds"),
    "several classes": ({"classes": 3}, "log-ratio"),
    "several classes, linear": ({"classes": 3, "learners": ("linear",), "temperature": 0.8}, "log-ratio"),
    "number": ({"task": "regress"}, "value"),
    "a mean of numbers": ({"task": "regress", "learners": ("trees", "linear", "others")}, "value"),
    "a forest": ({"classes": 3, "learners": ("forest",)}, "probability"),
    "reweighed": ({"temperature": 1.7, "factors": [0.2, 1.8]}, "log-odds"),
    "the baseline": ({"learners": ("prior",)}, "log-odds"),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_adds_up_is_explained_exactly(tmp_path, case):
    options, scale = CASES[case]
    made, batch, background = release(tmp_path, **options)
    explainer = Explainer(made, background)
    for i in range(3):
        one = one_of(batch, i)
        found = explainer.explain(one)
        assert (found.how, found.scale) == (EXACT, scale)
        assert found.base + found.parts.sum() == pytest.approx(found.output, rel=1e-6)
        assert found.output == pytest.approx(said(made, one, found.label, scale), rel=1e-4, abs=1e-6)
        assert not found.errors.any()


def said(made, one, label, scale):
    """The release's answer on a scale."""
    outputs = made.predict(one)
    if label is None:
        return float(outputs["value"][0])
    place = made.signature.classes.index(label)
    if scale == "probability":
        return outputs["probability"][0][place]
    logs = np.log(outputs["probability"][0])
    return logs[place] - (logs[1 - place] if scale == "log-odds" else logs.mean())


@pytest.mark.parametrize("case", ["reweighed", "several classes", "a mean of numbers", "a forest"])
def test_exact_values_are_those_of_the_definition(tmp_path, case):
    """Sampling on the same scale with all coalitions agrees, columns of several features included."""
    from volant.evaluate.explain import explain

    options, scale = CASES[case]
    made, batch, background = release(tmp_path, **options)
    one, few = one_of(batch, 1), {name: values[:6] for name, values in background.items()}
    found = Explainer(made, few).explain(one)

    def output(given):
        outputs = made.predict(given)
        if found.label is None:
            return outputs["value"]
        place = made.signature.classes.index(found.label)
        if scale == "probability":
            return outputs["probability"][:, place]
        logs = np.log(outputs["probability"])
        return logs[:, place] - (logs[:, 1 - place] if scale == "log-odds" else logs.mean(axis=1))

    wanted = explain(output, one, few, columns=tuple(one))
    assert found.parts == pytest.approx(wanted.parts, abs=2e-5)
    assert found.base == pytest.approx(wanted.base, abs=2e-5)


def test_a_mixture_of_probabilities_is_explained_as_one(tmp_path):
    made, batch, background = release(tmp_path, learners=("trees", "linear"))
    found = Explainer(made, background).explain(one_of(batch, 0))
    assert (found.how, found.scale) == (EXACT, "probability"), "five columns: every coalition is tried"
    assert found.base + found.parts.sum() == pytest.approx(found.output, rel=1e-6)
    assert found.output == pytest.approx(found.answer)
    double = {name: np.concatenate([values] * 20)[:320] for name, values in background.items()}
    sampled = Explainer(made, double).explain(one_of(batch, 0))
    assert sampled.how == SAMPLED
    assert sampled.base + sampled.parts.sum() == pytest.approx(sampled.output, rel=1e-6)
    assert (np.abs(sampled.parts - found.parts) < 5 * sampled.errors + 0.02).all()


@pytest.mark.parametrize("name", ["size", "mixed", "matrix"])
@pytest.mark.parametrize("task", ["classify", "regress"])
def test_mixtures_are_predicted_as_the_rows_that_they_are(tmp_path, task, name):
    """Whatever a column is called: the pipeline's own values bear such names too."""
    made, batch, background = release(tmp_path, task=task, learners=("trees", "linear", "others"), rename=name)
    cells = {column: np.concatenate([batch[column], background[column]]) for column in batch}
    rng = np.random.default_rng(0)
    places = {column: rng.integers(0, len(values), 50) for column, values in cells.items()}
    output = "value" if task == "regress" else "probability"
    mixed = Mixing(made, output, tuple(cells)).over(cells)(places)
    assert np.array_equal(mixed, made.predict({column: cells[column][places[column]] for column in cells})[output])


def test_a_number_that_was_cut_is_not_said_to_be_a_sum(tmp_path):
    made, batch, background = release(tmp_path, task="regress")
    cut = [
        replace(step, params={**step.params, "low": 5.0, "high": 6.0}) if step.op == "first" else step
        for step in made.runner.pipeline.steps
    ]
    made = replace(made, runner=Runner(Pipeline(tuple(cut), made.runner.pipeline.outputs), tmp_path))
    found = Explainer(made, background).explain(one_of(batch, 0))
    assert found.output == found.answer == 5.0
    assert not found.parts.any()


def test_features_of_several_columns_are_not_said_to_be_one_columns(tmp_path):
    """Days between two times belong to neither: where a model looks at them, coalitions are tried instead."""
    rng = np.random.default_rng(0)
    n = 400
    start = np.datetime64("2024-01-01", "us") + rng.integers(0, 300, n) * np.timedelta64(1, "D")
    end = start + rng.integers(0, 30, n) * np.timedelta64(1, "D")
    late = np.where((end - start) > np.timedelta64(15, "D"), "yes", "no")
    columns = (Column("start", "timestamp"), Column("end", "timestamp"), Column("y", "category", "target"))
    data = MemoryRows.of(Schema(columns), pa.table({"start": start, "end": end, "y": late}))
    task = load("tasks", "classify")
    problem = task.problem(data, "y", "log_loss")
    options = BoostedTreesOptions(rounds=12, leaves=8, min_leaf=5, feature_fraction=1.0)
    made = Part(BoostedTrees().fit(data, problem, options, RunContext()).export(tmp_path), tmp_path, 1.0)
    pipeline, facts = made.pipeline, profile(data)
    opened = Release("d" * 64, tmp_path, signature_of(problem, facts), Runner(pipeline, tmp_path), facts)
    found = Explainer(opened).explain(one_of(data.batch(["start", "end"]), 0))
    assert (found.how, found.scale) == (EXACT, "probability")
    assert found.base + found.parts.sum() == pytest.approx(found.output)


def test_another_class_may_be_explained(tmp_path):
    made, batch, background = release(tmp_path)
    explainer = Explainer(made, background)
    yes, no = (explainer.explain(one_of(batch, 0), label=label) for label in ("yes", "no"))
    assert yes.parts == pytest.approx(-no.parts)
    assert yes.answer == pytest.approx(1 - no.answer)
    for bad in ({"label": "maybe"}, {"method": "magic"}):
        with pytest.raises(BadInput) as refused:
            explainer.explain(one_of(batch, 0), **bad)
        assert refused.value.code == "input-invalid"


def test_a_surrogate_adds_up_and_states_its_fit(tmp_path):
    made, batch, background = release(tmp_path)
    found = Explainer(made, background).explain(one_of(batch, 0), method="lime")
    assert (found.how, found.scale) == (SURROGATE, "probability")
    assert found.base + found.parts.sum() == pytest.approx(found.output) == found.answer
    assert 0.3 < found.fit <= 1.0


def test_a_release_without_typical_rows_is_compared_with_its_profile(tmp_path):
    made, batch, _ = release(tmp_path)
    background = background_of(made)
    assert {name: len(values) for name, values in background.items()} == dict.fromkeys(batch, 64)
    assert set(background["shape"]) <= {"s0", "s1", "s2", "s3", None}
    assert np.nanstd(background["size"]) > 0.3
    found = Explainer(made).explain(one_of(batch, 0))
    assert found.base + found.parts.sum() == pytest.approx(found.output)
    bare = replace(made, profile={})
    assert Explainer(bare).explain(one_of(batch, 0)).background == 64
