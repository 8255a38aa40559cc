"""A turn of the wheel with pictures: a folder becomes a service that learns from what users say of their pictures."""

from __future__ import annotations

import base64
import json

import httpx
import numpy as np
import pyarrow.csv
import pytest
from sklearn.datasets import load_digits
from tests.pictures import digit, folder_of_digits

from volant.columns.media import referred
from volant.data.dataset import open_dataset
from volant.runtime.load import open_release
from volant.store import open_store
from volant.testing.served import served
from volant.wheel.handle import ProductHandle
from volant.wheel.new import new

SETTINGS = """
[train]
budget = "4 units"
threads = 1
[data.split]
judge = 0.4
test = 0.1
[feedback]
audit = 1.0
"""
FEW, MANY = 200, 500


def made(folder) -> ProductHandle:
    folder_of_digits(folder / "photos", FEW)
    new("digits", str(folder / "photos"), folder=folder / "product")
    file = folder / "product" / "volant.toml"
    file.write_text(file.read_text().split("[data.split]")[0].split("[columns]")[0] + SETTINGS)
    return ProductHandle.at(folder / "product")


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """A product that was trained, served, asked in three ways, told the truth, and improved."""
    folder = tmp_path_factory.mktemp("digits")
    handle = made(folder)
    first = handle.train()
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))[FEW : FEW + MANY]
    pictures = [digit(found.images[i]) for i in order]
    truths = [str(found.target[i]) for i in order]
    with served(handle.product.folder) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        ids = asked(client, pictures)
        said = [
            {"prediction_id": id, "kind": "correction", "value": truth, "actor": f"user{i % 7}"}
            for i, (id, truth) in enumerate(zip(ids, truths, strict=True))
        ]
        assert client.post("/v1/feedback", json={"feedback": said}).status_code == 200
        turn = handle.improve()  # while the service runs, what it was sent is read from its log
    return handle, first, turn, pictures


def asked(client, pictures) -> list[str]:
    """The ids of predictions, asked for in all ways that there are."""
    third = len(pictures) // 3
    encoded = [base64.b64encode(data).decode() for data in pictures[:third]]
    answers = [client.post("/v1/predict", json={"rows": [{"image": text} for text in encoded]})]
    files = [("image", (f"{i}.png", data, "image/png")) for i, data in enumerate(pictures[third : 2 * third])]
    answers.append(client.post("/v1/predict", files=files))
    for data in pictures[2 * third :]:
        answers.append(client.post("/v1/predict", content=data, headers={"content-type": "image/png"}))
    for answer in answers:
        assert answer.status_code == 200, answer.text
    return [one["id"] for answer in answers for one in answer.json()["predictions"]]


def test_a_folder_becomes_a_promoted_release(turned):
    handle, first, _, _ = turned
    assert first.promoted
    scores = {s.metric: s.value for s in first.judged}
    assert scores["accuracy"] > 0.85
    folder = handle.product.home / "candidates" / first.candidate
    assert {step.op for step in open_release(folder).runner.pipeline.steps} >= {"describe_image", "onnx", "decide"}
    assert not list(folder.glob("*.png"))


def test_learners_of_tables_say_that_they_see_no_pictures(turned):
    _, first, _, _ = turned
    by_name = {entry.learner: entry for entry in first.leaderboard}
    assert sum(e.weight for e in first.leaderboard if e.learner == "image_features") == 1.0
    assert by_name["linear"].status == "unsupported"
    assert "image" in by_name["linear"].reason


def test_feedback_on_pictures_changes_the_promoted_release(turned):
    handle, first, turn, _ = turned
    assert turn.labels.accepted > 200
    assert turn.outcome == "promoted", turn.train.verdict.reasons
    assert turn.champion_after != first.candidate
    assert handle.status().champion == turn.champion_after


def test_each_picture_is_kept_once_and_named_by_its_hash(turned):
    handle, _, turn, pictures = turned
    dataset = open_dataset(handle.product.home / "datasets" / turn.train.dataset)
    fed = dataset.take(np.flatnonzero(dataset.provenance() == "feedback"))
    assert {bytes(cell) for cell in fed.batch(["image"])["image"]} <= set(pictures)
    assert dataset.has_media()
    with open_store(handle.product.home) as store:
        store.index_segments()
        named = [voice.prediction.input["image"] for voice in store.voices()]
        assert all(store.media.read(referred(name)) in pictures for name in named)
        digests = store.media.all_digests()
        assert len(np.unique(digests, axis=0)) == len(digests)
    assert not any(b"\x89PNG" in path.read_bytes() for path in (handle.product.home / "segments").iterdir())


def test_a_folder_of_pictures_is_answered(turned, tmp_path):
    handle, _, _, _ = turned
    folder_of_digits(tmp_path / "more", 30, start=1_000)
    result = handle.predict(tmp_path / "more", tmp_path / "out.csv")
    assert result.rows == 30
    table = pyarrow.csv.read_csv(tmp_path / "out.csv")
    right = [
        file.split("/")[0] == str(label)
        for file, label in zip(*(table.column(n).to_pylist() for n in ("file", "label")), strict=True)
    ]
    assert np.mean(right) > 0.8


def test_a_table_of_paths_is_answered(turned, tmp_path):
    handle, _, _, _ = turned
    folder_of_digits(tmp_path / "more", 12, start=1_000)
    paths = sorted(path.relative_to(tmp_path) for path in (tmp_path / "more").rglob("*.png"))
    (tmp_path / "in.csv").write_text("image\n" + "\n".join(map(str, paths)) + "\n")
    assert handle.predict(tmp_path / "in.csv", tmp_path / "out.jsonl").rows == 12
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert np.mean([path.parent.name == line["label"] for path, line in zip(paths, lines, strict=True)]) > 0.7


def test_training_again_changes_nothing(turned):
    handle, _, turn, _ = turned
    again = handle.improve()
    assert again.outcome == "nothing-to-learn"
    assert again.champion_after == turn.champion_after


def test_a_product_whose_media_are_gone_reads_them_again(tmp_path):
    handle = made(tmp_path)
    before = handle.check(train_checks=False).dataset
    for path in (handle.product.home / "media").glob("*.pack"):
        path.unlink()
    assert handle.check(train_checks=False).dataset == before
    assert open_dataset(handle.product.home / "datasets" / before).has_media()


def test_an_explanation_of_a_picture_does_not_quote_it(turned):
    handle, _, _, _ = turned
    found = handle.explain(row=0)
    (only,) = found.contributions
    assert only.column == "image"
    assert only.value.startswith("a file of")
    assert found.base + only.contribution == pytest.approx(found.output, abs=1e-6)
