"""The whole document of the running service, attacked by schemathesis with all of its checks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from volant.testing import handmade
from volant.testing.served import served

pytest.importorskip("schemathesis", reason="schemathesis is not installed")


HOOKS = """
import schemathesis


@schemathesis.hook
def filter_body(context, body):
    # What the document says in words, because a schema cannot: one subject per row, numbers in texts that hold one.
    if not isinstance(body, dict):
        return True
    listed = body.get("rows") if isinstance(body.get("rows"), list) else [body.get("row")]
    if any(isinstance(row, dict) and isinstance(row.get("age"), str) for row in listed):
        return False
    rows, subject = body.get("rows", [None]), body.get("subject")
    return not (isinstance(rows, list) and isinstance(subject, list) and len(rows) != len(subject))
"""
SETTINGS = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 408, 409, 413, 415, 422]

[[operations]]
include-name = "POST /v1/feedback"
# What a value may be follows from its kind, in words.
checks.positive_data_acceptance.expected-statuses = [200, 404, 422]
"""


@pytest.mark.slow
@pytest.mark.parametrize("unknown", ["flag", "refuse"])
def test_schemathesis_finds_nothing(tmp_path, unknown):
    text = (
        handmade.FILE_TEXT
        + f'[serve]\nunknown_category = "{unknown}"\nmax_rows = 50\nmax_body_mb = 0.2\ndeadline_ms = 100000\n'
    )
    product = handmade.make_served_product(tmp_path / "product", text)
    with served(product.folder, "--workers", "1") as service:
        attack = [sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json", "--checks=all"]
        options = ["--max-examples=40", "--seed=1", "--no-color", "--continue-on-failure", "--request-timeout=120"]
        (tmp_path / "hooks.py").write_text(HOOKS)
        (tmp_path / "schemathesis.toml").write_text(SETTINGS)
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            [*attack, *options], capture_output=True, text=True, cwd=tmp_path, timeout=900, env=environment
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
