"""The architecture, enforced: who may import whom, and what nobody may do. Reads the imports of every module."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import volant

SOURCE = Path(volant.__file__).parent
LEVELS = (
    ("errors",),
    ("core",),
    ("bind",),
    ("columns", "store"),
    ("data", "runtime"),
    ("tasks", "neural", "release"),
    ("learners", "evaluate"),
    ("search", "compress", "evidence"),
    ("wheel",),
    ("serve",),
    ("testing",),
    ("console", "cli"),
)
LEVEL = {package: level for level, packages in enumerate(LEVELS) for package in packages}
BOUND = {"lightgbm", "catboost", "xgboost", "onnx", "cleanlab", "openpyxl"}
"""Libraries that need translating: only `bind/` imports them."""
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "joblib", "cloudpickle", "dill", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
PLUGINS = {
    "tasks": {"classify", "regress", "tag"},
    "learners": {
        "prior",
        "linear",
        "boosted_trees",
        "catboost",
        "xgboost",
        "extra_trees",
        "neighbours",
        "network",
        "mlp",
        "image_features",
        "cnn",
        "convnet",
        "resnet",
        "vit",
        "backbone",
    },
    "columns": {"number", "category", "boolean", "timestamp", "text", "id", "list", "json", "image", "labels"},
    "checks": {
        "absent_columns",
        "class_imbalance",
        "conflicting_duplicates",
        "constant_columns",
        "drift",
        "encoding_damage",
        "enough_rows",
        "exact_duplicates",
        "id_like",
        "impossible_values",
        "leakage",
        "missing_tells",
        "missing_values",
        "mixed_formats",
        "near_duplicates",
        "outliers",
        "personal_data",
        "rare_categories",
        "row_order",
        "target_copy",
        "target_values",
        "usable_inputs",
        "wrong_labels",
        "unreadable_media",
        "blank_pictures",
        "odd_sizes",
        "near_pictures",
        "picture_leaks",
    },
}
DECLARED = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["entry-points"]


class Import(NamedTuple):
    """One import: of `name`, on `line` of `path`."""

    path: Path
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(SOURCE.parent)}:{self.line} imports {self.name}"


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def typing_only(module: ast.Module) -> set[int]:
    """The lines of imports that exist for type checkers alone."""
    guarded = (n for n in ast.walk(module) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test))
    return {
        inner.lineno for block in guarded for node in block.body for inner in ast.walk(node) if hasattr(inner, "lineno")
    }


def imports(path: Path) -> Iterator[Import]:
    """Every import of a module, at its top or inside a function; those for type checkers too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (Import(path, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _from(path, node)


def _from(path: Path, node: ast.ImportFrom) -> Iterator[Import]:
    base = node.module or ""
    if node.level:
        parts = ("volant", *path.relative_to(SOURCE).with_suffix("").parts)
        base = ".".join([*parts[: len(parts) - node.level], *([node.module] if node.module else [])])
    for alias in node.names:
        yield Import(path, node.lineno, f"{base}.{alias.name}")


def package(path: Path) -> str:
    """The folder of `volant` that a module lies in, or its own name."""
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def inside(name: str) -> str | None:
    """The package of volant that an import reaches for, or None."""
    parts = name.split(".")
    return parts[1] if parts[0] == "volant" and len(parts) > 1 and parts[1] in LEVEL else None


ALL = [found for path in modules() for found in imports(path)]


def test_every_package_has_a_level():
    packages = {package(path) for path in modules()} - {"__init__", "__main__"}
    assert packages <= set(LEVEL), "give a new package its place in the direction of imports"


def test_imports_point_one_way():
    wrong = []
    for found in ALL:
        here, there = package(found.path), inside(found.name)
        if here not in LEVEL or there is None or here == there:
            continue
        if LEVEL[there] >= LEVEL[here]:
            wrong.append(str(found))
    assert wrong == []


def test_learners_do_not_import_each_other():
    wrong = []
    for found in ALL:
        own = found.path.relative_to(SOURCE).with_suffix("").parts
        named = found.name.split(".")
        if own[0] == "learners" and named[:2] == ["volant", "learners"] and len(named) > 3:
            plugins = PLUGINS["learners"]
            if named[3] in plugins and own[-1] in plugins and named[3] != own[-1]:
                wrong.append(str(found))
    assert wrong == []


def test_only_bind_imports_what_needs_translating():
    wrong = [str(found) for found in ALL if found.name.split(".")[0] in BOUND and package(found.path) != "bind"]
    assert wrong == []


def test_nothing_imports_a_format_that_runs_code():
    assert [str(found) for found in ALL if found.name.split(".")[0] in FORBIDDEN_MODULES] == []


def calls(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, f"{path.relative_to(SOURCE.parent)}:{node.lineno} calls {node.func.id}"


def test_nothing_runs_text_as_code():
    assert [said for path in modules() for name, said in calls(path) if name in FORBIDDEN_CALLS] == []


def test_nothing_below_the_command_line_prints():
    below = [path for path in modules() if package(path) != "cli"]
    assert [said for path in below for name, said in calls(path) if name in ("print", "input")] == []


def is_program(path: Path) -> bool:
    """Whether a module can be run by itself, in a process of its own."""
    return '__name__ == "__main__"' in path.read_text(encoding="utf-8")


def test_standard_output_belongs_to_programs():
    wrong = []
    for path in modules():
        if package(path) == "cli" or is_program(path):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr"):
                wrong.append(f"{path.relative_to(SOURCE.parent)}:{node.lineno} {ast.unparse(node)}")
    assert wrong == []


@pytest.mark.parametrize(
    "path", [p for p in modules() if package(p) not in ("bind", "neural")], ids=lambda p: str(p.relative_to(SOURCE))
)
def test_heavy_libraries_are_imported_inside_functions(path):
    heavy = {"sklearn", "lightgbm", "catboost", "xgboost", "pandas", "cleanlab", "matplotlib", "onnx", "torch", "scipy"}
    heavy |= {"transformers", "accelerate", "peft", "captum", "mlflow", "PIL"}
    module = tree(path)
    spared = typing_only(module)
    top = [node for node in module.body if isinstance(node, ast.Import | ast.ImportFrom) and node.lineno not in spared]
    names = [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in top if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names} & heavy == set()


@pytest.mark.parametrize("kind", PLUGINS)
def test_the_names_in_the_registry_are_frozen(kind):
    """A name that a product file may hold is a promise: adding one is an edit here, removing one breaks users."""
    assert set(DECLARED[f"volant.{kind}"]) == PLUGINS[kind]


@pytest.mark.parametrize("kind", PLUGINS)
def test_what_is_installed_is_what_is_declared(kind):
    from volant.core import plugins

    own = {name: entry.value for name, entry in plugins.entries(kind).items() if entry.value.startswith("volant.")}
    assert own == DECLARED[f"volant.{kind}"], "install volant again: `make test` does"
