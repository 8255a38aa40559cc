"""Columns that are empty, constant, identifiers, or full of rare, mixed and impossible values."""

from __future__ import annotations

import numpy as np
import pytest

from volant.core.protocols import CheckContext
from volant.data.checks.extremes import apart, placeholder

N = 600


def words(*choices, seed=0):
    return np.random.default_rng(seed).choice(choices, size=N).astype(object)


def test_constant_columns(checks, make, run, clean):
    columns = clean() | {"currency": np.full(N, "EUR"), "year": np.full(N, 2024.0)}
    assert [f.column for f in run(checks["constant_columns"], make(columns))] == ["currency", "year"]


def test_one_value_or_nothing_is_not_constant(checks, make, run, clean):
    columns = clean() | {"pool": np.where(np.arange(N) % 3 == 0, "yes", None)}
    assert run(checks["constant_columns"], make(columns)) == []


def test_mostly_empty_columns_and_empty_rows(checks, make, run, clean):
    columns = clean()
    columns["pool"] = np.where(np.arange(N) % 4 == 1, 1.0, np.nan)
    for name in ("x", "z", "count"):
        columns[name][[8, 16]] = np.nan
    columns["color"][[8, 16]] = None
    columns["flag"] = np.where(np.isin(np.arange(N), [8, 16]), None, "t").astype(object)
    column, rows = run(checks["missing_values"], make(columns))
    assert (column.column, column.count) == ("pool", 450)
    assert rows.rows == (8, 16)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.arange(N) + 5000.0, "number"),
        (np.random.default_rng(0).permutation(N) + 1.0, "number"),
        (np.array([f"{i:032x}" for i in np.random.default_rng(0).integers(0, 2**60, N)]), "category"),
        (np.array([f"K{i:07d}" for i in range(N)]), "text"),
        (np.array([f"京A{i:06d}" for i in range(N)]), "text"),
    ],
)
def test_identifiers(checks, make, run, clean, values, kind):
    (found,) = run(checks["id_like"], make(clean() | {"ref": values}, types={"ref": kind}))
    assert found.column == "ref"


def test_measurements_sentences_and_ignored_columns_are_no_identifiers(checks, make, run, clean):
    g = np.random.default_rng(0)
    columns = clean() | {
        "cents": g.choice(10**7, N, replace=False).astype(float),
        "level": np.sort(g.normal(size=N)),
        "said": np.array([f"it was seen {i} times by us" for i in range(N)]),
        "key": np.arange(N) + 0.0,
    }
    signs = np.array(list("很好用的东西我们都喜欢快递太慢了质量不错"))
    columns["短评"] = np.array(["".join(g.choice(signs, 8)) for _ in range(N)])
    data = make(columns, types={"said": "text", "短评": "text"}, roles={"key": "ignored"})
    assert run(checks["id_like"], data) == []


def test_rare_categories(checks, make, run, clean):
    names = np.array([f"street {i // 3}" if i < 150 else "main road" for i in range(N)])
    (found,) = run(checks["rare_categories"], make(clean() | {"street": names}))
    assert (found.column, found.count) == ("street", 150)


def test_a_few_rare_categories_do_not_matter(checks, make, run, clean):
    names = words("a", "b", "c")
    names[:20] = [f"rare {i}" for i in range(20)]
    assert run(checks["rare_categories"], make(clean() | {"street": names})) == []


def test_outliers(checks, make, run, clean):
    g = np.random.default_rng(0)
    height = g.normal(170, 10, N)
    height[[3, 77]] *= 100
    (found,) = run(checks["outliers"], make(clean() | {"height": height}))
    assert (found.column, found.rows) == ("height", (3, 77))


@pytest.mark.parametrize("draw", ["lognormal", "pareto", "standard_cauchy", "zeros", "steps"])
def test_heavy_tails_are_no_outliers(draw):
    for seed in range(20):
        g = np.random.default_rng(seed)
        make = {
            "lognormal": lambda g: g.lognormal(0, 2, 3000),
            "pareto": lambda g: g.pareto(1.5, 3000),
            "standard_cauchy": lambda g: np.tan(np.pi * 0.499 * (2 * g.random(3000) - 1)),
            "zeros": lambda g: np.where(g.random(3000) < 0.8, 0, g.gamma(1, 50, 3000)),
            "steps": lambda g: g.integers(0, 4, 3000).astype(float),
        }[draw]
        assert not apart(make(g)).any()


def test_codes_for_missing():
    g = np.random.default_rng(0)
    x = g.normal(20, 5, 1000)
    assert placeholder(x) is None
    x[:30] = -999
    assert placeholder(x) == -999
    assert placeholder(g.poisson(1.0, 1000).astype(float)) is None
    assert placeholder(np.where(g.random(1000) < 0.8, 0.0, g.gamma(9, 50, 1000))) is None


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e308])
def test_impossible_numbers(checks, make, run, clean, value):
    columns = clean()
    columns["z"][[2, 40]] = value
    (found,) = run(checks["impossible_values"], make(columns))
    assert (found.column, found.rows, found.count) == ("z", (2, 40), 2)


@pytest.mark.parametrize(("name", "value"), [("age", -4), ("客户年龄", -1), ("unit_price", -2), ("age", 999)])
def test_what_a_name_rules_out(checks, make, run, clean, name, value):
    column = np.random.default_rng(0).integers(20, 60, N).astype(float)
    column[11] = value
    (found, *_) = run(checks["impossible_values"], make(clean() | {name: column}))
    assert (found.column, found.rows) == (name, (11,))


def test_what_a_name_allows(checks, make, run, clean):
    g = np.random.default_rng(0)
    columns = clean() | {"balance": g.normal(size=N), "speed": g.normal(size=N), "page": -g.random(N)}
    assert run(checks["impossible_values"], make(columns)) == []


def test_impossible_times(checks, make, run, clean):
    days = np.datetime64("2024-01-01", "us") + np.arange(N).astype("timedelta64[D]")
    days[5] = np.datetime64("0201-01-01", "us")
    (found,) = run(checks["impossible_values"], make(clean() | {"at": days}))
    assert found.rows == (5,)


def test_unreadable_cells_come_from_the_context(checks, make, run, clean):
    context = CheckContext(target="y", unreadable={"x": [4, 8]}, unreadable_count={"x": 70})
    (found,) = run(checks["mixed_formats"], make(clean()), context)
    assert (found.column, found.rows, found.count) == ("x", (4, 8), 70)


def test_cells_of_several_types_in_the_source(checks, make, run, clean):
    (found,) = run(checks["mixed_formats"], make(clean()), CheckContext(target="y", notes={"mixed_types": ["color"]}))
    assert found.column == "color"


def test_spellings(checks, make, run, clean):
    city = words("Paris", "Lyon")
    city[:6] = ["paris", " Paris", "PARIS", "Ｌｙｏｎ", "lyon", "Lyon "]
    (found,) = run(checks["mixed_formats"], make(clean() | {"city": city}))
    assert (found.column, found.rows) == ("city", (0, 1, 2, 3, 4, 5))


def test_spellings_of_the_target(checks, make, run, clean):
    columns = clean()
    columns["y"][:5] = "YES"
    (found,) = run(checks["mixed_formats"], make(columns))
    assert found.column == "y"


def test_dates_in_two_formats(checks, make, run, clean):
    days = np.array([f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(N)], dtype=object)
    days[::50] = "31/12/2023"
    (found,) = run(checks["mixed_formats"], make(clean() | {"day": days}))
    assert (found.column, found.count) == ("day", 12)
    assert "formats" in found.what


def test_numbers_among_words(checks, make, run, clean):
    cells = np.array([str(i / 4) for i in range(N)], dtype=object)
    cells[[9, 19, 29, 39]] = "unknown to us"
    (found,) = run(checks["mixed_formats"], make(clean() | {"size": cells}))
    assert (found.column, found.rows) == ("size", (9, 19, 29, 39))


def test_codes_of_letters_and_digits_are_not_mixed(checks, make, run, clean):
    columns = clean() | {"grade": words("1", "2", "3", "A", "B"), "room": words("12", "14", "14b", "x")}
    assert run(checks["mixed_formats"], make(columns)) == []
