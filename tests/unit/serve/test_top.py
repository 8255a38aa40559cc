"""`volant top`: rates and times between two looks."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from volant.cli.main import main
from volant.serve.top import Reading, quantile, scenes
from volant.testing import handmade
from volant.testing.served import served


def reading(at, requests, slow, errors=0.0):
    path = (("path", "/v1/predict"),)
    return Reading(
        at,
        {"pid": 1, "url": "http://x"},
        {
            ("volant_requests_total", (("method", "POST"), *path, ("status", "200"))): requests,
            ("volant_requests_total", (("method", "POST"), *path, ("status", "503"))): errors,
            ("volant_request_seconds_bucket", (("le", "0.001"), *path)): requests - slow,
            ("volant_request_seconds_bucket", (("le", "0.01"), *path)): requests,
            ("volant_request_seconds_bucket", (("le", "+Inf"), *path)): requests,
            ("volant_predictions_total", (("product", "p"), ("release", "r1"))): requests * 2,
            ("volant_release", (("product", "p"), ("release", "r1"))): 1.0,
            ("volant_ready", (("product", "p"),)): 1.0,
        },
    )


def test_rates_are_what_changed_per_second():
    [scene] = scenes([reading(10.0, 100, 0)], [reading(12.0, 300, 20, errors=4.0)])
    [line] = scene.lines
    assert (line.requests, line.errors) == (102.0, 2.0)
    assert line.quantiles[0] < 1.0
    assert 1.0 < line.quantiles[2] < 10.0
    assert scene.rows == {"r1": 200.0}
    assert scene.shares == {"r1": 1.0}
    assert scenes([], [reading(1.0, 1, 0)]) == []


@pytest.mark.parametrize(("q", "expected"), [(0.25, 0.5), (0.5, 1.0), (0.75, 5.5), (1.0, 10.0)])
def test_quantiles_lie_between_the_bounds(q, expected):
    assert quantile({0.001: 50, 0.01: 100, float("inf"): 100}, q) == pytest.approx(expected)


def test_what_is_beyond_the_last_bound_is_at_least_that():
    assert quantile({0.001: 0, float("inf"): 5}, 0.5) == 1.0
    assert quantile({0.001: 0, float("inf"): 0}, 0.5) is None
    assert quantile({}, 0.5) is None


def test_it_shows_a_running_service_and_says_where_there_is_none(tmp_path, capsys):
    product = handmade.make_served_product(tmp_path)
    assert main(["-C", str(product.folder), "top"]) == 3 or "no service" in capsys.readouterr().err
    capsys.readouterr()
    with served(product.folder, "--workers", "1") as service:
        until, found = time.monotonic() + 60, []
        while not found:
            assert time.monotonic() < until
            for _ in range(5):
                assert httpx.post(service.url + "/v1/predict", json={"row": {"age": 50}}).status_code == 200
            assert main(["-C", str(product.folder), "--json", "top", "--seconds", "1.5"]) == 0
            [told] = json.loads(capsys.readouterr().out)["services"]
            found = [line for line in told["paths"] if line["path"] == "/v1/predict"]
        assert told["url"] == service.url
        assert told["ready"] is True
        assert told["memory_mb"] > 10
        assert main(["-C", str(product.folder), "top", "--once"]) == 0
        assert "answering: " in capsys.readouterr().out
