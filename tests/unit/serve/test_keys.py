"""Keys: who is let in, to what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from volant.core.clock import Clock
from volant.errors import BadInput
from volant.serve.http import Request
from volant.serve.keys import ANY, Guard, is_loopback, refuse_open_door, resolve
from volant.serve.problems import HttpError
from volant.store import open_store
from volant.store.keys import Wanted, proof_of, split_key

MASTER = "abc"


def request(authorization: bytes | None = None) -> Request:
    return Request("POST", b"/", {} if authorization is None else {b"authorization": authorization})


def refused(guard, authorization, role="predict") -> int:
    with pytest.raises(HttpError) as caught:
        guard.admit(request(authorization), role)
    return caught.value.status


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path) as opened:
        yield opened


def made(store, *roles, **more):
    row, key = store.create_api_key(Wanted("shop", roles, **more))
    return row, b"Bearer " + key.encode()


def test_a_key_stands_in_the_file_or_in_the_environment():
    assert resolve(None) is None
    assert resolve("abc") == "abc"
    assert resolve("${KEY}", {"KEY": " abc "}) == "abc"


@pytest.mark.parametrize(("text", "environment"), [("${KEY}", {}), ("${KEY}", {"KEY": " "}), ("", {}), (" ", {})])
def test_an_empty_key_is_an_error(text, environment):
    with pytest.raises(BadInput) as caught:
        resolve(text, environment)
    assert caught.value.code == "key-required"


def test_only_the_key_is_admitted():
    guard = Guard(MASTER)
    for right in (b"Bearer abc", b"bearer  abc "):
        guard.admit(request(right), "admin")
    for wrong in (None, b"", b"abc", b"Bearer", b"Bearer abd", b"Basic abc", b"Bearer abc abc", b"Bearer \xff"):
        assert refused(guard, wrong) == 401


def test_without_a_key_all_are_admitted():
    asked = request()
    Guard(None).admit(asked, "admin")
    assert asked.holder.key.name == "anyone"


def test_a_key_of_the_ledger_opens_what_it_is_for(store):
    row, key = made(store, "predict")
    guard = Guard(None)
    guard.learn(store.api_keys())
    asked = request(key)
    guard.admit(asked, "predict")
    guard.admit(asked, ANY)
    assert asked.holder.key.id == row.id
    assert refused(guard, key, "feedback") == 403
    assert refused(guard, key[:-1] + b"-") == 401
    assert refused(guard, None) == 401


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("predict", {"predict"}),
        ("feedback", {"feedback"}),
        ("review", {"review", "feedback"}),
        ("admin", {"admin", "predict", "feedback", "review"}),
    ],
)
def test_roles_imply_others(store, role, may):
    _, key = made(store, role)
    guard = Guard(None)
    guard.learn(store.api_keys())
    for wanted in ("predict", "feedback", "review", "admin"):
        if wanted in may:
            guard.admit(request(key), wanted)
        else:
            assert refused(guard, key, wanted) == 403


def test_a_key_that_ended_admits_nobody_and_opens_no_door(store):
    row, key = made(store, "admin")
    store.end_api_key(row.id)
    guard = Guard(None)
    guard.learn(store.api_keys())
    assert guard.guards, "the last key was revoked: that does not make the service open to all"
    assert refused(guard, key) == 401
    assert refused(guard, None) == 401


def test_a_key_expires_by_the_clock(store):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    _, key = made(store, "predict", expires_at=(now + timedelta(hours=1)).isoformat())
    guard = Guard(None, clock=Clock(wall=lambda: now))
    guard.learn(store.api_keys())
    guard.admit(request(key), "predict")
    now += timedelta(hours=1)
    guard.learn(store.api_keys())
    assert refused(guard, key) == 401


def test_the_ledger_does_not_hold_the_key(store, tmp_path):
    row, key = made(store, "predict")
    id, secret = split_key(key.removeprefix(b"Bearer ").decode())
    assert id == row.id
    assert proof_of(secret, row.salt) == row.hash
    store.close()
    assert all(secret.encode() not in path.read_bytes() for path in tmp_path.glob("store*"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_needs_no_key(host):
    assert is_loopback(host)
    refuse_open_door(host, Guard(None))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "example.org", "127.0.0.1.example.org"])
def test_other_addresses_need_one(host):
    with pytest.raises(BadInput) as caught:
        refuse_open_door(host, Guard(None))
    assert caught.value.code == "key-required"
    refuse_open_door(host, Guard(MASTER))
