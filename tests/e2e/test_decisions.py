"""Decisions through the whole wheel: what the file asks for is what a release answers, judged by what it costs."""

import json

import numpy as np
import pytest
from tests.loans import loans, product

from volant.core.records import Pipeline
from volant.runtime.load import open_release
from volant.runtime.rows import rows_to_batch
from volant.wheel.handle import ProductHandle

INPUTS = ["income", "debt", "district", "age"]


def trained(folder, extra, **more):
    handle = product(folder, extra, rows=1_500, **more)
    return handle, handle.train()


def release(handle, result):
    return open_release(handle.product.home / "candidates" / result.candidate)


def answers(opened, seed=5):
    rows = loans(400, seed).select(INPUTS).to_pylist()
    found = opened.predict(rows_to_batch(rows, opened.signature)[0])
    return found["probability"][:, 1], found["label"]


def judged(result, metric):
    return next(s.value for s in result.judged if s.metric == metric)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("plain"), "")


def test_costs_move_the_answer_and_are_what_decides(tmp_path, plain):
    handle, result = trained(tmp_path, '[decide]\ncosts.yes.no = 3\n[quality]\nmetric = "cost"\n')
    p, label = answers(release(handle, result))
    assert np.array_equal(label == "yes", p >= 0.25)
    assert result.promoted
    assert "cost is" in result.verdict.reasons[0]
    usual, labels = answers(release(*plain))
    assert np.array_equal(labels == "yes", usual >= 0.5)


def test_a_first_release_must_beat_the_baseline_at_its_cheapest(tmp_path):
    """Where saying yes is ruinous, saying no to all costs little, and the baseline does just that."""
    _, result = trained(tmp_path, '[decide]\ncosts.no.yes = 1000\n[quality]\nmetric = "cost"\n')
    assert not result.promoted
    one = result.verdict.comparisons[0]
    assert one.champion < 1
    assert one.challenger == pytest.approx(one.champion, rel=0.5)


def test_a_threshold_is_chosen_for_the_metric_on_held_out_rows(tmp_path, plain):
    asked = '[decide]\nmetric = "precision"\nminimum.recall = 0.95\n[quality]\nmetric = "recall"\n'
    handle, result = trained(tmp_path, asked)
    steps = json.loads((handle.product.home / "candidates" / result.candidate / "pipeline.json").read_text())["steps"]
    threshold = next(s for s in steps if s["op"] == "decide")["params"]["threshold"]
    p, label = answers(release(handle, result))
    assert threshold < 0.4
    assert np.array_equal(label == "yes", p >= threshold)
    assert judged(result, "recall") > 0.88 > judged(plain[1], "recall")
    evaluation = json.loads((handle.product.home / "candidates" / result.candidate / "evaluation.json").read_text())
    view = evaluation["views"]["decision"]
    assert view["threshold"] == threshold
    assert view["kept"]
    assert set(view["lines"]) == {"precision", "recall", "f1", "accuracy", "balanced_accuracy"}


def test_a_fixed_threshold_is_taken_as_it_is(tmp_path, plain):
    handle, result = trained(tmp_path, "[decide]\nthreshold = 0.7\n")
    p, label = answers(release(handle, result))
    assert np.array_equal(label == "yes", p >= 0.7)
    assert np.allclose(p, answers(release(*plain))[0])


def test_class_weights_leave_probabilities_calibrated(tmp_path, plain):
    folder = tmp_path / "weighed"
    handle = product(folder, rows=1_500)
    file = folder / "volant.toml"
    file.write_text(file.read_text().replace("[train]\n", "[train]\nclass_weight = { yes = 10 }\n"))
    handle = ProductHandle.at(folder)
    result = handle.train()
    mean, usual = answers(release(handle, result))[0].mean(), answers(release(*plain))[0].mean()
    assert mean == pytest.approx(usual, abs=0.05)
    assert judged(result, "log_loss") < judged(plain[1], "log_loss") * 1.15
    ops = [s.op for s in Pipeline.of(release(handle, result).runner.pipeline.record()).steps]
    assert "reweigh" in ops


def test_the_same_product_gives_the_same_release_to_the_byte(tmp_path):
    extra = '[decide]\nmetric = "f1"\n[fairness]\nmitigation = "reweight"\n'
    one, two = (trained(tmp_path / name, extra)[1] for name in ("a", "b"))
    assert one.candidate == two.candidate


def test_a_challenger_that_only_decides_otherwise_is_judged_by_what_was_answered(tmp_path):
    _, first = trained(tmp_path, '[quality]\nmetric = "cost"\n[decide]\ncosts.no.yes = 1.0\n')
    file = tmp_path / "volant.toml"
    file.write_text(file.read_text().replace("costs.no.yes = 1.0", "costs.no.yes = 6.0"))
    second = ProductHandle.at(tmp_path).train()
    assert first.promoted
    assert second.promoted
    one = second.verdict.comparisons[0]
    assert one.challenger < 0.8 * one.champion
