"""The whole document of the running service, attacked by schemathesis with all of its checks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from volant.testing import handmade
from volant.testing.served import served

pytest.importorskip("schemathesis", reason="schemathesis is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("unknown", ["flag", "refuse"])
def test_schemathesis_finds_nothing(tmp_path, unknown):
    text = handmade.FILE_TEXT + f'[serve]\nunknown_category = "{unknown}"\nmax_rows = 50\nmax_body_mb = 0.2\n'
    product = handmade.make_served_product(tmp_path / "product", text)
    with served(product.folder, "--workers", "1") as service:
        attack = [sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json", "--checks=all"]
        options = ["--max-examples=60", "--seed=1", "--no-color", "--continue-on-failure", "--request-timeout=30"]
        done = subprocess.run([*attack, *options], capture_output=True, text=True, cwd=tmp_path, timeout=900)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
