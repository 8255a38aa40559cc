"""The package as it is declared: every dependency is pinned, and none binds those who use volant."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BINDING = re.compile(
    r"affero|agpl|business source|\bbsl\b(?!-1\.0)|busl|non-?commercial|sspl|server side public", re.IGNORECASE
)


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name.strip(), maxsplit=1)[0]).lower()


def declared() -> list[str]:
    extras = [name for group in PROJECT["project"]["optional-dependencies"].values() for name in group]
    listed = [*PROJECT["project"]["dependencies"], *extras, *PROJECT["dependency-groups"]["dev"]]
    return [name for name in listed if not name.startswith("volant[") and "== 'darwin'" not in name]


def pins() -> dict[str, str]:
    lines = (line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#"))
    return {plain(line): line.partition("==")[2] for line in lines}


def test_every_dependency_is_pinned_exactly():
    assert {plain(name) for name in declared()} <= set(pins())
    assert all(pins().values())


def test_a_dependency_names_the_least_version_that_it_needs():
    assert [name for name in declared() if ">=" not in name] == []


@pytest.mark.parametrize("name", pins())
def test_no_dependency_has_a_licence_that_binds_its_users(name):
    try:
        found = metadata(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    said = [found.get("License-Expression") or "", (found.get("License") or "")[:200]]
    said += [line for line in found.get_all("Classifier") or [] if line.startswith("License")]
    assert not BINDING.search(" ".join(said))
