"""The audit trail, and keys in the ledger."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, update

from volant.errors import BadInput
from volant.store import tables
from volant.store.audit import first_break, this_user
from volant.store.keys import Wanted


def test_everything_that_changes_state_is_in_the_trail(store, predict):
    row, _ = store.create_api_key(Wanted("shop", ("predict",)))
    store.end_api_key(row.id)
    store.deploy("a" * 64, "promote", "better", 1, None, {})
    store.actor = "service"
    store.deploy("b" * 64, "refuse", "worse", 1, "a" * 64, {"scores": {"x": float("nan")}})
    store.note("serve.start", "churn", {"workers": 2})
    trail = store.audit_trail()
    assert [change.action for change in trail] == [
        "key.create",
        "key.revoke",
        "deploy.promote",
        "deploy.refuse",
        "serve.start",
    ]
    assert [change.actor for change in trail] == [this_user()] * 3 + ["service"] * 2
    assert trail[0].subject == row.id
    assert row.hash not in str(trail), "what proves a key stays where it is"
    assert first_break(trail) is None


@pytest.mark.parametrize("change", ["alter", "remove", "reorder"])
def test_a_row_that_was_altered_shows(store, change):
    for number in range(4):
        store.note("test", str(number), {"n": number})
    table = tables.audit
    with store._database.write() as connection:
        if change == "alter":
            connection.execute(update(table).where(table.c.subject == "1").values(actor="nobody"))
        elif change == "remove":
            connection.execute(delete(table).where(table.c.subject == "1"))
        else:
            connection.execute(update(table).where(table.c.subject == "1").values(seq=9))
    assert first_break(store.audit_trail()) is not None


def test_keys_are_kept_as_they_were_wanted(store):
    wanted = Wanted("shop", ("predict", "feedback"), 1.5, 90, 1000, "day", "2027-01-01T00:00:00+00:00")
    row, key = store.create_api_key(wanted)
    assert store.api_keys() == [row]
    assert store.api_key(row.id) == row
    assert key.startswith(f"volant_{row.id}_")
    assert (row.roles, row.rate, row.burst, row.quota, row.period) == (("predict", "feedback"), 1.5, 90, 1000, "day")
    assert {"salt", "hash"} & row.record().keys() == set()


def test_a_key_can_end_later_or_now_and_only_once(store):
    row, _ = store.create_api_key(Wanted("shop", ("predict",)))
    assert store.end_api_key(row.id, "2027-01-01T00:00:00+00:00").expires_at.startswith("2027")
    assert store.end_api_key(row.id).revoked_at is not None
    for id in (row.id, "nothing"):
        with pytest.raises(BadInput) as caught:
            store.end_api_key(id)
        assert caught.value.code == "key-unknown"
