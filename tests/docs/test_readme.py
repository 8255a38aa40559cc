"""The READMEs show the same commands, and every command exists with the options that it is given."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

from volant.cli.main import COMMANDS, command

ROOT = Path(__file__).parents[2]


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


examples = script("readme_examples")


def shown(page):
    text = page.read_text(encoding="utf-8")
    return [line for block in examples.blocks(text) for line in examples.commands(block)]


def test_both_languages_show_the_same_commands():
    english, chinese = map(shown, examples.PAGES)
    assert english == chinese != []


@pytest.mark.parametrize("line", [line for line in shown(examples.PAGES[0]) if line.startswith("volant")])
def test_a_shown_command_exists_with_its_options(line):
    words = shlex.split(line.removesuffix("&").replace("\\\n", " "))[1:]
    if words[0] == "-C":
        words = words[2:]
    assert words[0] in COMMANDS
    made = command(words[0])
    options = {name for parameter in made.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if re.match(r"--?[a-zA-Z]", word)} <= options
    with typer.Context(made, info_name=words[0]) as context:
        made.parse_args(context, words[1:])


def test_the_files_that_the_commands_run_exist():
    paths = {word for line in shown(examples.PAGES[0]) for word in line.split() if word.startswith("examples/")}
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_the_newcomer_walks_the_whole_wheel():
    said = " ".join(shown(examples.PAGES[0]))
    for stage in ("new", "check", "train", "report", "predict", "explain", "serve", "improve", "history", "status"):
        assert f" {stage}" in said


def test_blocks_are_found_with_commands_over_several_lines():
    text = "<!-- run -->\n```console\n$ one \\\n  two\nsaid\n$ three '{\n}'\n```\n```console\n$ not run\n```\n"
    assert [list(examples.commands(block)) for block in examples.blocks(text)] == [["one \\\n  two", "three '{\n}'"]]
