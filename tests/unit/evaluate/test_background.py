"""Typical rows spread as the rows do, keep what goes together, and are nobody's."""

from __future__ import annotations

import json

import numpy as np

from volant.evaluate.background import FEWEST, MOST, typical_rows

KINDS = {
    "size": "number",
    "weight": "number",
    "city": "category",
    "new": "boolean",
    "made": "timestamp",
    "note": "text",
}


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    size = rng.lognormal(3, 1, n)
    size[::17] = np.nan
    city = np.array(["Paris", "Lyon", None], dtype=object)[rng.choice(3, n, p=[0.7, 0.25, 0.05])]
    city[5] = "Anne's village"
    return {
        "size": size,
        "weight": np.nan_to_num(size, nan=20.0) * 2 + rng.normal(size=n),
        "city": city,
        "new": (rng.random(n) < 0.3).astype(float),
        "made": np.datetime64("2024-01-01", "us") + rng.integers(0, 700, n) * np.timedelta64(1, "D"),
        "note": np.array([f"note {i}" for i in range(n)], dtype=object),
    }


def made(n=3000, seed=0):
    table = rows(n)
    return table, typical_rows(table, table["weight"], KINDS, seed=seed)


def test_they_are_plain_repeatable_and_bounded():
    _, found = made()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert {len(cells) for cells in found.values()} == {MOST}
    assert made()[1] == found
    assert made(seed=1)[1] != found


def test_they_spread_as_the_rows_do_and_keep_what_goes_together():
    table, found = made()
    size = np.array([np.nan if v is None else v for v in found["size"]])
    weight = np.array(found["weight"], dtype=float)
    known = ~np.isnan(size)
    assert np.corrcoef(np.log(size[known]), np.log(weight[known]))[0, 1] > 0.9
    assert abs(np.nanmedian(np.log(size)) - np.nanmedian(np.log(table["size"]))) < 0.3
    assert 0.6 < np.nanstd(np.log(size)) / np.nanstd(np.log(table["size"])) < 1.2
    assert 0.5 < np.mean([city == "Paris" for city in found["city"]]) < 0.9


def test_no_number_no_rare_word_and_no_text_is_anybodys():
    table, found = made()
    for name in ("size", "weight"):
        assert not set(found[name]) & set(table[name])
    assert set(found["city"]) <= {"Paris", "Lyon", None}
    assert set(found["note"]) == {None}


def test_few_rows_give_few_typical_ones_and_too_few_none():
    table, found = made(n=100)
    assert len(found["size"]) == 4
    assert not set(found["size"]) & set(table["size"])
    assert {tuple(cells) for cells in made(n=4 * FEWEST - 1)[1].values()} == {(None,)}


def test_constant_and_absent_columns_do_no_harm():
    table = {"a": np.ones(300), "b": np.full(300, np.nan), "c": np.full(300, None, dtype=object)}
    found = typical_rows(table, np.zeros(300), {"a": "number", "b": "number", "c": "category"})
    assert set(found["a"]) == {1.0}
    assert set(found["b"]) == set(found["c"]) == {None}
