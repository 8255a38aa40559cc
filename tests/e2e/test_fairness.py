"""Fairness through the whole wheel: measured, limited by the gate, mended at a price, and judged on traffic too."""

import json
from dataclasses import dataclass

import httpx
import pytest
from tests.loans import loans, product

from volant.data.dataset import open_dataset
from volant.errors import BadInput
from volant.runtime.load import open_release
from volant.runtime.rows import rows_to_batch
from volant.testing.served import served
from volant.wheel.handle import ProductHandle
from volant.wheel.results import TrainResult

LIMIT = '[fairness]\nmetric = "demographic_parity_difference"\nlimit = 0.12\n'


@dataclass(frozen=True)
class Trained:
    """A product and what its training gave."""

    handle: ProductHandle
    last: TrainResult

    @property
    def product(self):
        return self.handle.product


def candidate(handle):
    return handle.product.home / "candidates" / handle.last.candidate


def gap(handle, metric="demographic_parity_difference"):
    """The gap between the sexes on the test rows, as the report has it."""
    views = json.loads((candidate(handle) / "evaluation.json").read_text())["views"]
    (audit,) = [one for one in views["fairness"]["audits"] if one["column"] == "sex"]
    return next(g for g in audit["gaps"] if g["metric"] == metric)["value"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What training gives under each mitigation."""
    made = {}

    def train(name, extra, role="sensitive"):
        if name not in made:
            handle = product(tmp_path_factory.mktemp(name), extra, rows=3_000, role=role)
            made[name] = Trained(handle, handle.train())
        return made[name]

    return train


def plain(trained):
    return trained("plain", LIMIT)


def accuracy(handle):
    return next(s.value for s in handle.last.judged if s.metric == "accuracy")


def test_the_gate_refuses_who_treats_groups_too_differently(trained):
    handle = plain(trained)
    verdict = handle.last.verdict
    assert not handle.last.promoted
    assert "Between the groups of sex the demographic parity difference is 0." in verdict.reasons[0]
    assert "at most 0.12 is allowed, surely exceeded" in verdict.reasons[0]
    (measured,) = verdict.gaps
    assert (measured.column, measured.most, measured.least) == ("sex", "sex=M", "sex=F")
    assert measured.low > 0.12
    assert gap(handle) > 0.2


def test_reweighing_narrows_the_gap_at_little_cost(trained):
    before, after = plain(trained), trained("reweight", LIMIT + 'mitigation = "reweight"\n')
    assert gap(after) < gap(before) - 0.05
    assert accuracy(before) - 0.06 < accuracy(after) < accuracy(before) + 0.01


def test_one_threshold_keeps_the_limit_at_a_price(trained):
    before, after = plain(trained), trained("threshold", LIMIT + 'mitigation = "threshold"\n')
    assert after.last.promoted
    assert gap(after) < 0.12
    assert accuracy(after) < accuracy(before) - 0.05


def grouped(trained):
    return trained("group", LIMIT + 'columns = ["sex"]\nmitigation = "group_threshold"\n', "input")


def test_a_threshold_per_group_keeps_the_limit_at_less(trained):
    after = grouped(trained)
    assert after.last.promoted
    assert "at most 0.12 is allowed" in " ".join(after.last.verdict.reasons)
    assert gap(after) < 0.2 < gap(plain(trained))
    assert accuracy(after) > accuracy(trained("threshold", LIMIT + 'mitigation = "threshold"\n')) + 0.03


def test_a_threshold_per_group_goes_by_what_the_caller_sends(trained):
    release = open_release(candidate(grouped(trained)))
    row = loans(50).select(["income", "debt", "district", "age"]).to_pylist()
    same = [[{**one, "sex": sex} for one in row] for sex in ("F", "M")]
    answers = [release.predict(rows_to_batch(rows, release.signature)[0])["label"].tolist() for rows in same]
    shares = [labels.count("yes") for labels in answers]
    assert shares[0] > shares[1]


@pytest.mark.parametrize(
    ("extra", "role", "said"),
    [
        (LIMIT + 'mitigation = "group_threshold"\n', "sensitive", "callers do not tell a release 'sex'"),
        (LIMIT + 'positive = "ja"\n', "sensitive", "no such class"),
        (LIMIT.replace("demographic_parity", "mae"), "sensitive", "not for the task classify"),
        (LIMIT, "input", "no column tells whose groups are compared"),
        (LIMIT + 'columns = ["sxe"]\n', "sensitive", "there is no such column"),
        ("[decide]\ncosts.ja.no = 2\n", "sensitive", "the training rows have no such class"),
        ("[decide]\nthreshold = 0.4\n" + LIMIT + 'mitigation = "threshold"\n', "sensitive", "none can be chosen"),
    ],
)
def test_what_cannot_be_had_is_refused_before_training(tmp_path, extra, role, said):
    handle = product(tmp_path, extra, rows=300, role=role)
    for stage in (handle.train, handle.check):
        with pytest.raises(BadInput) as bad:
            stage()
        assert said in " ".join(t.what for t in bad.value.troubles)


def test_groups_are_logged_with_traffic_and_come_back_with_feedback(tmp_path):
    handle = product(tmp_path, rows=1_500)
    handle.train()
    rows = loans(80, seed=9).to_pylist()
    sent = [{k: v for k, v in row.items() if k != "granted"} for row in rows]
    with served(handle.product.folder) as service, httpx.Client(base_url=service.url, timeout=30) as client:
        answer = client.post("/v1/predict", json={"rows": sent})
        assert answer.status_code == 200, answer.text
        ids = [one["id"] for one in answer.json()["predictions"]]
        bare = client.post("/v1/predict", json={"row": {k: v for k, v in sent[0].items() if k != "sex"}})
        wrong = client.post("/v1/predict", json={"row": {**sent[0], "sex": {"a": 1}}})
        described = client.get("/openapi.json").json()["components"]["schemas"]["Row"]
        said = [
            {"prediction_id": i, "kind": "correction", "value": r["granted"]} for i, r in zip(ids, rows, strict=True)
        ]
        client.post("/v1/feedback", json={"feedback": said})
    assert bare.status_code == 200
    assert wrong.status_code == 422
    assert "sex" in described["properties"]
    assert "sex" not in described["required"]
    turn = handle.improve()
    dataset = open_dataset(handle.product.home / "datasets" / turn.train.dataset)
    fed = dataset.provenance() == "feedback"
    assert fed.sum() > 40
    groups = [value for value, new in zip(dataset.table(["sex"]).column(0).to_pylist(), fed, strict=True) if new]
    assert set(groups) == {"F", "M"}
