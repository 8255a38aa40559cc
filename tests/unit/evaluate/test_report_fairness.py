"""The report and the card on decisions and fairness: all groups with intervals, names escaped, limits marked."""

from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa

from volant.core.records import Column, Decision, Problem, Schema
from volant.evaluate.decision import decision_view
from volant.evaluate.evaluation import evaluate, plain
from volant.evaluate.fairness import audits
from volant.evaluate.report import write_report
from volant.release.card import card
from volant.tasks.classify import Classify
from volant.tasks.decisions import Choice
from volant.testing.rows import MemoryRows

EVIL = "<b>|F"
SCHEMA = Schema((Column("x", "number"), Column("sex", "category", "sensitive"), Column("y", "category", "target")))


def evaluated(limit=0.1, costs=((0.0, 2.0), (1.0, 0.0)), decision=None):
    rng = np.random.default_rng(0)
    n = 900
    sex = rng.choice([EVIL, "M", "seldom", "rarely"], n, p=[0.44, 0.51, 0.025, 0.025])
    x = rng.normal(sex == "M", 1.0)
    y = np.where(rng.random(n) < 1 / (1 + np.exp(-x)), "yes", "no")
    rows = MemoryRows.of(SCHEMA, pa.table({"x": x, "sex": sex, "y": y}))
    problem = Problem("classify", "y", SCHEMA.inputs, n, ("no", "yes"), "log_loss", costs)
    choice = Choice(decision or Decision(threshold=0.4), 0.7, 0.35, 0.45, True)

    def predict(batch):
        p = 1 / (1 + np.exp(-batch["x"]))
        return {"probability": np.stack([1 - p, p], axis=1), "label": np.where(p >= 0.4, "yes", "no").astype(object)}

    def look(units, some):
        found = audits(units, some, ["sex"], 1, 30)
        facts = {"source": "metric", "metric": "f1", "minimum": {"recall": 0.5}}
        rest = {"metric": "demographic_parity_difference", "limit": limit, "positive": "yes", "mitigation": None}
        fair = {**rest, "audits": [asdict(one) for one in found], "summaries": {}, "hidden": ["sex"]}
        fair["summaries"] = dict.fromkeys(found[0].groups[0].rates, "")
        return {"fairness": fair, **decision_view(units, some.weights(), problem, choice, 0.4, facts)}

    task = Classify()
    return evaluate(predict, rows, task=task, problem=problem, looks=[look], importance_seconds=0).record()


def report(tmp_path, record):
    path = tmp_path / "report.html"
    write_report(path, product_name="loans", facts={"evaluation": record})
    return path.read_text()


def test_the_report_shows_groups_distances_and_the_curve(tmp_path):
    record = evaluated()
    text = report(tmp_path, record)
    part = text[text.index('<section id="decision">') :]
    assert "Metrics along the threshold" in part
    assert "Mean cost of a row along the threshold" in part
    assert "to be best at f1" in part
    assert "sex=M" in part
    assert "sex=&lt;b&gt;|F" in part
    assert EVIL not in part
    assert 'class="worse"><td>demographic parity difference' in part
    assert "sex is one of 2 rare values" in part
    assert "No model sees sex" in part


def test_a_limit_that_is_kept_is_not_marked(tmp_path):
    text = report(tmp_path, evaluated(limit=0.9))
    assert 'class="worse"><td>demographic parity difference' not in text


def test_groups_and_weights_of_a_decision_are_told(tmp_path):
    by_group = Decision(threshold=0.4, column="sex", thresholds=((EVIL, 0.3), ("M", 0.5)))
    text = report(tmp_path, evaluated(decision=by_group))
    assert "threshold for sex = &lt;b&gt;|F" in text


def test_numbers_that_are_not_there_are_dashes(tmp_path):
    record = evaluated()
    for audit in record["views"]["fairness"]["audits"]:
        for gap in audit["gaps"]:
            gap.update(value=None, low=None, high=None)
        for group in audit["groups"]:
            for rate in group["rates"].values():
                rate.update(value=None, low=None, high=None, n=0)
    assert "no rows" in report(tmp_path, record)
    assert "–" in card({"evaluation": record, "product": "loans"})


def test_the_card_tells_the_same():
    text = card({"evaluation": evaluated(), "product": "loans"})
    assert "## How it decides" in text
    assert "`yes` is the answer from a probability of 0.4 on" in text
    assert "2 for `yes` where `no` is true" in text
    assert "## Fairness" in text
    assert "sex=\\<b\\>\\|F" in text
    assert "demographic parity difference of at most 0.1" in text


def test_an_evaluation_without_them_has_neither(tmp_path):
    record = evaluated()
    for name in ("fairness", "decision"):
        del record["views"][name]
    text = report(tmp_path, record)
    assert 'id="fairness"' not in text
    assert 'id="decision"' not in text
    assert "## Fairness" not in card({"evaluation": record})


def test_views_are_plain_data():
    views = evaluated()["views"]
    assert plain(views["fairness"]) == views["fairness"]
    assert replace(Choice(Decision()), kept=False).kept is False
