"""Every command: what it asks of the product, what it writes, and its exit status."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from volant.cli.main import COMMANDS
from volant.core.records import Column
from volant.store.validity import Which
from volant.wheel.results import NewProduct

ON_A_PRODUCT = {
    "config": ["config"],
    "check": ["check"],
    "train": ["train"],
    "report": ["report"],
    "predict": ["predict", "--input", "in.csv", "--output", "out.csv"],
    "compress": ["compress"],
    "explain": ["explain", "--row", "3"],
    "feedback import": ["feedback", "import", "f.csv"],
    "feedback export": ["feedback", "export", "f.csv"],
    "improve": ["improve"],
    "promote": ["promote", "3f9a"],
    "rollback": ["rollback"],
    "history": ["history"],
    "status": ["status"],
}


def asked(product, name):
    return next(arguments for called, arguments in product.calls if called == name)


@pytest.mark.parametrize("words", ON_A_PRODUCT.values(), ids=ON_A_PRODUCT)
def test_the_folder_may_stand_before_or_after_the_command(call, product, words):
    assert call("-C", "churn", *words).status == 0
    assert call(*words, "--folder", "churn").status == 0
    assert [arguments["path"] for name, arguments in product.calls if name == "open"] == [Path("churn")] * 2


@pytest.mark.parametrize("words", ON_A_PRODUCT.values(), ids=ON_A_PRODUCT)
def test_json_is_one_object_and_nothing_else(call, product, words):
    after, before = call(*words, "--json"), call("--json", *words)
    assert isinstance(after.json(), dict)
    assert after.json() == before.json()
    assert after.err == before.err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example(call, name):
    said = call(name, "--help")
    assert said.status == 0
    assert f"Example: volant {name}" in said.out or "Example: volant -C churn" in said.out
    assert "--json" in said.out
    assert "--folder" in said.out


def test_the_options_of_a_sub_command_may_stand_before_it(call, product):
    told = {"accepted": 12, "duplicates": 3, "erased": 0}
    assert call("feedback", "-C", "churn", "--json", "import", "f.csv").json() == told
    assert asked(product, "open") == {"path": Path("churn")}


def test_feedback_is_chosen_by_what_the_options_name(call, product):
    by = {
        "ids": ("f1",),
        "prediction": "p",
        "actor": "bot",
        "source": "user",
        "since": "2026-01-01",
        "before": "2026-02",
    }
    words = [word for name, value in by.items() if name != "ids" for word in (f"--{name}", value)]
    assert call("feedback", "withdraw", "f1", *words, "--reason", "a script").out.strip() == "60 withdrawn"
    assert call("feedback", "restore", "f1", *words, "--json").json() == {"changed": 60, "valid": True}
    assert asked(product, "mark_feedback") == {"which": Which(**by), "valid": False, "reason": "a script"}


def test_config_is_toml(call, product):
    assert tomllib.loads(call("config").out) == {"version": 1, "name": "churn", "train": {"budget": "60s"}}


def test_check_passes_with_warnings(call, product):
    said = call("check", "--fast")
    assert said.status == 0
    assert asked(product, "check") == {"train_checks": False}
    assert "tells the target" in said.out
    assert "leave the column out" in said.out


def test_check_that_must_stop_has_status_1(call, product):
    product.severities = ("warn", "stop")
    said = call("check")
    assert said.status == 1
    assert "one finding stops training" in said.out
    assert said.out.index("stop ") < said.out.index("warn ")
    assert call("check", "--json").json()["passed"] is False


def test_train_promoted(call, product):
    said = call("train", "--budget", "2m")
    assert said.status == 0
    assert asked(product, "train") == {"budget": "2m"}
    assert "promoted" in said.out
    assert "did not converge" in said.out
    assert "2 skipped" in said.out


def test_train_refused_has_status_1_and_the_reason(call, product):
    product.promoted = False
    said = call("train")
    assert said.status == 1
    assert "the gain is not sure" in said.out


def test_a_score_that_is_not_a_number_is_null_in_json(call, product):
    assert [entry["score"] for entry in call("train", "--json").json()["leaderboard"]] == [0.41, None, None, None]


@pytest.mark.parametrize(("promoted", "status"), [(True, 0), (False, 1)])
def test_compress_shows_what_it_tried(call, product, promoted, status):
    product.promoted = promoted
    said = call("compress", "--only", "int8", "--epochs", "1")
    assert said.status == status
    assert asked(product, "compress") == {"candidate": None, "epochs": 1.0, "only": ("int8",), "progress": True}
    assert "0.3 MB" in said.out
    assert "chosen" in said.out


@pytest.mark.parametrize(("outcome", "status"), [("promoted", 0), ("refused", 1), ("nothing-to-learn", 0)])
def test_improve(call, product, outcome, status):
    product.outcome = outcome
    assert call("improve", "--json").json()["outcome"] == outcome
    assert call("improve").status == status


def test_improve_says_what_became_of_the_evidence(call, product):
    said = call("improve")
    assert "40 answers" in said.out
    assert "4: untrusted actor" in said.out
    assert "maybe" in said.out


def test_explain_takes_a_row_or_values(call, product):
    assert call("explain", "--values", '{"age": 42}').status == 0
    assert asked(product, "explain") == {
        "row": None,
        "values": {"age": 42},
        "method": "shap",
        "label": None,
        "reasons": 4,
    }
    assert call("explain").status == 2
    assert call("explain", "--row", "1", "--values", "{}").status == 2


def test_explain_says_why_and_draws_what_each_column_adds(call, product):
    said = call("explain", "--row", "3", "--method", "lime", "--label", "yes", "--reasons", "1")
    asks = asked(product, "explain")
    assert (asks["method"], asks["label"], asks["reasons"]) == ("lime", "yes", 1)
    assert "the probability of yes is 0.8" in said.out
    assert "because plan is gold: +0.3" in said.out
    assert said.out.index("plan ") < said.out.index("age ")


@pytest.mark.parametrize("values", ["{", "[1]"])
def test_explain_refuses_what_is_no_object(call, product, values):
    said = call("explain", "--values", values)
    assert said.status == 2
    assert "--values" in said.err


def test_promote_and_rollback_keep_the_reason(call, product):
    assert call("promote", "3f9a", "--reason", "agreed", "--json").json()["reason"] == "agreed"
    assert "complaints" in call("rollback", "--reason", "complaints").out


def test_history_shows_refusals_and_the_champion(call, product):
    said = call("history")
    assert "refuse" in said.out
    assert next(line for line in said.out.splitlines() if "→" in line).count("promote") == 1


def test_history_of_a_new_product(call, product, monkeypatch):
    monkeypatch.setattr(product, "history", list)
    assert "next: volant train" in call("history").out
    assert "next: volant -C churn train" in call("-C", "churn", "history").out


def test_predict_names_the_output(call, product):
    assert "out.csv" in call("predict", "--input", "in.csv", "--output", "out.csv").out


def stand_in(monkeypatch, name, **members):
    module = ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)


def test_new(call, monkeypatch):
    calls = []

    def new(name, data, target, *, folder, query, task, preset, progress):
        calls.append((name, data, target, folder, query))
        columns = (Column("age", "number", "input", "every cell is a number"),)
        return NewProduct(name, folder or Path(name), "classify", "two values", target, columns)

    stand_in(monkeypatch, "volant.wheel.new", new=new)
    said = call("new", "churn", "--data", "c.csv", "--target", "churned")
    assert said.status == 0
    assert "every cell is a number" in said.out
    call("new", "churn", "--data", "c.csv", "--target", "churned", "-C", "products", "--query", "select 1")
    assert calls == [
        ("churn", "c.csv", "churned", None, None),
        ("churn", "c.csv", "churned", Path("products/churn"), "select 1"),
    ]


def serving(monkeypatch, tmp_path, *texts):
    text = 'version = 1\nname = "churn"\n[task]\ntype = "classify"\ntarget = "y"\n[data]\nsource = "d.csv"\n'
    (tmp_path / "volant.toml").write_text(text)
    monkeypatch.setattr("volant.core.plugins.names", lambda kind: ("classify",))

    def launch(products, address, announce):
        for said in texts:
            announce(f"{said} {address.host}:{address.port} {products[0].name}")

    stand_in(monkeypatch, "volant.serve.launch", serve=launch, Address=SimpleNamespace)


def test_serve_says_where(call, monkeypatch, tmp_path):
    serving(monkeypatch, tmp_path, "serving on", "new champion at")
    said = call("-C", str(tmp_path), "serve", "--port", "0", "--host", "::1")
    assert said.out == "serving on ::1:0 churn\nnew champion at ::1:0 churn\n"


def test_serve_in_json_names_the_address_once(call, monkeypatch, tmp_path):
    serving(monkeypatch, tmp_path, "churn is served at http://127.0.0.1:8000\nready at", "new champion at")
    said = call("-C", str(tmp_path), "serve", "--json").json()
    assert said["url"] == said["products"]["churn"] == "http://127.0.0.1:8000"


def test_schema_is_a_json_schema(call):
    assert call("schema", "--json").json() == json.loads(call("schema").out)
    assert call("schema", "--json").json()["title"] == "volant.toml"


class Plugin:
    """What it is.

    And more.
    """


@pytest.mark.parametrize("kind", ["columns", "checks", "tasks", "learners"])
def test_the_installed_plugins_are_listed(call, monkeypatch, kind):
    from importlib.metadata import EntryPoint

    found = {"mine": EntryPoint("mine", "somewhere:Plugin", f"volant.{kind}")}
    monkeypatch.setattr("volant.core.plugins.entries", lambda asked: found if asked == kind else {})
    monkeypatch.setattr("volant.core.plugins.load", lambda asked, name: Plugin())
    assert call(kind, "--json").json() == {kind: [{"name": "mine", "summary": "What it is.", "from": ""}]}
    assert "What it is." in call(kind).out


@pytest.mark.parametrize("text", ["{bad", "[" * 100_000, "[1]"])
def test_values_that_are_no_object_are_bad_usage(call, product, text):
    said = call("explain", "--values", text)
    assert said.status == 2
    assert "--values" in said.err
