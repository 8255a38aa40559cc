"""51, 52: no key, a wrong key, a key for something else, a key that is used up; on every route of a running service."""

from __future__ import annotations

import time

import httpx
import pytest

from volant.core.clock import Clock
from volant.store import open_store
from volant.store.keys import Wanted
from volant.testing import handmade
from volant.testing.served import served
from volant.wheel.handle import ProductHandle

ROW = {"age": 50, "plan": "gold"}
ROUTES = {
    ("POST", "/v1/predict"): "predict",
    ("POST", "/v1/explain"): "predict",
    ("POST", "/v1/feedback"): "feedback",
    ("GET", "/metrics"): "review",
    ("GET", "/openapi.json"): None,
}
"""What each route takes; None is any key."""

ROLES = ("predict", "feedback", "review", "admin")


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    product = handmade.make_served_product(tmp_path_factory.mktemp("locked"))
    operations = ProductHandle(product, Clock()).operations
    with open_store(product.home) as store:
        keys = {role: store.create_api_key(Wanted(role, (role,)))[1] for role in ROLES}
        keys["busy"] = store.create_api_key(Wanted("busy", ("predict",), rate=0.001, burst=3))[1]
        keys["small"] = store.create_api_key(Wanted("small", ("predict",), quota=5, period="month"))[1]
    with served(product.folder) as running:
        running.keys, running.operations = keys, operations
        yield running


def ask(service, method, path, key=None, **more):
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return httpx.request(method, service.url + path, headers=headers, timeout=30, **more)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_51_no_key_or_a_wrong_one(service, method, path):
    good = service.keys["admin"]
    for wrong in (
        None,
        "x",
        good[:-1] + ("a" if good[-1] != "a" else "b"),
        good.upper(),
        "volant_000000000000_" + "x" * 43,
    ):
        answer = ask(service, method, path, wrong)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("role", ROLES)
def test_51_a_key_for_something_else(service, method, path, role):
    wanted = ROUTES[method, path]
    may = wanted in (None, role) or role == "admin" or (role, wanted) == ("review", "feedback")
    answer = ask(service, method, path, service.keys[role])
    assert (answer.status_code == 403) is not may
    assert answer.status_code in ((403,) if not may else (200, 400, 415, 422))


def test_51_the_key_is_looked_at_before_the_body(service):
    answer = ask(service, "POST", "/v1/predict", content=b"x" * 7_000_000)
    assert answer.status_code == 401


def test_51_health_needs_no_key(service):
    assert ask(service, "GET", "/v1/health/live").status_code == 200
    assert ask(service, "GET", "/v1/health/ready").status_code == 200


def test_51_a_revoked_key_is_no_key(service):
    made = service.operations.create_key("brief", ["predict"])
    until = time.monotonic() + 30
    while ask(service, "POST", "/v1/predict", made.key, json={"row": ROW}).status_code != 200:
        assert time.monotonic() < until
    service.operations.revoke_key(made.id)
    while ask(service, "POST", "/v1/predict", made.key, json={"row": ROW}).status_code != 401:
        assert time.monotonic() < until


def test_52_too_many_requests(service):
    answers = [ask(service, "POST", "/v1/predict", service.keys["busy"], json={"row": ROW}) for _ in range(12)]
    statuses = [answer.status_code for answer in answers]
    assert statuses[:3] == [200] * 3
    assert set(statuses[4:]) == {429}, "processes may let one more in each"
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert answers[-1].json()["code"] == "rate-exceeded"


def test_52_the_quota_is_used_up(service):
    def spend(rows):
        return ask(service, "POST", "/v1/predict", service.keys["small"], json={"rows": [ROW] * rows})

    assert spend(3).status_code == 200
    assert spend(3).status_code == 200, "the request that crosses the quota is still answered"
    for _ in range(6):
        answer = spend(1)
        assert answer.status_code == 429
        assert answer.json()["code"] == "quota-exceeded"
        assert int(answer.headers["retry-after"]) >= 1
    assert ask(service, "POST", "/v1/predict", service.keys["admin"], json={"row": ROW}).status_code == 200
