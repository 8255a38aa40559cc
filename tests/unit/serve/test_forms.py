"""Rows as lines and as Arrow, answers likewise, whatever was asked for."""

from __future__ import annotations

import io
import json

import msgspec
import pyarrow as pa
import pytest

from volant.serve.arrow_heads import compressed
from volant.serve.forms import ARROW, NDJSON, PIECE_ROWS, forms

ROWS = [{"age": 50, "plan": "gold"}, {"age": 20, "plan": None}, {"age": 70, "plan": "iron"}]
LINES = {"content-type": NDJSON.decode()}
STREAM = {"content-type": ARROW.decode()}


def lines(rows) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def arrow(table: pa.Table, **options) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as stream:
        stream.write_table(table)
    return sink.getvalue()


def plain(answers):
    """Answers without what differs between two requests."""
    return [{key: one[key] for key in ("label", "probabilities")} for one in answers]


def read_lines(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == NDJSON.decode()
    return [json.loads(line) for line in answer.text.splitlines()]


def test_all_forms_give_the_same_answers(running):
    expected = plain(running.predict(*ROWS))
    sent = [
        running.post("/v1/predict", content=lines(ROWS), headers=LINES),
        running.post("/v1/predict", json={"rows": ROWS}, headers={"accept": NDJSON.decode()}),
    ]
    for answer in sent:
        assert plain(read_lines(answer)) == expected
    whole = running.post("/v1/predict", content=lines(ROWS), headers={**LINES, "accept": "application/json"})
    assert plain(whole.json()["predictions"]) == expected
    table = pa.table({"age": [50, 20, 70], "plan": pa.array(["gold", None, "iron"]).dictionary_encode()})
    answer = running.post("/v1/predict", content=arrow(table), headers=STREAM)
    assert answer.headers["content-type"] == ARROW.decode()
    with pa.ipc.open_stream(answer.content) as stream:
        got = stream.read_all().to_pylist()
    assert plain(got) == expected
    assert [one["flags"] for one in got] == [None, None, '{"plan":"unknown category"}']
    assert {one["release"] for one in got} == {running.service.deck.champion.name}


def test_every_line_is_logged_and_named(running):
    told = read_lines(running.post("/v1/predict", content=lines(ROWS * 200), headers=LINES))
    assert len(told) == 600 > 2 * PIECE_ROWS
    assert len(running.store.find_predictions([one["id"] for one in told])) == 600


def test_a_bad_line_spoils_no_other(running):
    body = lines(ROWS[:1]) + b'{"age": "old"}\n\n{"age": 1}], "subject": "x", "y": [{\n{"age": NaN}\n' + lines(ROWS[:1])
    told = read_lines(running.post("/v1/predict", content=body, headers=LINES))
    assert ["error" in one for one in told] == [False, True, True, True, False]
    assert [one["error"]["status"] for one in told[1:4]] == [422, 400, 400]
    assert told[1]["error"]["troubles"][0]["where"] == "rows[0].age"
    assert running.store.counts()["predictions"] == 2


def test_bodies_of_lines_without_end_are_refused(start):
    running = start(_with("max_rows = 10"))
    assert running.post("/v1/predict", content=b"{}\n" * 201, headers=LINES).status_code == 413
    assert len(read_lines(running.post("/v1/predict", content=lines(ROWS[:1] * 200), headers=LINES))) == 200
    assert running.post("/v1/predict", content=b" \n\n", headers=LINES).status_code == 400
    table = pa.table({"age": list(range(11))})
    assert running.post("/v1/predict", content=arrow(table), headers=STREAM).status_code == 413


def _with(line):
    from volant.testing import handmade

    return handmade.FILE_TEXT + f"[serve]\n{line}\n"


def test_what_keeps_the_first_lines_from_being_answered_is_a_status(empty):
    assert empty.post("/v1/predict", content=lines(ROWS), headers=LINES).status_code == 503


TABLE = pa.table({"age": [50, 20, 70], "plan": ["gold", "basic", "gold"]})


@pytest.mark.parametrize("how", ["zstd", "lz4"])
def test_packed_columns_are_refused_unread(running, how):
    body = arrow(pa.table({"age": [0] * 100_000}), compression=how)
    assert compressed(body)
    answer = running.post("/v1/predict", content=body, headers=STREAM)
    assert answer.status_code == 413
    assert not compressed(arrow(TABLE))


def test_damaged_arrow_is_refused(running):
    body = arrow(TABLE)
    for cut in range(1, len(body) - 8, 7):
        assert running.post("/v1/predict", content=body[:cut], headers=STREAM).status_code in (400, 422), cut
    seen = set()
    for place in range(0, len(body), 3):
        damaged = bytearray(body)
        damaged[place] ^= 0xFF
        seen.add(running.post("/v1/predict", content=bytes(damaged), headers=STREAM).status_code)
    assert seen <= {200, 400, 413, 422}


@pytest.mark.parametrize(
    ("table", "status"),
    [
        (pa.table({"age": pa.array([{"a": 1}])}), 422),
        (pa.table({"age": pa.array([[[1]]])}), 422),
        (pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["age", "age"]), 400),
        (pa.table({"height": [1]}), 422),
        (pa.table({"age": pa.array([], pa.int64())}), 422),
    ],
    ids=["struct", "list of lists", "twice", "unknown", "no rows"],
)
def test_tables_that_are_no_rows_are_refused(running, table, status):
    assert running.post("/v1/predict", content=arrow(table), headers=STREAM).status_code == status


def test_the_form_of_the_answer_follows_the_request_unless_it_says_otherwise():
    assert forms({}) == (b"application/json", b"application/json")
    assert forms({b"content-type": NDJSON + b"; charset=utf-8", b"accept": b"*/*"}) == (NDJSON, NDJSON)
    assert forms({b"content-type": b"application/json", b"accept": b"text/html, " + ARROW}) == (
        b"application/json",
        ARROW,
    )
    assert forms({b"content-type": b"image/png", b"accept": b"text/html"}) == (b"image/png", b"application/json")
