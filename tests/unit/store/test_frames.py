from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volant.store import frames

payload_lists = st.lists(st.binary(max_size=200), max_size=8)


def read(data: bytes) -> list[bytes]:
    return [bytes(payload) for payload in frames.scan(data).payloads]


@given(payload_lists)
def test_what_was_framed_is_read_back(payloads):
    data = b"".join(map(frames.frame, payloads))
    found = frames.scan(data)
    assert [bytes(p) for p in found.payloads] == payloads
    assert (found.end, found.state) == (len(data), "clean")


@given(payload_lists.filter(bool), st.data())
def test_a_torn_end_costs_the_torn_frame_alone(payloads, data):
    whole = b"".join(map(frames.frame, payloads))
    length = data.draw(st.integers(0, len(whole) - 1))
    found = frames.scan(whole[:length])
    assert [bytes(p) for p in found.payloads] == payloads[: len(found.payloads)]
    assert frames.scan(whole[: found.end]).state == "clean"
    if found.state == "short":
        following = frames.scan(whole[: found.end + found.need])
        assert len(following.payloads) >= len(found.payloads)
    else:
        assert (found.state, found.end) == ("clean", length)


@given(payload_lists.filter(bool), st.data())
def test_a_flipped_bit_is_never_read_as_data(payloads, data):
    whole = bytearray(b"".join(map(frames.frame, payloads)))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    found = frames.scan(bytes(whole))
    assert [bytes(p) for p in found.payloads] == payloads[: len(found.payloads)]
    assert len(found.payloads) < len(payloads)
    assert found.end <= place
    assert found.state != "clean"


@given(payload_lists, st.binary(min_size=1, max_size=300))
def test_foreign_bytes_after_the_frames_do_not_harm_them(payloads, foreign):
    whole = b"".join(map(frames.frame, payloads))
    assert read(whole + foreign)[: len(payloads)] == payloads


def test_zeros_are_damage():
    assert frames.scan(bytes(5)).state == "bad"
    assert frames.scan(bytes(5000)).state == "bad"


def test_a_payload_that_is_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(frames, "MAX_PAYLOAD", 10)
    with pytest.raises(ValueError, match="at most 10"):
        frames.frame(b"x" * 11)
    assert frames.scan(frames.HEADER.pack(frames.MAGIC, 11, 0) + b"x" * 11).state == "bad"
