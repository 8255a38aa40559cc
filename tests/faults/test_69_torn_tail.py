"""Fault 69: a torn end of a segment is cut off at the bad checksum; everything before it is kept."""

from __future__ import annotations

import os

import pytest

from volant.core.ids import uuid7
from volant.store import PredictionRecord, frames, open_store


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / ".volant") as opened:
        yield opened


def segment(store, number: int = 5):
    """A segment of a process that is gone: its path, its bytes, where its last frame begins."""
    log = store.prediction_log()
    records = [
        PredictionRecord(id=uuid7(), release="r", at="2026-01-01T00:00:00+00:00", input={}, output={})
        for _ in range(number)
    ]
    log.append(records[:-1])
    path = next((store.home / "segments").glob("*.seg"))
    last = path.stat().st_size
    log.append(records[-1:])
    log.close()
    return path, path.read_bytes(), last, [record.id for record in records]


@pytest.mark.parametrize("missing", [1, 2, 3, 50, -1, -11, -12, -13])
def test_a_frame_that_was_not_finished(store, missing):
    """`missing` bytes are lacking at the end; below zero: so many bytes of the last frame are there."""
    path, whole, last, ids = segment(store)
    os.truncate(path, len(whole) - missing if missing > 0 else last - missing)
    assert store.index_segments() == len(ids) - 1
    assert set(store.find_predictions(ids)) == set(ids[:-1])
    assert not path.exists()


@pytest.mark.parametrize("place", [0, 5, 9, 20, -1])
def test_a_frame_with_a_wrong_bit(store, place):
    path, whole, last, ids = segment(store)
    damaged = bytearray(whole)
    damaged[last + place if place >= 0 else len(whole) - 1] ^= 4
    path.write_bytes(damaged)
    assert store.index_segments() == len(ids) - 1
    assert set(store.find_predictions(ids)) == set(ids[:-1])


def test_zeros_after_a_power_loss(store):
    path, whole, _, ids = segment(store)
    path.write_bytes(whole + bytes(4096))
    assert store.index_segments() == len(ids)
    assert not path.exists()


def test_what_is_being_written_is_left_alone(store):
    log = store.prediction_log()
    path = next((store.home / "segments").glob("*.seg"))
    torn = frames.frame(b"half a frame")[:-3]
    with path.open("ab") as stream:
        stream.write(torn)
    for _ in range(2):
        assert store.index_segments() == 0
        assert path.read_bytes() == torn
    log.close()
    assert store.index_segments() == 0
    assert not path.exists()


def test_a_frame_that_arrives_in_two_pieces_is_read_when_it_is_whole(store):
    path, whole, last, ids = segment(store)
    path.unlink()
    log = store.prediction_log()
    live = next((store.home / "segments").glob("*.seg"))
    with live.open("ab", buffering=0) as stream:
        stream.write(whole[: last + 7])
        assert store.index_segments() == len(ids) - 1
        stream.write(whole[last + 7 :])
        assert store.index_segments() == 1
    log.close()
