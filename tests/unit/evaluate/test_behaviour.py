"""How a model behaves: dependence, rules and contributions say what is known of models made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from volant.evaluate.behaviour import behaviour
from volant.evaluate.dependence import STEPS, dependence
from volant.evaluate.report import write_report
from volant.evaluate.surrogate import surrogate

from .test_explainer import release, rows

CITIES = np.array(["Paris", "Lyon", None], dtype=object)


def table(n=600, seed=0):
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 10, n)
    return {
        "age": np.where(rng.random(n) < 0.05, np.nan, age),
        "weight": 2 * age + rng.normal(size=n),
        "city": CITIES[rng.choice(3, n, p=[0.6, 0.3, 0.1])],
        "member": (rng.random(n) < 0.4).astype(float),
        "since": np.datetime64("2024-01-01", "us") + rng.integers(0, 700, n) * np.timedelta64(1, "D"),
    }


def worth(batch):
    return np.array([{"Paris": 1.0, "Lyon": -2.0, None: 0.5}[v] for v in batch["city"]])


def line(batch):
    return (3 * np.nan_to_num(batch["age"], nan=40.0) + worth(batch) + 5 * batch["member"])[:, None]


def test_a_line_has_its_own_slope():
    found = dependence(line, table(), "age", "number")
    mean = np.array(found.mean)[:, 0]
    assert len(found.values) == STEPS
    assert np.diff(mean) / np.diff(found.values) == pytest.approx(np.full(STEPS - 1, 3.0))
    assert np.array(found.local)[:, 0] == pytest.approx(mean, abs=1e-6)
    assert np.array(found.error).max() < 1e-6, "all rows move alike"
    assert sum(found.share) == pytest.approx(1.0)


def test_ends_that_would_tell_of_single_rows_are_not_shown():
    some = table()
    some["age"][0] = 1e6
    assert max(dependence(line, some, "age", "number").values) < 100


def test_whole_numbers_stay_whole():
    some = {**table(), "age": np.random.default_rng(0).poisson(3, 600).astype(float)}
    values = dependence(line, some, "age", "number").values
    assert all(value == round(value) for value in values)


def test_local_effects_are_not_fooled_by_columns_that_go_together():
    """The model falls apart where age and weight do not belong together; no row is there."""

    def far(batch):
        return np.where(np.abs(batch["weight"] - 2 * batch["age"]) > 25, 1e3, 0.0)[:, None]

    found = dependence(far, {**table(), "age": table()["weight"] / 2}, "age", "number")
    assert np.ptp(np.array(found.mean)) > 50
    assert np.ptp(np.array(found.local)) == 0


def test_categories_booleans_times_and_texts():
    city = dependence(line, table(), "city", "category")
    assert city.values == ("Paris", "Lyon", None)
    steps = np.array(city.mean)[:, 0]
    assert steps - steps[0] == pytest.approx([0.0, -3.0, -0.5])
    assert city.local == ()
    member = dependence(line, table(), "member", "boolean")
    assert sorted(member.values) == [0.0, 1.0]
    since = dependence(line, table(), "since", "timestamp")
    assert all(value.startswith("202") for value in since.values)
    assert np.ptp(np.array(since.mean)) == pytest.approx(0)
    assert dependence(line, {**table(), "note": table()["city"]}, "note", "text") is None
    assert dependence(line, {**table(), "age": np.full(600, np.nan)}, "age", "number") is None


def test_a_tree_is_imitated_by_its_own_rules():
    kinds = {"age": "number", "city": "category", "member": "boolean", "since": "timestamp"}

    def tree(batch):
        old = np.nan_to_num(batch["age"], nan=99.0) > 45
        p = np.where(old, np.where(batch["city"] == "Paris", 0.9, 0.6), 0.1)
        return np.stack([1 - p, p], axis=1)

    some, other = table(2000), table(500, seed=1)
    found = surrogate(some, tree(some), other, tree(other), kinds)
    assert found.fidelity > 0.97
    assert found.agreement > 0.98
    assert [round(rule.answer[-1], 2) for rule in found.rules] == [0.9, 0.6, 0.1]
    assert sum(rule.share for rule in found.rules) == pytest.approx(1.0)
    best = " and ".join(found.rules[0].conditions)
    assert "city is Paris" in best
    assert "age > 4" in best
    assert "or missing" in best
    assert "missing" not in " ".join(found.rules[-1].conditions)


def test_rules_may_tell_missing_cells_apart():
    some = table(2000)

    def asks(batch):
        return np.isnan(batch["age"]).astype(float)[:, None]

    found = surrogate(some, asks(some), some, asks(some), {"age": "number"})
    assert [rule.conditions for rule in found.rules] == [("age is missing",), ("age is known",)]


def test_nothing_to_imitate_makes_no_rules():
    some = table(100)
    even = np.full((100, 1), 7.0)
    assert surrogate(some, even, some, even, {"age": "number"}) is None
    assert surrogate(some, line(some), some, line(some), {"note": "text"}) is None


@pytest.mark.parametrize(
    "options", [{}, {"task": "regress"}, {"classes": 3}, {"learners": ("trees", "linear")}], ids=str
)
def test_a_release_is_studied_and_the_report_shows_it(tmp_path, options):
    made, _, background = release(tmp_path, **options)
    data = rows(options.get("task", "classify"), options.get("classes", 2))
    found = behaviour(made, data.take(np.arange(60)), data, background=background, seconds=1.5)
    record = found.record()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert 10 <= found.explained <= 60
    sizes = [one.mean for one in found.attributions]
    assert sizes == sorted(sizes, reverse=True)
    assert {found.attributions[i].column for i in range(2)} <= {"size", "shape", "open", "note"}
    assert found.surrogate.fidelity > 0.5
    assert len(found.outputs) == {"regress": 1}.get(options.get("task"), {3: 3}.get(options.get("classes"), 1))
    write_report(tmp_path / "r.html", product_name="p", facts={"behaviour": record})
    html = (tmp_path / "r.html").read_text()
    for said in ("What its columns add", "How answers move with its columns", "In rules", "bee"):
        assert said in html


def test_names_from_the_data_are_escaped(tmp_path):
    made, _, background = release(tmp_path)
    data = rows("classify")
    record = behaviour(made, data.take(np.arange(30)), data, background=background, seconds=0.5).record()
    evil = json.loads(json.dumps(record).replace("size", "<b>size</b>").replace("yes", "<i>yes"))
    write_report(tmp_path / "r.html", product_name="p", facts={"behaviour": evil})
    html = (tmp_path / "r.html").read_text()
    assert "<b>size" not in html
    assert "<i>yes" not in html
    assert "&lt;b&gt;size" in html
