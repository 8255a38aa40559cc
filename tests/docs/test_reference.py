"""Nothing goes undocumented, and no page says what the code does not."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from volant.cli.main import COMMANDS
from volant.core import plugins
from volant.core.product import json_schema
from volant.errors import CODES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = script("reference")


@pytest.mark.parametrize("page", reference.PAGES)
def test_a_page_that_follows_from_the_code_is_current(page, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert (DOCS / page).read_text(encoding="utf-8") == reference.PAGES[page](), "run `make docs`"


def keys(schema, table, path=()):
    for name, field in table.get("properties", {}).items():
        inner = field.get("additionalProperties", field)
        ref = inner.get("$ref") if isinstance(inner, dict) else None
        if ref:
            yield from keys(schema, schema["$defs"][ref.rpartition("/")[2]], (*path, name))
        else:
            yield (*path, name), field


def test_every_key_of_the_product_file_says_what_it_is_for():
    schema = json_schema()
    silent = [".".join(path) for path, field in keys(schema, schema) if not field.get("description")]
    assert silent == []


def test_the_pages_of_errors_are_those_of_the_codes():
    pages = {path.stem for path in (DOCS / "errors").glob("*.md")} - {"README"}
    assert pages == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_an_error_page_says_why_what_to_do_and_shows_it(code):
    text = (DOCS / "errors" / f"{code}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# `{code}`\n")
    for heading in ("## Why", "## What to do", "## Example"):
        assert heading in text
    assert "```" in text


@pytest.mark.parametrize("kind", ["tasks", "learners", "columns", "checks"])
def test_every_plugin_is_documented(kind):
    text = (DOCS / "reference" / f"{kind}.md").read_text(encoding="utf-8")
    own = [name for name, entry in plugins.entries(kind).items() if entry.value.startswith("volant.")]
    assert [name for name in own if f"`{name}`" not in text] == []


def test_every_option_of_a_learner_is_documented_with_its_default():
    from dataclasses import fields

    text = (DOCS / "reference" / "learners.md").read_text(encoding="utf-8")
    for name, entry in plugins.entries("learners").items():
        if entry.value.startswith("volant."):
            options = fields(plugins.load("learners", name).options)
            rows = [f"| `{field.name}` | {str(field.default).lower()} |" for field in options]
            assert [row for row in rows if row not in text] == []


def test_every_metric_and_kind_of_feedback_is_documented():
    text = (DOCS / "reference" / "tasks.md").read_text(encoding="utf-8")
    for name, entry in plugins.entries("tasks").items():
        if entry.value.startswith("volant."):
            task = plugins.load("tasks", name)
            said = [*task.metrics, *(kind.name for kind in task.feedback)]
            assert [word for word in said if f"`{word}`" not in text] == []


def markdown():
    pages = [path for path in DOCS.rglob("*.md")] + [path for path in ROOT.glob("*.md")]
    return sorted(path for path in pages if ".venv" not in path.parts)


def anchors(path):
    headings = re.findall(r"^#+\s+(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", markdown(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", markdown(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_in_the_docs_exists(page):
    said = re.findall(r"(?:^\$ |`)volant (?:-C \S+ |--json )*([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(said) - set(COMMANDS) == set()


@pytest.mark.parametrize("page", markdown(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_product_file_in_the_docs_is_valid_toml_with_known_keys(page):
    import tomllib

    schema = json_schema()
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        found = tomllib.loads(block)
        if "project" not in found:
            assert unknown(found, schema, schema) == []


def unknown(value, table, schema, path=()):
    """The keys of a product file that its schema does not know."""
    reference = table.get("$ref")
    if reference:
        return unknown(value, schema["$defs"][reference.rpartition("/")[2]], schema, path)
    if not isinstance(value, dict):
        return []
    if isinstance(table.get("additionalProperties"), dict):
        return [
            key
            for name, inner in value.items()
            for key in unknown(inner, table["additionalProperties"], schema, (*path, name))
        ]
    found = []
    for name, inner in value.items():
        known = table.get("properties", {}).get(name)
        found += [".".join((*path, name))] if known is None else unknown(inner, known, schema, (*path, name))
    return found


def test_the_schema_in_the_docs_is_json():
    assert json.loads((DOCS / "reference" / "volant.schema.json").read_text())["title"] == "volant.toml"
