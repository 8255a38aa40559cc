"""What goes wrong: the message, its form, the exit status."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from volant.errors import BadInput, Failure, Refused, Trouble

ERRORS = {
    1: Refused("the gate refused", code="gate-refused", fix="collect more labels"),
    2: BadInput("there is no column", code="column-missing", where="volant.toml, line 7", got="aeg", choices=["age"]),
    3: Failure("the store cannot be opened", code="store-unavailable"),
}


@pytest.mark.parametrize("status", ERRORS)
def test_the_class_of_an_error_decides_the_status(call, product, status):
    product.error = ERRORS[status]
    said = call("status")
    assert said.status == status
    assert said.out == ""
    assert ERRORS[status].what in said.err
    assert f"docs/errors/{ERRORS[status].code}.md" in said.err


def test_an_error_says_what_where_got_choices_and_what_was_meant(call, product):
    product.error = ERRORS[2]
    said = call("status").err
    for part in ("where: volant.toml, line 7", "got: aeg", "choices: age", "did you mean: age"):
        assert part in said


def test_every_trouble_is_shown(call, product):
    troubles = [Trouble("one is wrong", "line 1"), Trouble("two is wrong", "line 2")]
    product.error = BadInput("the file has 2 problems", code="product-file-invalid", troubles=troubles)
    said = call("status").err
    assert said.index("2 problems") < said.index("one is wrong") < said.index("two is wrong")


def test_brackets_in_an_error_are_text(call, product):
    product.error = BadInput("rows[3].age is [bold]", code="input-invalid", where="rows[3].age")
    assert "rows[3].age is [bold]" in call("status").err


@pytest.mark.parametrize("status", ERRORS)
def test_errors_are_json_too(call, product, status):
    product.error = ERRORS[status]
    said = call("status", "--json")
    assert said.status == status
    assert said.json() == json.loads(json.dumps(ERRORS[status].record()))
    assert said.err == ""


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["trian"], "train"), (["histroy", "--json"], "history"), (["learner"], "learners")],
)
def test_an_unknown_command_names_the_nearest(call, words, meant):
    said = call(*words)
    assert said.status == 2
    if "--json" in words:
        assert said.json()["troubles"][0]["meant"] == meant
    else:
        assert f"did you mean: {meant}" in said.err


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--bugdet", "5m"],
        ["new", "churn"],
        ["predict", "--input", "rows.csv"],
        ["explain", "--row", "three"],
        ["feedback"],
        ["feedback", "improt", "f.csv"],
        ["status", "extra"],
        ["--nothing"],
    ],
    ids=" ".join,
)
def test_bad_usage_has_status_2_and_says_where_to_look(call, product, words):
    said = call(*words)
    assert said.status == 2
    assert "--help" in said.err
    assert "docs/errors/usage.md" in said.err
    assert call(*words, "--json").json()["error"] == "usage"


def test_a_misspelt_option_names_the_nearest(call):
    assert "--budget" in call("train", "--bugdet", "5m").err


def test_without_words_the_help_is_shown(call):
    said = call()
    assert said.status == 0
    assert "Commands:" in said.out


def test_the_version(call):
    import volant

    assert call("--version").out == f"volant {volant.__version__}\n"


def test_interrupted(call, product):
    product.error = KeyboardInterrupt()
    said = call("train")
    assert said.status == 130
    assert "stopped" in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert call("train", "--json").json()["error"] == "interrupted"


def test_what_nobody_foresaw_is_one_clear_line_and_a_file(call, product, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    product.error = ZeroDivisionError("secret cell")
    said = call("train")
    assert said.status == 3
    assert "something went wrong inside volant: ZeroDivisionError" in said.err
    assert "Traceback" not in said.err
    assert "secret cell" not in said.err
    kept = next(tmp_path.iterdir())
    assert str(kept) in said.err.replace("\n", "")
    assert "ZeroDivisionError: secret cell" in kept.read_text()


def test_debugging_shows_the_traceback(call, product, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("VOLANT_DEBUG", "1")
    product.error = ZeroDivisionError()
    assert "Traceback" in call("train").err


@pytest.mark.parametrize(
    ("error", "code"),
    [(MemoryError(), "too-large"), (OSError(errno.ENOSPC, "no space"), "store-full")],
)
def test_resources_that_end_are_failures_with_a_name(call, product, error, code):
    product.error = error
    said = call("train", "--json")
    assert said.status == 3
    assert said.json()["error"] == code


def test_no_product_here(call, tmp_path):
    pytest.importorskip("volant.wheel.handle")
    said = call("-C", str(tmp_path), "status")
    assert said.status == 2
    assert "volant new" in said.err
    assert list(Path(tmp_path).iterdir()) == []
