"""Whether intervals keep their promise is told as it is: on all rows, along the prediction, by width, per slice."""

import numpy as np
import pyarrow as pa
import pytest

from volant.core.records import Column, Problem, Schema
from volant.evaluate.coverage import intervals_view
from volant.evaluate.evaluation import evaluate
from volant.evaluate.report import write_report
from volant.tasks.regress import Regress
from volant.testing.rows import MemoryRows

SCHEMA = Schema((Column("x", "number"), Column("place", "category"), Column("y", "number", "target")))


def table(count=2_000):
    """The error is three times as large in one place."""
    rng = np.random.default_rng(0)
    x, place = rng.uniform(0, 10, count), rng.choice(["calm", "wild"], count, p=[0.8, 0.2])
    y = x + np.where(place == "wild", 3.0, 1.0) * rng.normal(size=count)
    return MemoryRows.of(SCHEMA, pa.table({"x": x, "place": place.astype(object), "y": y}))


def predict(batch):
    """Intervals that are right for the calm place."""
    value = batch["x"]
    return {"value": value, "low": value - 1.2816, "high": value + 1.2816}


PROBLEM = Problem("regress", "y", SCHEMA.inputs, 2_000, (), "rmse", interval=0.8)


@pytest.fixture(scope="module")
def evaluation():
    return evaluate(predict, table(), task=Regress(), problem=PROBLEM, slice_columns=["place"], importance_seconds=0)


def test_coverage_and_interval_score_are_metrics_with_intervals(evaluation):
    scores = {score.metric: score for score in evaluation.scores}
    assert scores["coverage"].low < scores["coverage"].value < scores["coverage"].high
    assert scores["coverage"].value == pytest.approx(0.8 * 0.8 + 0.2 * 0.33, abs=0.03)
    assert scores["interval_score"].value > 2 * 1.2816


def test_a_slice_that_gets_less_than_was_promised_shows(evaluation):
    view = evaluation.views["intervals"]
    slices = {one["name"]: one for one in view["slices"]}
    assert slices["place=calm"]["covered_low"] < 0.8 < slices["place=calm"]["covered_high"]
    assert slices["place=wild"]["covered_high"] < 0.8
    assert sum(one["n"] for one in view["slices"]) == 2_000
    assert view["below"] + view["coverage"] + view["above"] == pytest.approx(1.0)


def test_groups_hold_all_rows_in_order(evaluation):
    along = evaluation.views["intervals"]["along"]
    assert sum(one["n"] for one in along) == 2_000
    assert [one["predicted"] for one in along] == sorted(one["predicted"] for one in along)
    assert len(evaluation.views["intervals"]["by_width"]) >= 1


def test_numbers_without_intervals_have_no_view():
    plain = Problem("regress", "y", SCHEMA.inputs, 2_000, (), "rmse")
    found = evaluate(predict, table(), task=Regress(), problem=plain, importance_seconds=0)
    assert "intervals" not in found.views
    assert {score.metric for score in found.scores}.isdisjoint({"coverage", "interval_score"})


def test_the_report_draws_intervals_and_marks_the_slice_that_gets_less(evaluation, tmp_path):
    write_report(tmp_path / "report.html", product_name="p", facts={"evaluation": evaluation.record()})
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    part = text[text.index('<section id="intervals">') :]
    part = part[: part.index("</section>")]
    assert part.count("<svg") >= 3 + 2
    assert part.count('class="worse"') == 1
    assert "80&nbsp;% are promised" in part


def test_a_single_row_and_equal_widths_are_drawn_too(tmp_path):
    one = table().take(np.arange(1))
    units = Regress().units(Regress().encode(one, PROBLEM), predict(one.batch(["x", "place"])), PROBLEM)
    view = intervals_view(units, one, ["place"])
    write_report(
        tmp_path / "r.html", product_name="p", facts={"evaluation": {"views": {"intervals": view}, "task": "regress"}}
    )
    assert "NaN" not in (tmp_path / "r.html").read_text(encoding="utf-8")
