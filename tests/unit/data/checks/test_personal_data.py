"""Personal data is seen, and ordinary codes are not taken for it."""

from __future__ import annotations

import numpy as np
import pytest

from volant.data.checks.patterns import KINDS, chinese_identity, inside, luhn, personal, whole

N = 300
G = np.random.default_rng(0)


def identity(front):
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return front + "10X98765432"[sum(int(d) * w for d, w in zip(front, weights, strict=True)) % 11]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("e-mail addresses", "a.b+c@mail.example.org"),
        ("telephone numbers", "13812345678"),
        ("telephone numbers", "+86 138 1234 5678"),
        ("telephone numbers", "(212) 555-0123"),
        ("telephone numbers", "212-555-0123"),
        ("telephone numbers", "+44 20 7946 0958"),
        ("telephone numbers", "010-12345678"),
        ("American social security numbers", "123-45-6789"),
        ("payment card numbers", "4539 1488 0343 6467"),
        ("payment card numbers", "5425233430109903"),
        ("payment card numbers", "6222021234567890128"),
        ("network addresses", "192.168.10.77"),
        ("network addresses", "2001:db8:0:0:1:2:3:4"),
        ("Chinese identity numbers", "11010519491231002X"),
    ],
)
def test_kinds(kind, text):
    assert whole(kind, text)
    assert inside(kind, f"see {text}, please")
    assert personal(f"号码{text}。") or kind not in KINDS


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-31",
        "12:30:45",
        "1.2.3.4",
        "1234567890",
        "4111111111111112",
        "0000-0000-0000-0000",
        "110105194913310021",
        "000-12-3456",
        "3.14159265358979",
        "978-3-16-148410-0",
        "version 10.0.19",
        "@home",
        "1,234,567.89",
        "12345-6789",
        "-0.4111111111111111",
    ],
)
def test_ordinary_texts(text):
    assert not personal(text)


def test_check_digits():
    assert luhn("79927398713")
    assert not luhn("79927398714")
    assert chinese_identity("11010519491231002X")
    assert not chinese_identity("110105194912310021")


def column(name):
    g = np.random.default_rng(1)
    makers = {
        "mail": lambda: f"user{g.integers(9999)}@example.com",
        "mobile": lambda: f"1{g.choice([3, 5, 7, 8, 9])}{g.integers(10**9):09d}",
        "identity": lambda: identity(f"110105{g.integers(1950, 2005)}{g.integers(1, 13):02d}15{g.integers(999):03d}"),
        "security": lambda: f"{g.integers(100, 665)}-{g.integers(10, 99)}-{g.integers(1000, 9999)}",
        "address": lambda: ".".join(str(n) for n in g.integers(1, 255, 4)),
        "order": lambda: f"138{g.integers(10**8):08d}",
        "sku": lambda: f"{g.integers(10**15, 10**16)}",
        "version": lambda: f"{g.integers(9)}.{g.integers(20)}.{g.integers(30)}.{g.integers(9)}",
        "stamp": lambda: f"{g.integers(1.5e12, 1.7e12)}",
    }
    return np.array([makers[name]() for _ in range(N)], dtype=object)


@pytest.mark.parametrize("name", ["mail", "mobile", "identity", "security", "address"])
def test_columns_of_personal_data(checks, make, run, clean, name):
    columns = clean(N) | {"c": column(name)}
    columns["c"][::10] = None
    (found,) = run(checks["personal_data"], make(columns, types={"c": "category"}))
    assert found.column == "c"
    assert 0.8 * N <= found.count <= N


@pytest.mark.parametrize("name", ["order", "sku", "version", "stamp"])
def test_columns_of_codes(checks, make, run, clean, name):
    assert run(checks["personal_data"], make(clean(N) | {"c": column(name)}, types={"c": "category"})) == []


def test_numbers_may_be_telephones(checks, make, run, clean):
    columns = clean(N) | {"c": column("mobile").astype(float), "stamp": column("stamp").astype(float)}
    assert [f.column for f in run(checks["personal_data"], make(columns))] == ["c"]


def test_addresses_inside_texts(checks, make, run, clean):
    said = np.full(N, "nothing to see in these words", dtype=object)
    said[::20] = "write to me at someone@example.com please"
    (found,) = run(checks["personal_data"], make(clean(N) | {"said": said}, types={"said": "text"}))
    assert (found.column, found.rows[:2]) == ("said", (0, 20))


def test_a_few_strays_are_not_a_column(checks, make, run, clean):
    codes = column("sku")
    codes[:6] = "someone@example.com"
    assert run(checks["personal_data"], make(clean(N) | {"c": codes}, types={"c": "category"})) == []
