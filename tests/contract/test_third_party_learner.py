"""The example learner, installed like any distribution: listed, held to the contract, trained, served."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "examples" / "third_party_learner"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder into which the example is installed, by pip where a wheel can be built without a network."""
    place = tmp_path_factory.mktemp("site")
    copy = shutil.copytree(SOURCE, tmp_path_factory.mktemp("source") / "example")
    if importlib.util.find_spec("wheel") and importlib.util.find_spec("setuptools"):
        how = ["install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(place)]
        subprocess.run([sys.executable, "-m", "pip", *how, str(copy)], check=True, capture_output=True)
    else:
        lay_out(copy, place)
    return place


def lay_out(source: Path, place: Path) -> None:
    """What pip leaves behind: the modules, and the metadata that `pyproject.toml` declares."""
    declared = tomllib.loads((source / "pyproject.toml").read_text())
    project = declared["project"]
    for module in declared["tool"]["setuptools"]["py-modules"]:
        shutil.copy(source / f"{module}.py", place)
    folder = place / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    folder.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (folder / "METADATA").write_text(head)
    groups = project["entry-points"].items()
    lines = [line for group, names in groups for line in (f"[{group}]", *(f"{n} = {v}" for n, v in names.items()))]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")


def run(site: Path, code: str, *arguments: str) -> str:
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-W", "error::UserWarning", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_listed_beside_the_built_in_learners(site):
    code = "from volant.core.plugins import names; print(*names('learners'))"
    assert {"nearest_centroid", "linear", "prior"} <= set(run(site, code).split())


def test_it_keeps_the_contract(site):
    code = """
from volant.core.plugins import load
from volant.testing import check_learner
check_learner(load("learners", "nearest_centroid"))
print("kept")
"""
    assert run(site, code).strip() == "kept"


TRAIN = """
import json, sys
from pathlib import Path
import volant
from volant.core.product import FILE
from volant.wheel.new import new

folder = Path(sys.argv[2])
new("flowers", sys.argv[1], "kind", folder=folder)
with (folder / FILE).open("a") as file:
    file.write('\\n[train]\\nbudget = "3 units"\\nlearners = ["nearest_centroid"]\\n')
result = volant.open(folder).train()
print(json.dumps(result.record()))
"""


def test_a_product_is_trained_with_it(site, tmp_path):
    (tmp_path / "flowers.csv").write_text(flowers())
    result = json.loads(run(site, TRAIN, str(tmp_path / "flowers.csv"), str(tmp_path / "flowers")).splitlines()[-1])
    assert result["promoted"], result["verdict"]
    assert {e["learner"] for e in result["leaderboard"]} == {"nearest_centroid", "prior"}
    accuracy = next(s for s in result["scores"] if s["metric"] == "accuracy")
    assert accuracy["value"] > 0.8


def flowers() -> str:
    """Three kinds of flowers that differ in two lengths."""
    lines = ["petal,sepal,kind"]
    for i in range(450):
        kind = i % 3
        lines.append(f"{1 + kind + (i * 37 % 100) / 50:.3f},{4 + kind - (i * 61 % 97) / 50:.3f},{'abc'[kind]}")
    return "\n".join(lines) + "\n"
