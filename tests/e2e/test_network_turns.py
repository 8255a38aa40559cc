"""A turn of the wheel with networks of pictures: what users say through HTTP changes the release that serves them."""

from __future__ import annotations

import base64

import httpx
import numpy as np
import pytest
from sklearn.datasets import load_digits
from tests.pictures import digit, folder_of_digits

from volant.store import open_store
from volant.testing.served import served, wait_for_release
from volant.wheel.handle import ProductHandle
from volant.wheel.new import new

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

SETTINGS = """
[train]
budget = "2 units"
threads = 1
learners = ["{learner}"]
[train.options.{learner}]
{options}
[data.split]
judge = 0.4
test = 0.1
[feedback]
audit = 1.0
"""
OPTIONS = {"cnn": "epochs = 16", "convnet": 'epochs = 8\nwidths = "12,24,32"\nbatch = 32'}
FEW, MANY = 200, 400


def made(folder, learner, more="") -> ProductHandle:
    folder_of_digits(folder / "photos", FEW)
    new("digits", str(folder / "photos"), folder=folder / "product")
    file = folder / "product" / "volant.toml"
    text = file.read_text().split("[data.split]")[0].split("[columns]")[0]
    file.write_text(text + SETTINGS.format(learner=learner, options=OPTIONS[learner]) + more)
    return ProductHandle.at(folder / "product")


def begun(handle):
    """The release that the last candidate went on from, and in which way."""
    with open_store(handle.product.home) as store:
        facts = store.candidates()[-1].facts
    return facts.get("from"), facts.get("way")


def asked(client, pictures):
    rows = [{"image": base64.b64encode(data).decode()} for data in pictures]
    answer = client.post("/v1/predict", json={"rows": rows})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(("learner", "way"), [("cnn", "scratch"), ("convnet", "scratch"), ("convnet", "warm")])
def test_feedback_through_http_promotes_another_network(tmp_path, learner, way):
    handle = made(tmp_path, learner, f'[improve]\nlearning = "{way}"\nreplay = 60\n')
    first = handle.train()
    assert first.promoted, first.verdict.reasons
    assert sum(e.weight for e in first.leaderboard if e.learner == learner) == pytest.approx(1.0)
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    taught, fresh = order[FEW : FEW + MANY], order[FEW + MANY : FEW + 2 * MANY]
    truths = [str(found.target[i]) for i in order]
    with served(handle.product.folder) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        told = asked(client, [digit(found.images[i]) for i in taught])
        assert first.candidate.startswith(told["release"])
        said = [
            {"prediction_id": one["id"], "kind": "correction", "value": truth, "actor": f"user{i % 7}"}
            for i, (one, truth) in enumerate(zip(told["predictions"], truths[FEW:], strict=False))
        ]
        assert client.post("/v1/feedback", json={"feedback": said}).status_code == 200
        turn = handle.improve()
        assert turn.outcome == "promoted", turn.train.verdict.reasons
        assert turn.champion_after == turn.train.candidate != first.candidate
        assert begun(handle) == ((first.candidate, "warm") if way == "warm" else (None, None))
        name = wait_for_release(service.url, turn.champion_after)
        later = asked(client, [digit(found.images[i]) for i in fresh])
    assert later["release"] == name
    right = [one["label"] == truth for one, truth in zip(later["predictions"], truths[FEW + MANY :], strict=False)]
    assert np.mean(right) > (0.7 if way == "warm" else 0.85), "few steps from a network that had learned little"
