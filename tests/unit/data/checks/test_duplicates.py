"""Rows that repeat: exactly, almost, with another target, and across the split."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from volant.data.checks.sketches import similar_texts

DUPLICATES = ("exact_duplicates", "near_duplicates", "conflicting_duplicates")


def repeated(columns, rows):
    order = np.append(np.arange(len(columns["y"])), rows)
    return {name: values[order] for name, values in columns.items()}


def test_exact_copies(checks, make, run, clean):
    inside, across = run(checks["exact_duplicates"], make(repeated(clean(), np.arange(40))))
    assert inside.count == 40
    assert inside.rows[:3] == (600, 601, 602)
    assert "side of the split" in across.what
    assert 5 <= across.count < 40


def test_coarse_rows_repeat_by_chance(checks, make, run):
    g = np.random.default_rng(0)
    columns = {name: g.choice(list("abcd"), 800).astype(object) for name in "uvw"}
    columns["y"] = g.choice(["no", "yes"], 800).astype(object)
    for name in DUPLICATES:
        assert run(checks[name], make(columns)) == []


def test_conflicting_targets(checks, make, run, clean):
    columns = repeated(clean(), np.arange(10))
    columns["y"][600:] = np.where(columns["y"][600:] == "yes", "no", "yes")
    (found,) = run(checks["conflicting_duplicates"], make(columns))
    assert (found.count, found.rows[:4]) == (10, (0, 600, 1, 601))
    assert run(checks["exact_duplicates"], make(columns)) == []


def test_numbers_conflict_only_when_far_apart(checks, make, run, clean):
    columns = repeated(clean(task="regress"), np.arange(10))
    columns["y"][600:] += 0.01
    assert run(checks["conflicting_duplicates"], make(columns)) == []
    columns["y"][600:] += 9.0
    (found,) = run(checks["conflicting_duplicates"], make(columns))
    assert found.count == 10


def numbers(rows=600):
    g = np.random.default_rng(0)
    return {name: g.normal(size=rows) for name in "abcde"}


def test_jittered_numbers(checks, make, run, clean):
    columns = repeated(clean() | numbers(), np.arange(20))
    for name in "abcde":
        columns[name][600:] += 1e-4 * np.random.default_rng(1).normal(size=20)
    inside, across = run(checks["near_duplicates"], make(columns))
    assert (inside.count, inside.rows[0]) == (20, 600)
    assert 2 <= across.count <= 20


def test_repeated_measurements_of_a_subject_are_no_copies(checks, make, run, clean):
    columns = repeated(clean() | numbers() | {"who": np.array([f"p{i}" for i in range(600)])}, np.arange(20))
    columns["a"][600:] += 1e-5
    assert run(checks["near_duplicates"], make(columns, roles={"who": "subject"})) == []
    assert run(checks["near_duplicates"], make(columns, roles={"who": "ignored"})) != []


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_dense_numbers_are_no_copies(checks, make, run, width):
    g = np.random.default_rng(0)
    latent = g.normal(size=3000)
    columns = {f"n{i}": latent * (i + 1) + 0.01 * g.normal(size=3000) for i in range(width)}
    columns["y"] = np.where(g.random(3000) < 0.5, "a", "b").astype(object)
    assert run(checks["near_duplicates"], make(columns)) == []


def test_every_row_jittered(checks, make, run, clean):
    columns = repeated(numbers() | {"y": clean()["y"]}, np.arange(600))
    for name in "abcde":
        columns[name][600:] += 1e-4 * np.random.default_rng(1).normal(size=600)
    inside, _ = run(checks["near_duplicates"], make(columns))
    assert inside.count == 600


def test_retyped_words(checks, make, run, clean):
    names = np.array([f"Street No. {i} in town" for i in range(600)], dtype=object)
    columns = repeated(numbers() | {"name": names, "y": clean()["y"]}, np.arange(15))
    columns["name"][600:] = [name.upper().replace(".", "") + " " for name in columns["name"][600:]]
    inside, *_ = run(checks["near_duplicates"], make(columns))
    assert inside.count == 15


def sentences(rows, seed=0):
    g = np.random.default_rng(seed)
    stock = np.array([f"{a}{b}" for a in ("ka", "lo", "mi", "tu", "re") for b in ("sta", "lin", "dor", "ven", "pal")])
    return [" ".join(g.choice(stock, 30)) for _ in range(rows)]


def test_texts_that_say_nearly_the_same():
    texts = sentences(400)
    texts += [text.replace("kasta", "kasto", 1) + "!" for text in texts[:12]]
    left, right = similar_texts(pa.array([*texts, None, "short"]))
    assert sorted(zip(left.tolist(), right.tolist(), strict=True)) == [(i, 400 + i) for i in range(12)]


def test_chinese_texts_that_say_nearly_the_same():
    g = np.random.default_rng(0)
    stock = np.array([chr(0x4E00 + 7 * i) for i in range(200)])
    texts = ["".join(g.choice(stock, 60)) for _ in range(300)]
    texts += [f"{text[:30]}，{text[30:]}" for text in texts[:9]]
    left, _ = similar_texts(pa.array(texts))
    assert sorted(left.tolist()) == list(range(9))


def test_texts_in_the_check(checks, make, run, clean):
    columns = clean(400) | {"said": np.array(sentences(400), dtype=object)}
    columns = repeated(columns, np.arange(8))
    columns["said"][400:] = [f"{text} again" for text in columns["said"][400:]]
    columns["z"][400:] += 1
    inside, *_ = run(checks["near_duplicates"], make(columns, types={"said": "text"}))
    assert inside.count == 8
