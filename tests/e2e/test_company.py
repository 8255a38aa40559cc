"""What a company runs: two products in one service of two processes, each with its keys, canary and experiment."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from volant.core.clock import Clock
from volant.store import open_store
from volant.store.keys import Wanted
from volant.testing import handmade
from volant.testing.served import served
from volant.wheel.handle import ProductHandle

ROW = {"age": 50, "plan": "gold"}
PEOPLE = [f"person-{n}" for n in range(16)]
FRAUD = handmade.FILE_TEXT.replace('"churn"', '"fraud"')


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    root = tmp_path_factory.mktemp("company")
    churn = handmade.make_served_product(root / "churn")
    fraud = handmade.make_served_product(root / "fraud", FRAUD)
    with open_store(fraud.home) as store:
        handmade.promote(store, handmade.write_release(fraud.home, handmade.pipeline(60.0)))
    return churn, fraud


@pytest.fixture(scope="module")
def keys(products):
    """A key of each product for everything, and one that may predict 50 rows a month."""
    made = {}
    for product in products:
        with open_store(product.home) as store:
            made[product.name] = store.create_api_key(Wanted("all", ("admin",)))[1]
            made[f"{product.name} small"] = store.create_api_key(Wanted("s", ("predict",), quota=50, period="month"))[1]
    return made


@pytest.fixture(scope="module")
def service(products, keys):
    churn, fraud = products
    with served(churn.folder, str(churn.folder), str(fraud.folder), "--workers", "2") as running:
        running.url = running.url.removesuffix("/churn")
        yield running


def ask(service, product, key, body, **headers):
    """On a connection of its own, so that any process may get it."""
    headers = {"authorization": f"Bearer {key}", **headers}
    return httpx.post(f"{service.url}/{product}/v1/predict", json=body, headers=headers, timeout=60)


def until_settled(service, products, seen):
    """Wait until every process answers by what `seen` says of an answer to a person."""
    until = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < until
        time.sleep(0.1)
    for product in products:
        while not httpx.get(f"{service.url}/{product.name}/v1/health/ready").json()["settled"]:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_each_product_answers_under_its_name_for_its_keys(service, products, keys):
    names = {}
    for product in products:
        with open_store(product.home) as store:
            names[product.name] = store.champion().release[:12]
        answer = ask(service, product.name, keys[product.name], {"row": ROW})
        assert (answer.status_code, answer.json()["release"]) == (200, names[product.name])
        other = next(key for name, key in keys.items() if not name.startswith(product.name))
        assert ask(service, product.name, other, {"row": ROW}).status_code == 401
    assert len(set(names.values())) == 2
    assert httpx.post(f"{service.url}/v1/predict", json={"row": ROW}).status_code == 404
    assert httpx.post(f"{service.url}/other/v1/predict", json={"row": ROW}).status_code == 404
    assert httpx.get(f"{service.url}/v1/health/ready").json() == {"ready": True}


def test_a_prediction_of_one_product_is_unknown_to_the_other(service, products, keys):
    [one] = ask(service, "churn", keys["churn"], {"row": ROW}).json()["predictions"]
    said = {"feedback": [{"prediction_id": one["id"], "kind": "correction", "value": "no"}]}
    for product, status in (("fraud", 404), ("churn", 200)):
        headers = {"authorization": f"Bearer {keys[product]}"}
        url = f"{service.url}/{product}/v1/feedback"
        assert httpx.post(url, json=said, headers=headers).status_code == status


def test_figures_and_documents_tell_the_products_apart(service, keys):
    headers = {"authorization": f"Bearer {keys['fraud']}"}
    figures = httpx.get(f"{service.url}/metrics", headers=headers).text
    assert all(f'product="{name}"' in figures for name in ("churn", "fraud"))
    document = httpx.get(f"{service.url}/fraud/openapi.json", headers=headers).json()
    assert httpx.get(f"{service.url}/fraud/docs").status_code == 200
    assert json.dumps(document).count("/fraud") or any("fraud" in str(server) for server in document["servers"])


def test_a_quota_holds_for_all_processes_together(service, keys):
    """Rows that are under way at once may go beyond it, one request for each connection."""
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(service, "fraud", keys["fraud small"], {"rows": [ROW] * 5}), range(30)))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {200, 429}
    assert 10 <= statuses[200] <= 10 + 4


def test_a_key_sent_twice_at_once_is_one_record_while_releases_change(service, products, keys):
    """To both processes, of which one follows a new champion earlier than the other."""
    churn = products[0]
    with open_store(churn.home) as store, ThreadPoolExecutor(6) as pool:
        before, names = store.counts()["predictions"], [f"order-{n}" for n in range(16)]
        for n, name in enumerate(names):
            if n % 8 == 0:
                handmade.promote(store, handmade.write_release(churn.home, handmade.pipeline(30.0 + n)))
            words = (service, "churn", keys["churn"], {"rows": [ROW] * 3})
            asked = [pool.submit(ask, *words, **{"idempotency-key": name}) for _ in range(6)]
            answers = [one.result() for one in asked]
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.text for answer in answers}) == 1
            ids = [one["id"] for one in answers[0].json()["predictions"]]
            found = store.find_predictions(ids)
            assert [found[id].release[:12] for id in ids] == [answers[0].json()["release"]] * 3
        assert store.counts()["predictions"] == before + 3 * len(names)


def test_who_is_in_an_experiment_stays_in_it_in_every_process_and_after_a_restart(service, products, keys):
    """And every prediction is logged with the policy and how likely it was that this release answered."""
    churn, _ = products
    with open_store(churn.home) as store:
        champion = store.champion().release
        digest = handmade.write_release(churn.home, handmade.pipeline(90.0))
        store.deploy(digest, "split", "a test", 1, champion, {"policy": "spring-offer", "share": 0.3})

        def who(of, person):
            answer = ask(of, "churn", keys["churn"], {"row": ROW, "subject": person})
            assert answer.status_code == 200, answer.text
            return answer.json()["release"], answer.json()["predictions"][0]["id"]

        until_settled(service, products, lambda: digest[:12] in {who(service, p)[0] for p in PEOPLE})
        first = {person: who(service, person) for person in PEOPLE}
        with ThreadPoolExecutor(4) as pool:
            again = [dict(zip(PEOPLE, pool.map(lambda p: who(service, p)[0], PEOPLE), strict=True)) for _ in "123"]
        with served(churn.folder, str(churn.folder), str(products[1].folder), "--workers", "2") as another:
            another.url = another.url.removesuffix("/churn")
            again.append({person: who(another, person)[0] for person in PEOPLE})
        assert all(one == {person: release for person, (release, _) in first.items()} for one in again)
        found = store.find_predictions([id for _, id in first.values()])
        assert {(row.policy, row.propensity) for row in found.values()} == {("champion", 0.7), ("spring-offer", 0.3)}
        assert all((row.policy == "spring-offer") == (row.release == digest) for row in found.values())
        ProductHandle(churn, Clock()).operations.end_route()
