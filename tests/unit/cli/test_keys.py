"""`volant keys` and `volant audit`."""

from __future__ import annotations

import pytest
from sqlalchemy import update
from tests.commands import volant

from volant.store import open_store, tables
from volant.testing import handmade


@pytest.fixture
def folder(tmp_path):
    return handmade.make_product(tmp_path).folder


def test_a_key_is_made_listed_rotated_and_revoked(folder):
    status, made = volant("-C", folder, "keys", "create", "shop", "--role", "predict", "--rate", "120/m")
    assert status == 0
    assert made["key"].startswith(f"volant_{made['id']}_")
    assert (made["roles"], made["rate"], made["live"]) == (["predict"], 2.0, True)
    status, new = volant("-C", folder, "keys", "rotate", made["id"], "--overlap", "7d")
    assert (new["replaces"], new["roles"], new["rate"]) == (made["id"], ["predict"], 2.0)
    listed = volant("-C", folder, "keys", "list")[1]["keys"]
    assert [key["id"] for key in listed] == [made["id"], new["id"]]
    assert all(key["key"] is None for key in listed)
    assert listed[0]["expires_at"] is not None
    assert listed[0]["live"]
    assert volant("-C", folder, "keys", "revoke", made["id"])[1]["live"] is False


@pytest.mark.parametrize(
    "words",
    [
        ["shop"],
        ["shop", "--role", "king"],
        ["", "--role", "predict"],
        ["shop", "--role", "predict", "--rate", "fast"],
        ["shop", "--role", "predict", "--rate", "0/s"],
        ["shop", "--role", "predict", "--quota", "10/year"],
        ["shop", "--role", "predict", "--expires", "soon"],
    ],
    ids=" ".join,
)
def test_what_makes_no_key_is_bad_usage(folder, words):
    status, said = volant("-C", folder, "keys", "create", *words)
    assert (status, said["error"]) == (2, "usage")
    assert volant("-C", folder, "keys", "list")[1]["keys"] == []


def test_a_key_that_is_not_there(folder):
    for words in (["revoke", "nothing"], ["rotate", "nothing"]):
        status, said = volant("-C", folder, "keys", *words)
        assert (status, said["error"]) == (2, "key-unknown")


def test_a_rotated_key_ends_no_later_than_it_would_have(folder):
    _, made = volant("-C", folder, "keys", "create", "shop", "--role", "predict", "--expires", "1h")
    _, new = volant("-C", folder, "keys", "rotate", made["id"], "--overlap", "7d")
    old = volant("-C", folder, "keys", "list")[1]["keys"][0]
    assert old["expires_at"] == made["expires_at"] == new["expires_at"]


def test_the_trail_tells_who_did_what_and_whether_it_was_altered(folder):
    volant("-C", folder, "keys", "create", "shop", "--role", "predict")
    status, trail = volant("-C", folder, "audit")
    assert (status, trail["broken_at"]) == (0, None)
    assert [change["action"] for change in trail["changes"]] == ["key.create"]
    with open_store(folder / ".volant") as store, store._database.write() as connection:
        connection.execute(update(tables.audit).values(actor="nobody"))
    status, trail = volant("-C", folder, "audit")
    assert (status, trail["broken_at"]) == (1, 1)
