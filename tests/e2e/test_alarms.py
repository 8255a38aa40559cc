"""Alarms lead to what the product file says, whoever listens is told, and false ones stay as rare as promised."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from tests.products import product

from volant.evidence.drift import compare, of_numbers
from volant.evidence.sequential import spent
from volant.release.gate import alpha_for_turn
from volant.store import PredictionRecord, open_store
from volant.store.part import iso
from volant.wheel.context import work_on
from volant.wheel.handle import ProductHandle
from volant.wheel.notify import notify
from volant.wheel.turns import turn
from volant.wheel.watch import watch


class Heard(BaseHTTPRequestHandler):
    """A webhook that keeps what it is told."""

    def do_POST(self):
        text = self.rfile.read(int(self.headers["content-length"]))
        self.server.heard.append(json.loads(text))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def hook():
    server = HTTPServer(("127.0.0.1", 0), Heard)
    server.heard = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def moved(tmp_path_factory, hook):
    """A product whose traffic has moved away in one column; its file is written anew by each test."""
    folder = tmp_path_factory.mktemp("alarms")
    handle = product(folder, "wine", budget="1 units")
    handle.train()
    with work_on(handle.product) as context:
        from volant.wheel.collect import collect

        dataset = collect(context)
        rows = dataset.table([c.name for c in dataset.schema.inputs]).to_pylist()
        release, log = context.store.champion().release, context.store.prediction_log()
        output = {"label": "class_0", "probabilities": {"class_0": 0.9, "class_1": 0.06, "class_2": 0.04}}
        at = iso(context.clock.now())
        log.append([
            PredictionRecord(
                id=f"m{i:04d}", release=release, at=at, input={**row, "alcohol": row["alcohol"] + 4}, output=output
            )
            for i, row in enumerate(rows * 3)
        ])  # fmt: skip
        log.close()
    return handle


def told(handle, hook, monkeypatch, action, folder):
    """A turn under a rule; what the webhook and the program heard of it."""
    file, mail = handle.product.folder / "volant.toml", folder / f"{action}.json"
    program = f"import sys, pathlib; pathlib.Path({str(mail)!r}).write_text(sys.stdin.read())"
    command = json.dumps([sys.executable, "-c", program])
    rules = f'\n[improve]\non_drift = "{action}"\n[notify]\nurl = "${{OPS_HOOK}}"\ncommand = {command}\n'
    file.write_text(file.read_text().split("\n[improve]")[0] + rules)
    monkeypatch.setenv("OPS_HOOK", f"http://127.0.0.1:{hook.server_port}/hook")
    before = len(hook.heard)
    with work_on(ProductHandle.at(handle.product.folder).product) as context:
        done = turn(context)
        alarms = [one for one in context.store.alarms() if one.facts.get("turn") == done.id]
    return done, alarms, hook.heard[before:], json.loads(mail.read_text()) if mail.exists() else None


def test_an_alarm_is_told_by_webhook_and_by_a_program_and_names_what_follows(moved, hook, monkeypatch, tmp_path):
    done, alarms, heard, mailed = told(moved, hook, monkeypatch, "tell", tmp_path)
    assert ("input", "alcohol", "tell") in [(one.kind, one.what, one.action) for one in alarms]
    assert len(heard) == 1
    assert heard[0] == mailed
    assert {one["action"] for one in heard[0]["alarms"]} == {"tell"}
    assert done.steps["learn"]["why"] == "labels"
    assert {one["result"] for one in done.steps["tell"]["told"]} == {"sent"}


def test_an_alarm_may_lead_to_a_record_alone(moved, hook, monkeypatch, tmp_path):
    done, alarms, heard, mailed = told(moved, hook, monkeypatch, "nothing", tmp_path)
    assert {one.action for one in alarms} == {"nothing"}
    assert done.outcome == "nothing-to-learn"
    assert not heard
    assert mailed is None


def test_an_alarm_leads_to_a_turn_on_the_source_as_it_is_now(moved, hook, monkeypatch, tmp_path):
    done, alarms, heard, _ = told(moved, hook, monkeypatch, "improve", tmp_path)
    assert {one.action for one in alarms} == {"improve"}
    assert done.steps["learn"]["why"] == "drift"
    assert heard[0]["alarms"]


def test_whoever_does_not_listen_holds_nothing_up(moved, monkeypatch):
    file = moved.product.folder / "volant.toml"
    text = file.read_text().split("\n[improve]")[0]
    file.write_text(text + '\n[notify]\nurl = "http://127.0.0.1:9/"\ncommand = ["no-such-program"]\n')
    with work_on(ProductHandle.at(moved.product.folder).product) as context:
        done = notify(context, {"product": "wine"})
    assert [one["to"] for one in done] == ["url", "no-such-program"]
    assert not [one for one in done if one["result"] == "sent"]


def test_looks_at_one_champion_share_one_alpha(moved):
    """Each look, at all columns, spends less than the one before; all of them together no more than `drift.alpha`."""
    with work_on(moved.product) as context:
        context.store.end_turn(context.store.begin_turn("by hand").id, "nothing-to-learn")
        looks = watch(context).looks
        level = watch(context).level
    assert looks > 1
    assert level == pytest.approx(spent(0.05, looks))
    assert sum(spent(0.05, look) for look in range(1, 10_000)) <= 0.05


def test_false_alarms_of_many_columns_over_many_looks_are_as_rare_as_promised():
    chance, alpha, columns, worlds = np.random.default_rng(0), 0.2, 8, 60
    reference = of_numbers(chance.normal(size=20_000))
    false = 0
    for _ in range(worlds):
        false += any(
            compare(
                "input", "x", reference, chance.normal(size=300), alpha=spent(alpha, look) / columns, least=0.02
            ).alarm
            for look in range(1, 7)
            for _ in range(columns)
        )
    assert false <= 0.3 * worlds


def test_the_status_says_what_is_left_of_the_risk(moved):
    import subprocess

    with open_store(moved.product.home) as store:
        verdicts = [one.verdict for one in store.verdicts() if one.verdict.champion is not None]
    left = 0.05 - sum(alpha_for_turn(0.05, one.turn) for one in verdicts)
    command = [sys.executable, "-m", "volant.cli.main", "-C", str(moved.product.folder)]
    said = subprocess.run([*command, "status"], capture_output=True, text=True, check=True).stdout
    assert f"{left:.4f} of the allowed risk" in " ".join(said.split())
    record = json.loads(subprocess.run([*command, "--json", "status"], capture_output=True, check=True).stdout)
    assert record["alpha_left"] == pytest.approx(left, abs=1e-6)
    assert record["turns"] == len(verdicts)
