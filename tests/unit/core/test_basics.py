"""Ids, budgets, errors and plugins."""

from importlib.metadata import EntryPoint
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volant.core import plugins
from volant.core.budget import Budget, Spending
from volant.core.clock import Clock, Machine
from volant.core.ids import canonical_json, digest, keyed_unit, uuid7
from volant.errors import CODES, BadInput, Failure, Refused, Trouble, VolantError


def test_uuid7_sorts_by_time_and_says_its_version():
    ids = [uuid7(ms) for ms in (1, 2, 2**40)]
    assert ids == sorted(ids)
    assert {UUID(i).version for i in ids} == {7}
    assert len({uuid7(5) for _ in range(1000)}) == 1000


def test_digests_do_not_depend_on_the_order_of_keys_and_refuse_nan():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


@given(st.text(), st.lists(st.text(), max_size=20))
def test_units_lie_in_the_unit_interval_and_depend_on_key_and_name_alone(key, names):
    units = keyed_unit(key, names)
    assert all(0 <= u < 1 for u in units)
    assert units == [keyed_unit(key, [n])[0] for n in names]


@pytest.mark.parametrize(
    ("text", "seconds", "units"),
    [("60s", 60, None), ("1.5h", 5400, None), (" 5 m ", 300, None), ("12 units", None, 12)],
)
def test_budgets_are_read(text, seconds, units):
    assert Budget.parse(text) == Budget(seconds, units)
    assert Budget.parse(str(Budget.parse(text))) == Budget(seconds, units)


@pytest.mark.parametrize("text", ["", "0s", "-1s", "soon", "1", "units", "1e9s", "5 days"])
def test_budgets_that_are_none_are_refused(text):
    with pytest.raises(BadInput) as bad:
        Budget.parse(text)
    assert bad.value.code == "budget-invalid"


def test_a_work_budget_reads_no_clock():
    def broken():
        raise AssertionError("a clock was read")

    spending = Spending(Budget(units=3), Clock(monotonic=broken))
    spending.spend(2)
    assert spending.affords(1, 10**9)
    assert not spending.affords(2, 0)
    assert spending.remaining_seconds() == float("inf")


def test_a_time_budget_counts_from_its_start():
    now = [100.0]
    spending = Spending(Budget(seconds=10), Clock(monotonic=lambda: now[0]))
    now[0] = 107
    assert spending.remaining_seconds() == 3
    assert spending.affords(99, 3)
    assert not spending.affords(0, 3.1)


def test_errors_say_what_where_got_choices_and_what_was_meant():
    error = BadInput(
        "no such task", code="usage", where="volant.toml", got="clasify", choices=["classify"], fix="mend it"
    )
    for part in ("no such task", "volant.toml", "clasify", "did you mean: classify", "mend it"):
        assert part in str(error)
    assert error.record()["error"] == "usage"
    assert (Refused.exit_status, BadInput.exit_status, Failure.exit_status) == (1, 2, 3)


def test_errors_need_a_known_code():
    with pytest.raises(ValueError, match="CODES"):
        VolantError("x", code="no-such-code")


def test_several_troubles_are_all_shown():
    error = BadInput("two things", code=next(iter(CODES)), troubles=[Trouble("a", "x"), Trouble("b", "y")])
    assert "a" in str(error)
    assert "y" in str(error)


def test_plugins_are_listed_without_importing_and_nearest_is_told():
    assert {"prior", "linear", "boosted_trees"} <= set(plugins.names("learners"))
    with pytest.raises(BadInput) as bad:
        plugins.load("learners", "linaer")
    assert bad.value.troubles[0].meant == "linear"


def test_two_plugins_of_one_name_are_an_error():
    with pytest.raises(Failure) as bad:
        plugins.index([EntryPoint("a", "x:A", "volant.tasks"), EntryPoint("a", "y:A", "volant.tasks")])
    assert bad.value.code == "plugin-duplicate"


def test_a_broken_plugin_names_its_distribution(monkeypatch):
    monkeypatch.setattr(plugins, "entries", lambda kind: {"bad": EntryPoint("bad", "no_such_module:X", "volant.tasks")})
    with pytest.raises(Failure) as bad:
        plugins.load.__wrapped__("tasks", "bad")
    assert bad.value.code == "plugin-broken"


def test_the_machine_has_cores_memory_and_disk(tmp_path):
    machine = Machine.here(tmp_path)
    assert machine.cores >= 1
    assert machine.memory > 2**20
    assert machine.disk > 0
