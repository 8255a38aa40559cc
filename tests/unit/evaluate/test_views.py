"""Curves, calibration, confusion and residuals are what they are elsewhere."""

import numpy as np
import pytest
from sklearn import metrics as reference

from volant.evaluate.calibration import histogram, reliability, wilson
from volant.evaluate.confusion import confusion, hardest, per_class
from volant.evaluate.curves import curves
from volant.evaluate.residuals import residuals


def judged(n=500, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), n).round(2)
    y = (rng.random((n, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)
    return {"y": y.astype(np.int64), "p": p}


def area(points):
    x, y = np.array(points).T
    return float(np.trapezoid(y, x))


def test_curves_have_the_areas_that_scikit_learn_gives():
    units = judged()
    (one,) = curves(units, ("no", "yes"))
    wanted = reference.roc_auc_score(units["y"], units["p"][:, 1])
    assert one["class"] == "yes"
    assert one["roc_auc"] == pytest.approx(wanted)
    assert area(one["roc"]) == pytest.approx(wanted, abs=0.01)
    assert one["pr_auc"] == pytest.approx(reference.average_precision_score(units["y"], units["p"][:, 1]))
    assert one["roc"][0] == [0.0, 0.0]
    assert one["roc"][-1] == [1.0, 1.0]
    assert len(one["roc"]) <= 130


def test_the_commonest_of_many_classes_are_shown():
    units = judged(600, classes=12)
    shown = curves(units, [f"c{i}" for i in range(12)])
    assert len(shown) == 8
    assert all(0 <= one["roc_auc"] <= 1 for one in shown)


def test_a_class_that_is_absent_or_alone_has_no_curve():
    units = {"y": np.zeros(5, np.int64), "p": np.tile([0.7, 0.3], (5, 1))}
    assert curves(units, ("a", "b")) == []


def test_a_calibrated_model_is_calibrated_within_its_intervals():
    rng = np.random.default_rng(0)
    p = rng.random(3000)
    bins = reliability({"y": (rng.random(3000) < p).astype(np.int64), "p": np.stack([1 - p, p], axis=1)})
    assert len(bins) == 12
    assert sum(one["n"] for one in bins) == 3000
    assert sum(one["low"] <= one["said"] <= one["high"] for one in bins) >= 10
    assert len(reliability(judged(5))) == 1


def test_the_share_interval_is_wilsons():
    assert wilson(0, 10)[0] == pytest.approx(0.0, abs=1e-12)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-3)


def test_every_row_is_in_the_histogram():
    assert sum(histogram(judged(321, classes=3))["counts"]) == 321


def test_confusion_and_rates_agree_with_scikit_learn():
    units, classes = judged(500, classes=3), ("a", "b", "c")
    guess = units["p"].argmax(axis=1)
    found = confusion(units, classes)
    assert found["counts"] == reference.confusion_matrix(units["y"], guess).tolist()
    worst = found["mistakes"][0]
    assert worst["n"] == max(m["n"] for m in found["mistakes"])
    assert worst["truth"] != worst["answer"]
    precision, recall, f1, n = reference.precision_recall_fscore_support(units["y"], guess)
    for c, one in enumerate(per_class(units, classes)):
        assert one["precision"]["value"] == pytest.approx(precision[c])
        assert one["recall"]["value"] == pytest.approx(recall[c])
        assert one["f1"] == pytest.approx(f1[c])
        assert one["n"] == n[c]


def test_a_class_without_rows_has_no_rates():
    one = per_class({"y": np.zeros(4, np.int64), "p": np.tile([0.9, 0.1], (4, 1))}, ("a", "b"))[1]
    assert one["recall"] is None
    assert one["precision"] is None
    assert one["roc_auc"] is None


def test_of_very_many_classes_only_mistakes_are_kept():
    found = confusion(judged(400, classes=60), [str(i) for i in range(60)])
    assert found["counts"] == []
    assert len(found["mistakes"]) == 30


def test_the_hardest_rows_are_wrong_ones_by_their_number_in_the_source():
    units = judged(50)
    numbers = np.arange(50) * 10
    listed = hardest(units, ("no", "yes"), numbers)
    assert len(listed) == 10
    assert all(one["truth"] != one["answer"] for one in listed)
    worst = np.argmin(units["p"][np.arange(50), units["y"]])
    assert listed[0]["given"] == units["p"][worst, units["y"][worst]]
    assert {one["row"] % 10 for one in listed} == {0}


def test_residuals_cover_all_rows():
    rng = np.random.default_rng(0)
    y = rng.normal(size=2000)
    found = residuals({"y": y, "f": y + rng.normal(size=2000)}, np.arange(2000))
    assert sum(found["histogram"]["counts"]) == 2000
    assert len(found["points"]) == 600
    assert sum(one["n"] for one in found["along"]) == 2000
    assert all(one["low"] < one["middle"] < one["high"] for one in found["along"])
    errors = [abs(one["truth"] - one["answer"]) for one in found["hardest"]]
    assert errors == sorted(errors, reverse=True)


def test_one_row_and_no_error_have_residuals_too():
    found = residuals({"y": np.array([2.0]), "f": np.array([2.0])}, np.array([7]))
    assert found["hardest"] == [{"row": 7, "truth": 2.0, "answer": 2.0}]
    assert sum(found["histogram"]["counts"]) == 1


@pytest.mark.parametrize("error", [0.0, 1e18, -1e300, 5e-324])
def test_residuals_that_are_all_the_same_have_a_histogram(error):
    found = residuals({"y": np.full(50, error), "f": np.zeros(50)}, np.arange(50))
    assert sum(found["histogram"]["counts"]) == 50
