from __future__ import annotations

import errno
import os
import threading
import time

import pytest

from volant.errors import BadInput, Failure
from volant.store import PredictionLog, disk, flock
from volant.store.segment import ASKED, Segment


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "segments").mkdir()
    return tmp_path / "segments"


def test_an_append_is_one_write(folder, predict, monkeypatch):
    log = PredictionLog(folder)
    sizes = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: sizes.append(len(data)) or write(fd, data))
    log.append(predict(100))
    monkeypatch.undo()
    log.close()
    assert len(sizes) == 1
    assert sum(path.stat().st_size for path in folder.iterdir()) == sizes[0]


def test_an_append_is_flushed_soon_without_being_asked(folder, predict, monkeypatch):
    flushed = threading.Event()
    sync = disk.sync
    monkeypatch.setattr(disk, "sync", lambda fd: (sync(fd), flushed.set()))
    log = PredictionLog(folder)
    log.append(predict())
    assert flushed.wait(5)
    log.close()


def test_segments_rotate_by_size(folder, predict):
    log = PredictionLog(folder, segment_bytes=2000)
    for _ in range(20):
        log.append(predict())
    log.close()
    assert len(list(folder.glob("*.seg"))) > 2
    assert all(path.stat().st_size <= 2000 for path in folder.iterdir())


def test_an_append_larger_than_a_segment_is_kept_whole(folder, predict):
    log = PredictionLog(folder, segment_bytes=100)
    log.append(predict(10))
    log.close()
    assert [path.stat().st_size > 100 for path in folder.iterdir()] == [True]


@pytest.mark.parametrize(
    "values",
    [
        {"input": {"x": {1, 2}.__iter__()}},
        {"input": {"x": 2**70}},
        {"input": {"x": "\ud800"}},
        {"input": {1: "x"}},
        {"subject": "a\x00b"},
        {"subject": 7},
        {"propensity": 1.5},
        {"propensity": float("nan")},
        {"latency_us": -1},
    ],
)
def test_what_could_not_be_read_back_is_refused_and_the_log_goes_on(folder, predict, values):
    log = PredictionLog(folder)
    with pytest.raises(BadInput) as caught:
        log.append([*predict(), *predict(**values)])
    assert caught.value.code == "input-invalid"
    assert caught.value.troubles[0].where == "records[1]"
    assert log.failure is None
    log.append(predict())
    log.close()


def test_a_failed_flush_stops_the_log(folder, predict, monkeypatch):
    log = PredictionLog(folder)

    def refuse(_descriptor):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(disk, "sync", refuse)
    log.append(predict())
    deadline = time.monotonic() + 5
    while log.failure is None and time.monotonic() < deadline:
        time.sleep(0.005)
    for _ in range(2):
        with pytest.raises(Failure) as caught:
            log.append(predict())
        assert (caught.value.code, caught.value.troubles[0].got) == ("store-failed", "EIO")
    with pytest.raises(Failure):
        log.close()


def test_a_write_that_stops_half_way_leaves_nothing(folder, predict, monkeypatch):
    log = PredictionLog(folder)
    log.append(predict())
    path = next(folder.glob("*.seg"))
    size = path.stat().st_size
    write = os.write
    calls = iter([lambda fd, data: write(fd, data[:10])])

    def fill_up(descriptor, data):
        for call in calls:
            return call(descriptor, data)
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", fill_up)
    with pytest.raises(Failure) as caught:
        log.append(predict())
    assert caught.value.code == "store-full"
    assert path.stat().st_size == size
    monkeypatch.undo()
    with pytest.raises(Failure, match="disk is full"):
        log.append(predict())
    with pytest.raises(Failure):
        log.close()


def test_a_closed_log_takes_nothing(folder, predict):
    log = PredictionLog(folder)
    log.close()
    log.close()
    with pytest.raises(Failure, match="closed"):
        log.append(predict())


def test_a_forked_child_may_not_use_the_log(folder, predict, monkeypatch):
    log = PredictionLog(folder)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(Failure, match="another process"):
        log.append(predict())
    monkeypatch.undo()
    log.close()


def test_many_threads_append_at_once(folder, predict, tmp_path):
    from volant.store import open_store

    with open_store(tmp_path) as store:
        log = store.prediction_log()
        lots = [predict(50) for _ in range(8)]
        threads = [threading.Thread(target=lambda lot=lot: [log.append([r]) for r in lot]) for lot in lots]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store.find_predictions([r.id for lot in lots for r in lot])) == 400


def test_a_segment_swept_before_it_was_named_is_made_again(folder, monkeypatch):
    rename = type(folder).rename
    swept = []

    def sweep_first(path, target):
        if not swept:
            swept.append(path)
            path.unlink()
        return rename(path, target)

    monkeypatch.setattr(type(folder), "rename", sweep_first)
    segment = Segment.create(folder)
    assert segment.path.exists()
    assert segment.path.stem != swept[0].stem
    segment.close()


def test_a_segment_that_is_asked_for_is_let_go_at_once(folder, predict):
    """Another process asks for it, although nothing more is logged; what follows goes into the next one."""
    log = PredictionLog(folder)
    log.append(predict(3))
    [first] = folder.glob("*.seg")
    first.with_suffix(ASKED).touch()
    until = time.monotonic() + 10
    while flock.is_held(first):
        assert time.monotonic() < until
        time.sleep(0.02)
    size = first.stat().st_size
    log.append(predict(2))
    assert first.stat().st_size == size
    assert len(list(folder.glob("*.seg"))) == 2
    assert not list(folder.glob(f"*{ASKED}"))
    log.close()
