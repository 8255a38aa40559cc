"""The demonstration as a newcomer runs it: one command, no torch, exit status 0, nothing left running."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import volant
from volant.errors import BadInput

WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from volant.cli.main import run
run()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("demo") / "digits"


@pytest.fixture(scope="module")
def told(folder) -> dict:
    command = [sys.executable, "-c", WITHOUT_TORCH, "-C", str(folder), "demo", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def test_the_last_champion_is_significantly_better_than_the_first(told):
    assert told["passed"]
    assert told["gain"]["low"] > 0
    assert told["gain"]["p_value"] < 0.05
    assert told["last"]["value"] - told["first"]["value"] == pytest.approx(told["gain"]["difference"])
    assert (told["labelled"], told["hidden"], told["last"]["n"]) == (150, 500, 500)


def test_every_round_turned_the_wheel(told):
    assert [one["number"] for one in told["rounds"]] == [1, 2, 3, 4]
    assert "promoted" in [one["outcome"] for one in told["rounds"]]
    for one in told["rounds"]:
        assert one["outcome"] in ("promoted", "refused")
        assert one["reason"]
        assert one["challenger"]["low"] < one["challenger"]["value"] < one["challenger"]["high"]
    accepted = [one["accepted"] + one["judged"] for one in told["rounds"]]
    assert accepted == sorted(accepted)
    assert accepted[-1] > 900


def test_stubborn_users_are_seen_through(told):
    assert (told["users"], told["stubborn"]) == (100, 3)
    assert told["rounds"][-1]["rejected"] >= 15


def test_the_poisoned_challenger_is_refused(told):
    attack = told["poisoned"]
    assert attack["refused"]
    assert attack["reason"]
    assert attack["challenger"]["value"] < attack["champion"]["value"]


def test_a_rollback_is_served_without_a_restart(told):
    back = told["rollback"]
    assert back["previous"].startswith(back["answered"])
    assert back["previous"] != back["champion"] == back["restored"]


def test_the_product_stays_and_can_be_used(told, folder):
    product = volant.open(told["folder"])
    assert Path(told["folder"]) == folder
    assert "rollback" in [event.kind for event in product.history()]
    assert product.status().champion == told["rollback"]["restored"]
    assert any(line.endswith("serve") for line in told["next"])


def test_a_folder_in_use_is_left_alone(tmp_path):
    from volant.testing.demo import demo

    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(BadInput, match="empty folder"):
        demo(folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
