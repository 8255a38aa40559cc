"""The whole circle from Python: a file becomes a gated release that learns from feedback."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from tests.products import product, write_csv

from volant.errors import BadInput, Refused
from volant.runtime.load import open_release
from volant.store import PredictionRecord, open_store
from volant.wheel.handle import ProductHandle
from volant.wheel.new import new


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> ProductHandle:
    handle = product(tmp_path_factory.mktemp("trained"))
    handle.train()
    return handle


def test_a_csv_becomes_a_promoted_release(trained):
    status = trained.status()
    assert status.champion
    assert status.next_step == "volant serve"
    event = trained.history()[-1]
    assert event.kind == "promote"
    assert "baseline" in event.reason.lower() or "prior" in event.reason.lower()
    folder = trained.product.home / "candidates" / status.champion
    names = {p.name for p in folder.iterdir()}
    assert {"pipeline.json", "signature.json", "manifest.json", "profile.json", "evaluation.json", "card.md"} <= names
    assert not [n for n in names if n.endswith((".pkl", ".joblib", ".pt", ".py"))]
    assert open_release(folder).digest == status.champion


def test_the_report_and_the_card_can_be_read(trained):
    html = trained.report().read_text()
    assert html.lower().startswith("<!doctype html>")
    assert "<script src" not in html
    card = (trained.report().parent / "card.md").read_text()
    assert "log_loss" in card


def test_the_evaluation_is_strict_json_with_intervals(trained):
    text = (trained.report().parent / "evaluation.json").read_text()
    record = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    scores = {s["metric"]: s for s in record["scores"]}
    assert scores["roc_auc"]["value"] > 0.95
    assert scores["roc_auc"]["low"] <= scores["roc_auc"]["value"] <= scores["roc_auc"]["high"]


def test_predictions_of_a_file_keep_its_order(trained, tmp_path):
    source = trained.product.folder.parent / "cancer.csv"
    for ending in ("csv", "parquet", "jsonl"):
        result = trained.predict(source, tmp_path / f"out.{ending}")
        assert result.rows == 569
    table = pyarrow.csv.read_csv(tmp_path / "out.csv")
    truth = pyarrow.csv.read_csv(source).column("target").to_pylist()
    labels = table.column("label").to_pylist()
    assert np.mean([a == b for a, b in zip(labels, truth, strict=True)]) > 0.95
    shares = np.array(table.column("probability_malignant")) + np.array(table.column("probability_benign"))
    assert np.allclose(shares, 1.0)


def test_an_input_without_a_needed_column_is_refused_and_writes_nothing(trained, tmp_path):
    (tmp_path / "bad.csv").write_text("mean_radius,mean_textur\n1,2\n3,4\n")
    with pytest.raises(BadInput) as bad:
        trained.predict(tmp_path / "bad.csv", tmp_path / "out.csv")
    assert bad.value.code == "input-invalid"
    assert any(t.meant == "mean_textur" for t in bad.value.troubles)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.csv"]


def test_an_explanation_adds_up(trained):
    found = trained.explain(row=3)
    assert found.base + sum(c.contribution for c in found.contributions) == pytest.approx(found.output, abs=1e-9)
    assert abs(found.contributions[0].contribution) >= abs(found.contributions[-1].contribution)
    with pytest.raises(BadInput) as bad:
        trained.explain(row=10**6)
    assert bad.value.code == "row-missing"


def test_checks_report_without_training(trained):
    report = trained.check(train_checks=False)
    assert report.passed
    assert report.rows == 569
    assert set(report.quality) == {"completeness", "diversity", "accuracy", "privacy"}
    assert report.report.is_file()
    assert report.estimate.memory_bytes < report.estimate.memory_free


def test_nothing_to_roll_back_to_is_said(tmp_path):
    with pytest.raises(BadInput) as bad:
        product(tmp_path).rollback()
    assert bad.value.code == "nothing-to-roll-back"


@pytest.mark.parametrize("call", ["explain", "report", "improve", "predict"])
def test_stages_that_need_a_release_say_so(tmp_path, call):
    handle = product(tmp_path)
    arguments = {"explain": (1,), "predict": (tmp_path / "cancer.csv", tmp_path / "out.csv")}
    with pytest.raises(BadInput) as bad:
        getattr(handle, call)(*arguments.get(call, ()))
    assert bad.value.code == "no-release"
    assert "volant train" in str(bad.value)


def answer(handle, rows, labels, *, actor=None, audit=True, subjects=None):
    """Log predictions as the service does, and give feedback on them."""
    from volant.core.ids import uuid7
    from volant.core.records import Feedback

    release = handle.status().champion
    opened = open_release(handle.product.home / "candidates" / release)
    with open_store(handle.product.home) as store:
        from volant.runtime.rows import answers, rows_to_batch

        outputs = answers(opened.predict(rows_to_batch(rows, opened.signature)[0]), opened.signature)
        records = [
            PredictionRecord(
                id=uuid7(),
                release=release,
                at="2026-01-01T00:00:00+00:00",
                input=row,
                output=out,
                audit=audit,
                subject=subject,
            )
            for row, out, subject in zip(rows, outputs, subjects or [None] * len(rows), strict=True)
        ]
        log = store.prediction_log()
        log.append(records)
        log.close()
        store.index_segments()
        store.add_feedback(
            [
                Feedback(r.id, "correction", label, actor or f"user{i % 7}", target="target")
                for i, (r, label) in enumerate(zip(records, labels, strict=True))
            ]
        )
    return records


def split_product(folder: Path, known: int, name: str = "cancer", *, unknown: str = "") -> tuple:
    """A product on the first `known` rows of a table, and the others as traffic with their labels.

    Rows of the class `unknown` are in the traffic only.
    """
    path = write_csv(folder / "all.csv", name)
    table = pyarrow.csv.read_csv(path, convert_options=pyarrow.csv.ConvertOptions(column_types={"target": pa.string()}))
    table = table.take(np.random.default_rng(0).permutation(len(table)))
    is_known = np.array([v != unknown for v in table.column("target").to_pylist()])
    chosen = np.flatnonzero(is_known)[:known]
    pyarrow.csv.write_csv(table.take(chosen), folder / "some.csv")
    new(name, str(folder / "some.csv"), "target", folder=folder / "product", task="classify")
    file = folder / "product" / "volant.toml"
    rules = '\n[train]\nbudget = "7 units"\nthreads = 1\n[feedback]\naudit = 1.0\n'
    text = file.read_text().split("[data.split]")[0].split("[columns]")[0]
    file.write_text(text + "[data.split]\njudge = 0.4\ntest = 0.1\n" + rules)
    traffic = table.take(np.setdiff1d(np.arange(len(table)), chosen))
    labels = traffic.column("target").to_pylist()
    return ProductHandle.at(folder / "product"), traffic.drop_columns(["target"]).to_pylist(), labels


def test_a_class_that_users_bring_enters_the_contract(tmp_path):
    handle, rows, labels = split_product(tmp_path, 900, "digits", unknown="3")
    first = handle.train()
    release = open_release(handle.product.home / "candidates" / first.candidate)
    assert "3" not in release.signature.classes
    answer(handle, rows[:600], labels[:600])
    turn = handle.improve()
    assert turn.labels.new_classes == ("3",)
    brought = open_release(handle.product.home / "candidates" / turn.train.candidate).signature
    assert brought.classes == tuple("0123456789")
    assert brought.contract == release.signature.contract + 1
    slices = {c.slice: c for c in turn.train.verdict.comparisons}
    assert {"", "class=3"} <= set(slices)
    assert slices["class=3"].low > 0


def test_feedback_becomes_labels_a_new_version_and_a_judged_challenger(tmp_path):
    handle, rows, labels = split_product(tmp_path, 200)
    first = handle.train()
    assert first.promoted
    answer(handle, rows[:300], labels[:300])
    turn = handle.improve()
    assert turn.outcome in ("promoted", "refused")
    assert turn.labels.accepted > 150
    assert turn.labels.judged > 15
    assert turn.train.dataset != first.dataset
    assert turn.train.verdict.champion == first.candidate
    assert turn.train.verdict.turn == 1
    assert handle.history()[-1].kind == {"promoted": "promote", "refused": "refuse"}[turn.outcome]
    again = handle.improve()
    assert again.outcome == "nothing-to-learn"
    assert again.champion_after == turn.champion_after


def test_liars_are_not_believed_and_do_not_get_through_the_gate(tmp_path):
    handle, rows, labels = split_product(tmp_path, 300)
    first = handle.train()
    wrong = {"malignant": "benign", "benign": "malignant"}
    answer(handle, rows[:200], [wrong[v] for v in labels[:200]], actor="liar")
    turn = handle.improve()
    assert turn.champion_after == first.candidate
    assert turn.labels.accepted == 0
    assert turn.labels.rejected + turn.labels.held > 150


def test_the_test_set_never_learns_from_feedback(tmp_path):
    from volant.data.dataset import open_dataset

    handle, rows, labels = split_product(tmp_path, 200)
    first = handle.train()
    answer(handle, rows[:200], labels[:200])
    turn = handle.improve()
    before = open_dataset(handle.product.home / "datasets" / first.dataset)
    after = open_dataset(handle.product.home / "datasets" / turn.train.dataset)
    assert sorted(after.part("test").keys()) == sorted(before.part("test").keys())
    assert not set(after.part("train").keys()) & set(after.part("judge").keys()) - set()
    assert not set(after.part("train").keys()) & set(after.part("test").keys())
    assert (after.sides()[: len(before)] == before.sides()).all()


def test_rollback_and_promote_move_between_passed_releases(tmp_path):
    handle = product(tmp_path)
    first = handle.train(budget="1 units")
    second = handle.train()
    assert [first.promoted, second.promoted] == [True, True]
    back = handle.rollback(reason="it was slower")
    assert back.release == first.candidate
    assert handle.status().champion == first.candidate
    assert handle.history()[-1].reason == "it was slower"
    with pytest.raises(BadInput):
        handle.rollback()
    forth = handle.promote(second.candidate[:10])
    assert forth.release == handle.status().champion == second.candidate


def test_a_refused_candidate_cannot_be_promoted_by_hand(tmp_path):
    handle = product(tmp_path, extra="[quality]\nminimum = { accuracy = 1.1 }\n")
    result = handle.train()
    assert not result.promoted
    assert any("accuracy" in r for r in result.verdict.reasons)
    assert handle.status().champion is None
    with pytest.raises(Refused) as bad:
        handle.promote(result.candidate)
    assert bad.value.code == "gate-refused"


def test_training_again_on_the_same_data_changes_nothing(trained):
    before = trained.history()
    result = trained.train()
    assert result.candidate == trained.status().champion
    assert result.verdict is None
    assert "nothing has changed" in result.note
    assert trained.history() == before


SCRIPT = """
import sys, volant
print(volant.open(sys.argv[1]).train().candidate)
"""


def test_two_fresh_processes_make_the_same_release(trained, tmp_path):
    digests = []
    for name in "ab":
        handle = product(tmp_path / name)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(handle.product.folder)], capture_output=True, text=True, check=True
        )
        digests.append(done.stdout.strip())
    assert digests[0] == digests[1] == trained.status().champion


@pytest.mark.parametrize(
    ("name", "task", "metric", "least"), [("wine", "classify", "accuracy", 0.9), ("diabetes", "regress", "r2", 0.2)]
)
def test_other_tables_go_the_same_way(tmp_path, name, task, metric, least):
    handle = product(tmp_path, name, extra="[data.split]\njudge = 0.3\ntest = 0.2\n")
    assert handle.product.file.task.type == task
    result = handle.train()
    assert {s.metric: s.value for s in result.judged}[metric] > least
    assert result.promoted


def test_the_report_is_completed_when_it_is_asked_for(trained):
    path = trained.report()
    html = path.read_text()
    for said in ("What its columns add", "How answers move with its columns", "In rules"):
        assert said in html
    written = path.stat().st_mtime_ns
    assert trained.report().stat().st_mtime_ns == written, "what is known is not looked for again"


def test_the_report_of_a_hurried_training_gets_its_importance_later(trained):
    facts = json.loads((trained.report().parent / "report.json").read_text())
    del facts["behaviour"]
    facts["evaluation"]["importance"] = []
    (trained.report().parent / "report.json").write_text(json.dumps(facts))
    assert "What it relies on" in trained.report().read_text()


def test_typical_rows_lie_in_the_release_and_are_nobodys(trained):
    folder = trained.product.home / "candidates" / trained.status().champion
    columns = json.loads((folder / "background.json").read_text())["columns"]
    assert "background.json" in json.loads((folder / "manifest.json").read_text())["files"]
    assert "background.json" not in json.loads((folder / "manifest.json").read_text())["model"]
    table = pyarrow.csv.read_csv(trained.product.folder.parent / "cancer.csv")
    people = set(zip(*(table.column(name).to_pylist() for name in columns), strict=True))
    typical = set(zip(*columns.values(), strict=True))
    assert len(typical) >= 8
    assert not typical & people


@pytest.mark.parametrize("method", ["shap", "lime"])
def test_an_explanation_says_how_it_was_made_and_why(trained, method):
    found = trained.explain(row=3, method=method, reasons=2)
    assert found.base + sum(c.contribution for c in found.contributions) == pytest.approx(found.output, rel=1e-6)
    assert (found.fit is None) == (method == "shap")
    assert len(found.reasons) == 2
    assert found.reasons[0].startswith(found.contributions[0].column) or found.contributions[0].contribution < 0
    other = next(c for c in ("benign", "malignant") if c != found.label)
    assert trained.explain(row=3, method=method, label=other).answer == pytest.approx(1 - found.answer)
