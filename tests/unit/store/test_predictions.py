from __future__ import annotations

import os
import subprocess
import sys

import pytest

from volant.store import open_store, predictions, tables


def test_predictions_are_found_before_anybody_indexed_them(store, logged):
    found = store.find_predictions([record.id for record in logged])
    assert found == {record.id: record for record in logged}


def test_unknown_ids_are_left_out(store, logged):
    assert set(store.find_predictions([logged[0].id, "unknown"])) == {logged[0].id}
    assert store.find_predictions([]) == {}


def test_every_field_comes_back_as_it_was(store, predict):
    values = {
        "deployment": 7,
        "policy": "challenger",
        "propensity": 0.25,
        "audit": True,
        "slice_keys": {"city": "北京", "empty": None},
        "subject": "s-1",
        "config_hash": "c" * 64,
        "latency_us": 2**40,
        "input": {"text": "a\u0000b", "list": [1, 2.5, None], "deep": {"x": {"y": "\u2028"}}},
    }
    [record] = predict(**values)
    log = store.prediction_log()
    log.append([record])
    assert store.find_predictions([record.id]) == {record.id: record}


def test_what_is_not_finite_becomes_null(store, predict):
    [record] = predict(input={"x": float("nan"), "y": float("inf")})
    store.prediction_log().append([record])
    assert store.find_predictions([record.id])[record.id].input == {"x": None, "y": None}


def test_indexing_twice_adds_nothing(store, logged):
    assert store.index_segments() == len(logged)
    assert store.index_segments() == 0
    assert store.counts()["predictions"] == len(logged)


def test_a_live_segment_stays_and_a_dead_one_goes(store, predict):
    log = store.prediction_log()
    log.append(predict(3))
    store.index_segments()
    folder = store.home / "segments"
    assert len(list(folder.iterdir())) == 1
    log.append(predict(2))
    log.close()
    assert store.index_segments() == 2
    assert list(folder.iterdir()) == []
    assert store.counts()["predictions"] == 5


def test_an_empty_dead_segment_goes(store):
    store.prediction_log().close()
    assert store.index_segments() == 0
    assert list((store.home / "segments").iterdir()) == []


def test_many_chunks_and_a_record_larger_than_a_chunk(store, predict, monkeypatch):
    monkeypatch.setattr(predictions, "CHUNK_BYTES", 1000)
    records = [*predict(30), *predict(input={"text": "x" * 5000}), *predict(30)]
    log = store.prediction_log()
    log.append(records)
    assert store.index_segments() == 61
    log.close()
    assert store.index_segments() == 0
    assert len(store.find_predictions([record.id for record in records])) == 61


def test_a_segment_that_comes_back_adds_nothing(store, predict):
    log = store.prediction_log()
    log.append(predict(4))
    log.close()
    path = next((store.home / "segments").iterdir())
    content = path.read_bytes()
    store.index_segments()
    path.write_bytes(content)  # as after a crash between the commit and the deletion
    assert store.index_segments() == 0
    assert not path.exists()
    assert store.counts()["predictions"] == 4


def test_a_segment_that_lost_its_end_with_the_power(store, predict):
    log = store.prediction_log()
    log.append(predict(4))
    store.index_segments()
    log.close()
    path = next((store.home / "segments").iterdir())
    os.truncate(path, 10)
    assert store.index_segments() == 0
    assert store.counts()["predictions"] == 4


def test_names_that_never_became_segments_are_swept(store):
    fresh = store.home / "segments" / "x.new"
    fresh.touch()
    store.index_segments()
    assert not fresh.exists()


@pytest.mark.parametrize("readers", [3])
def test_several_processes_index_the_same_segments(tmp_path, predict, readers):
    home = tmp_path / ".volant"
    with open_store(home) as store:
        logs = [store.prediction_log() for _ in range(4)]
        records = predict(2000)
        for position, log in enumerate(logs):
            log.append(records[position::4])
        logs[0].close()
        code = "import sys, pathlib, volant.store as s; print(s.open_store(pathlib.Path(sys.argv[1])).index_segments())"
        command = [sys.executable, "-c", code, str(home)]
        children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(readers)]
        counts = [int(child.communicate()[0]) for child in children]
        assert sum(counts) == 2000
        assert len(store.find_predictions([r.id for r in records])) == 2000


def test_the_bytes_that_were_cut_are_remembered(sqlite_store, predict):
    log = sqlite_store.prediction_log()
    log.append(predict(2))
    log.close()
    path = next((sqlite_store.home / "segments").iterdir())
    with path.open("ab") as stream:
        stream.write(b"VPR1 and then the power went")
    assert sqlite_store.index_segments() == 2
    with sqlite_store._database.read() as connection:
        [row] = connection.execute(tables.segment.select()).all()
    assert row.cut == 28
    assert not path.exists()
