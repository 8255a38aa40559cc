"""Running all checks, scoring, and the report."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from volant.core import plugins
from volant.core.protocols import CheckContext
from volant.core.records import Finding
from volant.data import quality
from volant.errors import Failure


@pytest.fixture(autouse=True)
def installed(checks, monkeypatch):
    monkeypatch.setattr(plugins, "load_all", lambda kind: dict(checks) if kind == "checks" else {})


@pytest.fixture
def faulty(make, clean):
    columns = clean(400)
    columns["paid"] = np.where(columns["y"] == "yes", 1.0, 0.0)
    columns["电子邮件"] = np.array([f"secret{i}@example.com" for i in range(400)], dtype=object)
    columns["城市"] = np.where(np.arange(400) < 3, "深山小村", np.where(np.arange(400) % 2, "北京", "上海"))
    return make(columns, types={"电子邮件": "category"})


def found_in(data, problem_of, **options):
    return quality.run_checks(data, problem_of(data), CheckContext(target="y"), **options)


class Heard:
    def __init__(self):
        self.notes = []

    def stage(self, name, total=None):
        self.total = total

    def advance(self, done, note=""):
        self.notes.append((done, note))

    def say(self, text):
        pass


def test_findings_come_stops_first_and_strong_first(faulty, problem_of):
    found = found_in(faulty, problem_of)
    assert {f.check for f in found} == {"target_copy", "personal_data", "id_like"}
    keys = [(f.severity != "stop", -f.score) for f in found]
    assert keys == sorted(keys)


def test_skip_downgrade_and_leaving_out_what_trains(faulty, problem_of, checks):
    found = found_in(faulty, problem_of, skip=["id_like"], downgrade=["target_copy"])
    assert {f.check: f.severity for f in found} == {"target_copy": "warn", "personal_data": "warn"}
    heard = Heard()
    found_in(faulty, problem_of, train_checks=False, progress=heard)
    assert heard.total == len(checks) - 2
    assert heard.notes[-1] == (len(checks) - 2, "")
    assert "wrong_labels" not in [note for _, note in heard.notes]


def test_a_broken_check_is_named(faulty, problem_of, checks, monkeypatch):
    class Broken:
        name, summary, aspect, trains = "broken", "Breaks.", "accuracy", False

        def run(self, data, problem, context):
            raise KeyError("secret")

    monkeypatch.setattr(plugins, "load_all", lambda kind: {**checks, "broken": Broken()})
    with pytest.raises(Failure, match="'broken'") as caught:
        found_in(faulty, problem_of)
    assert caught.value.code == "plugin-broken"
    assert "secret" not in str(caught.value)


def test_scores(make, clean):
    columns = clean(400)
    columns["x"][:] = 1.0
    columns["color"][:] = "red"
    columns["z"][:80] = np.nan
    data = make(columns)
    finding = Finding("a", "warn", "w", "f", aspect="accuracy", score=0.5)
    stop = Finding("b", "stop", "w", "f", aspect="diversity", score=1.0)
    scores = quality.quality_scores([finding, finding, stop], data)
    assert scores["accuracy"] == pytest.approx(0.85)
    assert scores["diversity"] == pytest.approx(0.1)
    assert scores["privacy"] == 1.0
    assert scores["completeness"] == pytest.approx(1 - 80 / 2400, abs=1e-4)
    assert set(quality.quality_scores([], data).values()) >= {1.0}


def test_an_empty_table_has_no_completeness(make, clean):
    data = make({name: values[:0] for name, values in clean(20).items()})
    assert quality.quality_scores([], data)["completeness"] == 0.0


def report(tmp_path, data, findings, **options):
    pages = tmp_path / "deep" / "quality.html", tmp_path / "deep" / "quality.json"
    scores = quality.quality_scores(findings, data)
    quality.write_quality_report(
        *pages, product_name="顾客 <流失>", data=data, findings=findings, scores=scores, **options
    )
    html, facts = (page.read_text(encoding="utf-8") for page in pages)
    assert {page.name for page in pages[0].parent.iterdir()} == {"quality.html", "quality.json"}
    return html, json.loads(facts)


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "circle", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("circle", "rect"):
            assert self.open.pop() == tag


def test_the_report_stands_alone_and_is_well_formed(faulty, problem_of, tmp_path):
    estimate = {"seconds": 40, "memory_bytes": 3e8, "disk_bytes": 2e7, "memory_free": 8e9, "disk_free": 5e10}
    html, facts = report(tmp_path, faulty, found_in(faulty, problem_of), estimate=estimate)
    tags = Tags(html)
    assert tags.open == []
    assert not [a for _, a in tags.seen if "src" in a or "href" in a]
    assert not re.search(r"url\(|@import|<script|http", html)
    assert "顾客 &lt;流失&gt;" in html
    assert "300 MB" in html
    assert "1 problem stops training" in html
    assert facts["estimate"]["seconds"] == 40
    assert facts["target"]["name"] == "y"
    assert sum(facts["sides"].values()) == facts["rows"] == 400
    assert [c["name"] for c in facts["columns"]] == list(faulty.schema.names)


def test_the_report_holds_no_person(faulty, problem_of, tmp_path):
    html, facts = report(tmp_path, faulty, found_in(faulty, problem_of))
    for text in (html, json.dumps(facts, ensure_ascii=False)):
        assert "北京" in text
        assert "secret" not in text
        assert "深山小村" not in text


def test_personal_labels_stay_out_even_where_no_check_ran(make, clean, tmp_path):
    columns = clean(400) | {"contact": np.resize(["13812345678", "someone@example.com", "none"], 400)}
    html, _ = report(tmp_path, make(columns), [])
    assert "none" in html
    assert "13812345678" not in html
    assert "someone@" not in html


def test_reports_of_odd_tables(make, clean, tmp_path):
    columns = {
        "empty": np.full(30, np.nan),
        "wild": np.resize([np.inf, -np.inf, 1e308, np.nan, 1.0], 30),
        "same": np.full(30, 2.0),
        "at": np.full(30, np.datetime64("2024-01-01", "us")),
        "y": np.resize([1.5, 2.5], 30),
    }
    html, facts = report(tmp_path, make(columns), [])
    Tags(html)
    assert facts["missing_map"]["columns"] == ["empty", "wild"]
    nothing = make({name: values[:0] for name, values in clean(20).items()})
    html, facts = report(tmp_path, nothing, [])
    assert facts["rows"] == 0


def test_a_crowded_missing_map_is_cut(make, clean, tmp_path):
    columns = {f"c{i}": np.where(np.arange(300) % (i + 2) == 0, np.nan, 1.0 * i) for i in range(50)}
    html, facts = report(tmp_path, make(columns | {"y": clean(300)["y"]}), [])
    assert len(facts["missing_map"]["columns"]) == 40
    assert "10 more columns" in html


def test_words_for_sizes():
    assert [quality.percent(p) for p in (0, 0.0004, 0.0312, 0.41, 1)] == ["0 %", "< 0.1 %", "3.1 %", "41 %", "100 %"]
    assert [quality.size(n) for n in (0, 999, 1500, 2.5e7, 3e13)] == ["0 B", "999 B", "1.5 kB", "25 MB", "30.0 TB"]
    assert [quality.duration(s) for s in (0.4, 42, 600, 9000)] == ["0.4 s", "42 s", "10 min", "2.5 h"]
