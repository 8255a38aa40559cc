"""What is imported when: starting must be quick, and serving must not carry the training stack."""

from __future__ import annotations

import subprocess
import sys

import pytest

TRAINING = {"torch", "sklearn", "lightgbm", "pandas", "scipy", "cleanlab", "matplotlib"}
HEAVY = TRAINING | {"numpy", "pyarrow", "onnx", "onnxruntime", "sqlalchemy", "pydantic"}


def loaded(code: str) -> set[str]:
    """The top-level modules that are loaded after running `code` in a fresh process."""
    script = f"{code}\nimport sys\nprint('loaded:', *sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return {name.partition(".")[0] for name in done.stderr.rpartition("loaded:")[2].split()}


def test_importing_volant_is_light():
    assert not loaded("import volant") & HEAVY


@pytest.mark.parametrize("words", [["--help"], ["--version"], [], ["train", "--help"], ["feedback", "--help"]], ids=str)
def test_help_is_light(words):
    found = loaded(f"from volant.cli.main import main; assert main({words}) == 0")
    light = {"pydantic"} if words[:1] in (["train"], ["feedback"]) else set()
    assert not found & (HEAVY - light)
    assert "rich" not in found


def test_an_error_in_the_command_needs_no_heavy_library():
    found = loaded("from volant.cli.main import main; assert main(['trian']) == 2")
    assert not found & (HEAVY - {"pydantic"}), "pydantic is how typer reads options; nothing else is needed"


def test_the_runtime_imports_no_training_library():
    pytest.importorskip("volant.runtime.load")
    assert not loaded("import volant.runtime.load") & TRAINING


def test_the_service_imports_no_training_library():
    pytest.importorskip("volant.serve.app")
    assert not loaded("import volant.serve.app") & TRAINING
