"""The log of the service: one object per line, with request ids and without anything that a caller sent."""

from __future__ import annotations

import json
import logging

import pytest

from volant.serve.logs import ACCESS, JsonLines, TextLines, answered, set_up
from volant.testing import handmade


@pytest.fixture(autouse=True)
def as_before():
    logger, access = logging.getLogger("volant"), logging.getLogger(ACCESS)
    before = logger.handlers[:], logger.propagate, logger.level, access.level
    yield
    logger.handlers[:], logger.propagate, level, access_level = before
    logger.setLevel(level)
    access.setLevel(access_level)


def test_every_answer_is_a_line_with_its_request_id(start, capsys):
    running = start(handmade.FILE_TEXT + '[serve]\nlog = "json"\naccess_log = true\n')
    set_up("json", access=True)
    headers = {"x-request-id": "r-1", "authorization": "Bearer s3cret"}
    running.post("/v1/predict?name=ann", json={"row": {"age": 50, "plan": "platinum"}}, headers=headers)
    running.get("/private/ann", headers={"x-request-id": "r-2"})
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = {line["request_id"]: line for line in lines if line["logger"] == ACCESS}
    assert (told["r-1"]["path"], told["r-1"]["status"], told["r-1"]["method"]) == ("/v1/predict", 200, "POST")
    assert (told["r-2"]["path"], told["r-2"]["status"]) == ("other", 404)
    assert not any(word in json.dumps(lines) for word in ("ann", "platinum", "s3cret"))


def test_without_it_nothing_is_written_for_an_answer(start, capsys):
    running = start()
    set_up("text", access=False)
    running.get("/v1/health/live")
    answered("GET", "/", 200, 0.1, request_id="r", key=None)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("form", [JsonLines(), TextLines()])
def test_a_line_is_one_line(form):
    record = logging.LogRecord("volant.serve", logging.ERROR, "", 0, "two\nlines", (), None)
    assert form.format(record).count("\n") <= (0 if isinstance(form, JsonLines) else 1)
