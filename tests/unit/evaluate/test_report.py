"""The report is one file, whole, self-contained, and safe whatever the data is called."""

import re
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from volant.core.records import Column, Problem, Schema
from volant.evaluate import charts
from volant.evaluate.evaluation import evaluate
from volant.evaluate.report import write_report
from volant.tasks.classify import Classify
from volant.tasks.regress import Regress
from volant.testing.rows import MemoryRows

EVIL = "<script>alert('x')</script>"
VOID = {"meta", "br", "circle", "line", "polyline", "polygon", "rect", "link", "img"}


class Tree(HTMLParser):
    """Checks that every element is closed and collects text, links and elements."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.links, self.elements = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    tree = Tree()
    tree.feed(path.read_text(encoding="utf-8"))
    assert tree.open == []
    return tree


def verdict(passed=True):
    one = {
        "metric": "log_loss",
        "slice": "",
        "n": 700,
        "difference": 0.05,
        "low": 0.01,
        "high": 0.09,
        "champion": 0.4,
        "challenger": 0.38,
        "scale": "relative",
    }
    odd = {**one, "slice": EVIL, "low": float("nan"), "high": None, "difference": float("-inf"), "scale": "absolute"}
    reasons = ("log_loss is 5 % better.", f"The slice {EVIL} held.")
    return {"passed": passed, "reasons": reasons, "comparisons": [one, odd], "champion": "b" * 64, "turn": 2}


def training(metric="log_loss"):
    entry = {
        "learner": "linear",
        "options": {"l2": 0.1},
        "fit_seconds": 0.2,
        "status": "done",
        "reason": "",
        "weight": 0.0,
    }
    return {
        "leaderboard": [
            {**entry, "name": "second", "score": 0.5},
            {**entry, "name": "first", "score": 0.3, "weight": 1.0},
            {**entry, "name": EVIL, "score": None, "status": "failed", "reason": EVIL},
        ],
        "verdict": verdict(),
        "promoted": True,
        "metric": metric,
        "candidate": "a" * 64,
        "dataset": "d" * 64,
        "run": "run",
        "budget": "20s",
        "seconds": 12.3,
        "note": "",
    }


@pytest.fixture(scope="module")
def classified(rows, problem, model):
    return evaluate(model, rows, task=Classify(), problem=problem, slice_columns=["city"], importance_seconds=0.3)


def columns(rows):
    return [vars(c) for c in rows.schema.columns]


def test_a_report_tells_everything_in_one_file(tmp_path, rows, classified):
    path = tmp_path / "report.html"
    facts = {"train": training(), "evaluation": classified.record(), "columns": columns(rows)}
    write_report(
        path,
        product_name="流失预测",
        facts={**facts, "rows": {"test": 3000, "train": 9000}, "at": "2025-01-01T10:00:00"},
    )
    tree = read(path)
    text = " ".join(tree.text)
    for said in ("流失预测", "Promoted", "log_loss is 5\xa0% better.", "roc_auc", "北京", "Leaderboard", "Calibration"):
        assert said in text, said
    assert text.index("first") < text.index("second")
    assert tree.elements.count("svg") > 20
    assert tree.links == []
    assert "script" not in tree.elements
    assert not re.search(r"https?://|url\(|@import", path.read_text())
    assert path.stat().st_size < 400_000
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_names_from_the_data_are_never_markup(tmp_path):
    rng = np.random.default_rng(0)
    cells = {EVIL: rng.normal(size=200), "y": rng.choice([EVIL, "a&b"], 200).astype(object)}
    schema = Schema((Column(EVIL, "number"), Column("y", "category", "target")))
    problem = Problem("classify", "y", schema.inputs, 200, ("a&b", EVIL), "log_loss")
    half = {"probability": np.full((200, 2), 0.5)}
    found = evaluate(
        lambda batch: {"probability": half["probability"][: len(batch[EVIL])].repeat(10, 0)[: len(batch[EVIL])]},
        MemoryRows.of(schema, pa.table(cells)),
        task=Classify(),
        problem=problem,
        slice_columns=[EVIL],
    )
    path = tmp_path / "report.html"
    facts = {
        "train": training(),
        "evaluation": found.record(),
        "columns": columns(MemoryRows.of(schema, pa.table(cells))),
    }
    write_report(path, product_name=EVIL, facts=facts)
    assert "script" not in read(path).elements


def test_numbers_have_a_report_too(tmp_path):
    x = np.random.default_rng(0).normal(size=300) * 1e6
    schema = Schema((Column("x", "number"), Column("y", "number", "target")))
    rows = MemoryRows.of(schema, pa.table({"x": x, "y": x * 2}))
    problem = Problem("regress", "y", (Column("x", "number"),), 300, (), "rmse")
    for predict in (lambda b: {"value": b["x"]}, lambda b: {"value": 2 * b["x"]}, lambda b: {"value": b["x"] * 0}):
        found = evaluate(predict, rows, task=Regress(), problem=problem, importance_seconds=0.2)
        write_report(
            tmp_path / "r.html", product_name="p", facts={"train": training("rmse"), "evaluation": found.record()}
        )
        assert "Truth against prediction" in " ".join(read(tmp_path / "r.html").text)


def test_many_classes_have_a_legend_and_their_mistakes(tmp_path):
    rng = np.random.default_rng(0)
    classes = tuple(f"类{i}" for i in range(12))
    y = rng.integers(0, 12, 600)
    schema = Schema((Column("x", "number"), Column("y", "category", "target")))
    rows = MemoryRows.of(schema, pa.table({"x": y.astype(float), "y": [classes[i] for i in y]}))
    problem = Problem("classify", "y", (Column("x", "number"),), 600, classes, "log_loss")
    table = rng.dirichlet(np.ones(12) * 0.3, 600)

    def predict(batch):
        return {"probability": table[np.nan_to_num(batch["x"]).astype(int)]}

    found = evaluate(predict, rows, task=Classify(), problem=problem, importance_seconds=0)
    write_report(tmp_path / "r.html", product_name="p", facts={"evaluation": found.record()})
    text = " ".join(read(tmp_path / "r.html").text)
    assert "类11" in text
    assert "answered" in text


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "quality report"),
        ({"train": {**training(), "verdict": verdict(False), "promoted": False}}, "Refused"),
        ({"train": {**training(), "verdict": None, "promoted": False, "note": "nothing has changed"}}, "Not judged"),
        ({"train": {**training(), "promoted": False}}, "Passed"),
        ({"columns": [{"name": "a", "type": "number", "role": "input", "reason": ""}] * 300}, "and 100 more"),
    ],
)
def test_what_is_missing_is_left_out(tmp_path, facts, said):
    write_report(tmp_path / "r.html", product_name="p", facts=facts)
    assert said in " ".join(read(tmp_path / "r.html").text)


def test_an_evaluation_of_nothing_but_nan_has_a_report(tmp_path, rows, problem):
    def broken(batch):
        return {"probability": np.full((len(batch["age"]), 2), np.nan)}

    found = evaluate(broken, rows, task=Classify(), problem=problem, slice_columns=["city"], importance_seconds=0.1)
    write_report(tmp_path / "r.html", product_name="p", facts={"evaluation": found.record()})
    assert "–" in " ".join(read(tmp_path / "r.html").text)


def test_a_report_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(KeyError):
        write_report(path, product_name="p", facts={"evaluation": {"scores": [{"metric": "x"}]}})
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.1235"),
        (12.345, "12.35"),
        (1234.5, "1,234"),
        (123456.7, "123,457"),
        (0.00001234, "1.23e-05"),
        (-0.5, "−0.5000"),
        (-1e-17, "0"),
        (3, "3"),
        (-3, "−3"),
        (0.0, "0"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_numbers_are_for_people(value, text):
    assert charts.number(value) == text


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 1e6), (0.001, 0.002), (-1e-9, 1e-9), (5, 5), (1e15, 3e15)])
def test_ticks_are_few_and_inside(low, high):
    found = charts.ticks(low, high)
    assert 1 <= len(found) <= 8
    assert all(low - 1e-12 <= value <= high + 1e-12 for value in found)


@pytest.mark.parametrize(
    ("value", "text"), [(0.2, "0.2"), (20000, "20k"), (-250000, "-250k"), (2e6, "2M"), (3e9, "3G"), (0, "0")]
)
def test_ticks_are_short(value, text):
    assert charts.tick_text(value) == text
