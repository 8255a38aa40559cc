"""The page on HTTP names every path, field and figure that there is."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "http.md").read_text(encoding="utf-8")


def test_every_path_is_documented(running):
    document = running.get("/openapi.json").json()
    assert [path for path in document["paths"] if f"{path}`" not in PAGE] == []


def test_every_field_of_feedback_is_documented(running):
    item = running.get("/openapi.json").json()["components"]["schemas"]["FeedbackItem"]
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) >= set(item["properties"])


def test_the_figures_are_those_of_the_page(running):
    running.predict({"age": 50})
    names = set(re.findall(r"^# TYPE (\w+)", running.get("/metrics").text, re.MULTILINE))
    told = {name for name in names if not name.endswith("_created")}
    assert told == set(re.findall(r"^\| `(volant_\w+)` \|", PAGE, re.MULTILINE))
