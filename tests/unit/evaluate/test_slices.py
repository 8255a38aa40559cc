"""Slices part the rows; weak slices are found where they are planted and nowhere else."""

import numpy as np
import pyarrow as pa
import pytest

from volant.core.records import Column, Schema
from volant.evaluate.slices import declared_slices
from volant.evaluate.weak import weak_slices
from volant.testing.rows import MemoryRows

KINDS = {"city": "category", "age": "number", "member": "boolean", "seen": "timestamp"}


def rows_of(**columns):
    schema = Schema(tuple(Column(name, KINDS[name]) for name in columns))
    return MemoryRows.of(schema, pa.table(columns))


def sizes(rows, column, **options):
    return {name: int(mask.sum()) for name, mask in declared_slices(rows, [column], **options).items()}


def test_each_value_of_a_category_is_a_slice_and_so_is_missing():
    rows = rows_of(city=["a"] * 40 + ["上海"] * 50 + [None] * 60)
    assert sizes(rows, "city") == {"city=上海": 50, "city=a": 40, "city is missing": 60}


def test_rare_values_are_one_slice_that_is_large_enough():
    rows = rows_of(city=["a"] * 100 + ["b"] * 40 + ["c"] * 12 + ["d"] * 11 + ["e"] * 3)
    assert sizes(rows, "city") == {"city=a": 100, "city is one of 4 rare values": 66}
    assert sizes(rows, "city", least=1) == {"city=a": 100, "city=b": 40, "city=c": 12, "city=d": 11, "city=e": 3}
    assert sizes(rows_of(city=["a"] * 5), "city") == {"city=a": 5}


def test_numbers_are_parted_into_quarters():
    rows = rows_of(age=[*np.arange(400.0), *[None] * 40])
    assert sizes(rows, "age") == {
        "age ≤ 99": 100,
        "99 < age ≤ 199": 100,
        "199 < age ≤ 299": 100,
        "age > 299": 100,
        "age is missing": 40,
    }


def test_few_numbers_are_values():
    assert sizes(rows_of(age=[0.0, 1.0] * 50), "age") == {"age=0": 50, "age=1": 50}
    assert sizes(rows_of(member=[True, False] * 50), "member") == {"member=false": 50, "member=true": 50}
    assert sizes(rows_of(age=[None] * 50), "age") == {"age is missing": 50}


def test_times_are_parted_too():
    days = np.datetime64("2024-01-01", "us") + np.arange(200) * np.timedelta64(1, "D")
    found = sizes(rows_of(seen=days), "seen")
    assert list(found) == [
        "seen ≤ 2024-02-19",
        "2024-02-19 < seen ≤ 2024-04-09",
        "2024-04-09 < seen ≤ 2024-05-29",
        "seen > 2024-05-29",
    ]
    assert sum(found.values()) == 200


@pytest.mark.parametrize("column", ["city", "age"])
def test_every_row_is_in_exactly_one_slice_of_a_column(column):
    rng = np.random.default_rng(0)
    cells = {"city": [f"c{int(i)}" for i in rng.geometric(0.04, 3000)], "age": rng.integers(0, 9, 3000).astype(float)}
    masks = list(declared_slices(rows_of(**{column: cells[column]}), [column]).values())
    assert np.all(np.sum(masks, axis=0) == 1)
    assert min(mask.sum() for mask in masks) >= 30


def planted(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    city = rng.choice(["a", "b", "c", "d"], n)
    age = rng.normal(40, 10, n)
    return rows_of(city=city.astype(object), age=age), city, age, rng


def test_a_pair_of_conditions_is_found_with_its_rows():
    rows, city, age, rng = planted()
    weak = (city == "b") & (age > np.quantile(age, 0.75))
    found = weak_slices(rows, rng.exponential(0.3, 4000) + weak * rng.exponential(0.6, 4000), columns=["city", "age"])
    assert found[0].name.startswith(("city=b and age > ", "age > "))
    assert "city=b" in found[0].name
    assert np.mean(weak[found[0].rows]) > 0.95
    assert found[0].loss > 2 * found[0].rest


def test_a_single_condition_is_not_made_longer_than_it_is():
    rows, city, _, rng = planted()
    found = weak_slices(rows, rng.exponential(0.3, 4000) + 0.4 * (city == "c"), columns=["city", "age"])
    assert [one.name for one in found] == ["city=c"]


def test_where_nothing_is_weak_hardly_anything_is_found():
    found = 0
    for seed in range(40):
        rows, _, _, rng = planted(1000, seed)
        found += len(weak_slices(rows, rng.exponential(0.3, 1000), columns=["city", "age"], seed=seed)) > 0
    assert found <= 5


def test_few_rows_equal_losses_and_strange_losses_have_no_weak_slices():
    rows, _, _, rng = planted(400)
    assert weak_slices(rows.take(np.arange(40)), rng.random(40), columns=["city"]) == []
    assert weak_slices(rows, np.ones(400), columns=["city", "age"]) == []
    assert weak_slices(rows, np.full(400, np.nan), columns=["city", "age"]) == []
    assert weak_slices(rows, rng.random(400), columns=["no such column"]) == []


def test_many_rows_are_sampled(monkeypatch):
    rows, city, _, rng = planted()
    monkeypatch.setattr("volant.evaluate.weak.MOST_ROWS", 1000)
    found = weak_slices(rows, rng.exponential(0.3, 4000) + 0.6 * (city == "c"), columns=["city"])
    assert found[0].name == "city=c"
    assert len(found[0].rows) < 400
    assert set(city[found[0].rows]) == {"c"}
