"""Dataset versions are immutable and named by their content."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from tests.tables import SCHEMA, dataset, rows

from volant.core.records import Column, Schema
from volant.data.dataset import Extra, SplitRule, Writer, open_dataset
from volant.errors import BadInput


def test_the_same_rows_give_the_same_version(tmp_path):
    one, two = dataset(tmp_path / "a"), dataset(tmp_path / "b")
    assert one.digest == two.digest == open_dataset(one.folder).digest
    assert dataset(tmp_path / "a").folder == one.folder
    assert [p for p in (tmp_path / "a").iterdir()] == [one.folder]


@pytest.mark.parametrize("change", ["cell", "role", "split", "row"])
def test_whatever_matters_changes_the_digest(tmp_path, change):
    before = dataset(tmp_path).digest
    table, schema, rule = rows(), SCHEMA, SplitRule()
    if change == "cell":
        table = table.set_column(0, "size", pa.array(["7.5", *table.column(0).to_pylist()[1:]]))
    if change == "role":
        schema = Schema((*SCHEMA.columns[:1], replace(SCHEMA.columns[1], role="ignored"), *SCHEMA.columns[2:]))
    if change == "split":
        rule = SplitRule(salt="another")
    if change == "row":
        table = table.slice(1)
    assert dataset(tmp_path, table, schema=schema, rule=rule).digest != before


def test_views_agree_with_the_whole(tmp_path):
    data = dataset(tmp_path)
    parts = [data.part(name) for name in ("train", "judge", "test")]
    assert sum(map(len, parts)) == len(data) == 600
    assert sorted(np.concatenate([p.numbers() for p in parts])) == list(range(600))
    judge = parts[1]
    assert judge.table(["shape"]).column(0).to_pylist() == [
        data.table(["shape"]).column(0)[int(i)].as_py() for i in judge.numbers()
    ]
    again = judge.take(np.array([2, 0]))
    assert list(again.keys()) == [judge.keys()[2], judge.keys()[0]]
    batch = again.batch(["size", "open", "made", "shape"])
    assert {name: values.dtype.kind for name, values in batch.items()} == {
        "size": "f", "open": "f", "made": "M", "shape": "O"
    }  # fmt: skip


def test_equal_inputs_are_never_on_two_sides(tmp_path):
    table = pa.concat_tables([rows(), rows()])
    data = dataset(tmp_path, table)
    sides = dict(zip(data.numbers(), data.sides(), strict=True))
    assert all(sides[i] == sides[i + 600] for i in range(600))


def test_a_corrected_label_moves_no_row(tmp_path):
    table = rows()
    labels = table.column("label").to_pylist()
    other = ["yes" if v == "no" else "no" for v in labels]
    before = dataset(tmp_path, table).sides()
    after = dataset(tmp_path, table.set_column(4, "label", pa.array(other))).sides()
    assert (before == after).all()


def test_rows_without_a_label_belong_to_no_side(tmp_path):
    table = rows()
    labels = [None, "", *table.column("label").to_pylist()[2:]]
    data = dataset(tmp_path, table.set_column(4, "label", pa.array(labels)))
    assert list(data.sides()[:2]) == ["unlabelled"] * 2


def test_unreadable_cells_are_missing_and_noted(tmp_path):
    table = rows()
    sizes = table.column("size").to_pylist()
    sizes[3] = sizes[205] = "twelve"
    data = dataset(tmp_path, table.set_column(0, "size", pa.array(sizes)))
    assert data.facts["unreadable"] == {"size": [3, 205]}
    assert data.facts["unreadable_count"] == {"size": 2}
    assert np.isnan(data.batch(["size"])["size"][[3, 205]]).all()


def test_a_subject_stays_on_one_side(tmp_path):
    table = rows().append_column("who", pa.array([f"u{i % 40}" for i in range(600)]))
    schema = Schema((*SCHEMA.columns, Column("who", "id", "subject")))
    data = dataset(tmp_path, table, schema=schema)
    sides = data.sides()
    assert all(len({sides[j] for j in range(i, 600, 40)}) == 1 for i in range(40))


TIMED = Schema((*(replace(c, role="time") if c.name == "made" else c for c in SCHEMA.columns),))


def timed(days: list[str], labels: list[str | None]) -> pa.Table:
    table = rows(len(days))
    return table.set_column(3, "made", pa.array(days)).set_column(4, "label", pa.array(labels))


def test_rows_without_an_answer_use_up_no_side_of_a_split_by_time(tmp_path):
    days = [f"2024-01-{1 + i // 4:02}" for i in range(100)]
    table = timed(days, ["yes" if i % 2 else "no" for i in range(60)] + [None] * 40)
    data = dataset(tmp_path, table, schema=TIMED, rule=SplitRule(by="time"))
    assert data.facts["sides"] == {"train": 48, "judge": 4, "test": 8, "unlabelled": 40}


def test_a_split_by_time_of_too_few_times_is_refused_with_the_column(tmp_path):
    table = timed(["2024-01-01", "2024-01-02"] * 30, ["yes", "no"] * 30)
    with pytest.raises(BadInput) as bad:
        dataset(tmp_path, table, schema=TIMED, rule=SplitRule(by="time"))
    trouble = bad.value.troubles[0]
    assert (bad.value.code, trouble.where, trouble.got) == ("target-unfit", "columns.made", "2 in 60 rows")
    assert "data.split.by" in str(trouble.fix)
    assert not list(tmp_path.iterdir())
    data = dataset(tmp_path, table, schema=TIMED, rule=SplitRule(by="time", test=0.0))
    assert data.facts["sides"] == {"train": 30, "judge": 30}


def test_weights_come_from_their_column(tmp_path):
    table = rows().append_column("w", pa.array([str(i % 3) for i in range(600)]))
    schema = Schema((*SCHEMA.columns, Column("w", "number", "weight")))
    assert list(dataset(tmp_path, table, schema=schema).weights()[:4]) == [0, 1, 2, 0]


def test_feedback_rows_keep_their_side_and_their_reference(tmp_path):
    source = dataset(tmp_path)
    writer = Writer(tmp_path, SCHEMA, SplitRule(), source.facts["cuts"])
    writer.add(source.table(), Extra(weights=source.weights(), sides=list(source.sides())))
    extra = Extra("feedback", ["p1", "p2"], np.array([0.5, 1.0]), ["train", "judge"])
    writer.add(source.table().slice(0, 2), extra)
    data = writer.finish()
    assert list(data.sides()[:600]) == list(source.sides())
    assert list(data.sides()[600:]) == ["train", "judge"]
    assert list(data.references()[600:]) == ["p1", "p2"]
    assert list(data.provenance()[599:601]) == ["source", "feedback"]
    assert data.digest != source.digest


def test_no_rows_are_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(BadInput) as bad:
        dataset(tmp_path, rows().slice(0, 0))
    assert bad.value.code == "source-empty"
    assert not list(tmp_path.iterdir())


def test_a_damaged_version_is_named(tmp_path):
    data = dataset(tmp_path)
    (data.folder / "dataset.json").write_text("{")
    with pytest.raises(BadInput) as bad:
        open_dataset(data.folder)
    assert bad.value.code == "artifact-damaged"


@pytest.mark.parametrize("name", ["main.parquet", "rows.parquet"])
@pytest.mark.parametrize("how", ["cut short", "gone", "overwritten"])
def test_damage_is_told_when_it_is_met(tmp_path, name, how):
    path = dataset(tmp_path).folder / name
    whole = path.read_bytes()
    path.unlink()
    if how != "gone":
        path.write_bytes(
            whole[: len(whole) // 2] if how == "cut short" else b"PAR1" + whole[:2000][::-1] + whole[2004:]
        )
    data = open_dataset(path.parent)
    with pytest.raises(BadInput) as bad:
        data.table() if name == "main.parquet" else data.sides()
    assert bad.value.code == "artifact-damaged"


def test_what_a_killed_process_left_is_swept_and_what_is_being_written_stays(tmp_path):
    left, alive = tmp_path / ".unfinished-of-the-dead", Writer(tmp_path, SCHEMA, SplitRule())
    left.mkdir()
    (left / "main.parquet").write_bytes(b"PAR1")
    data = dataset(tmp_path)
    assert not left.exists()
    assert len(list(tmp_path.iterdir())) == 2
    alive.add(data.table(), Extra())
    assert alive.finish().digest == data.digest
    assert [*tmp_path.iterdir()] == [data.folder]


def test_a_column_is_its_own_whatever_the_names_beside_it(tmp_path):
    names = ["a", "a.b", "a.b.c", "a b", "列", "list.element"]
    schema = Schema(tuple(Column(name, "number", "input", "") for name in names))
    writer = Writer(tmp_path, schema, SplitRule())
    writer.add(pa.table({name: [float(place)] * 9 for place, name in enumerate(names)}), Extra())
    data = writer.finish()
    assert [data.batch([name])[name][0] for name in names] == [0, 1, 2, 3, 4, 5]


def test_columns_of_a_wide_table_are_read_in_time(tmp_path):
    schema = Schema(tuple(Column(f"c{n}", "number", "input", "") for n in range(1500)))
    writer = Writer(tmp_path, schema, SplitRule())
    writer.add(pa.table({c.name: np.zeros(20) for c in schema.columns}), Extra())
    data = writer.finish()
    before = time.perf_counter()
    for column in schema.columns:
        data.table([column.name])
    assert time.perf_counter() - before < 8


def test_threads_may_read_a_dataset_at_the_same_time(tmp_path):
    columns = {f"c{i}": np.arange(4_000.0) + i for i in range(40)}
    schema = Schema(tuple(Column(name, "number", "target" if name == "c0" else "input") for name in columns))
    made = dataset(tmp_path, pa.table(columns), schema=schema)

    def read(_):
        batch = fresh.batch(list(columns))
        return all((batch[name] == fresh.batch([name])[name]).all() for name in ("c0", "c39"))

    for _ in range(5):
        fresh = open_dataset(made.folder)
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(read, range(16)))
