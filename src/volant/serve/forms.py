"""Forms of bodies and answers beside JSON: lines of JSON (NDJSON), and Arrow's stream of record batches.

Whatever comes in becomes JSON before it is read, so that one reader has the last word on what a row may be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from volant.serve.http import JSON, media_type
from volant.serve.problems import HttpError

NDJSON = b"application/x-ndjson"
ARROW = b"application/vnd.apache.arrow.stream"
FORMS = (JSON, NDJSON, ARROW)

PIECE_ROWS = 256
"""Rows that are predicted together where lines come in and go out one by one."""

MOST_PIECES = 20
"""A body of lines may hold so many times the rows of a plain request: it is answered piece by piece."""

_raw = msgspec.json.Decoder(msgspec.Raw)
_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def forms(headers: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """The form of a body, and the one that its answer is to have: the same one unless `Accept` names another."""
    given = headers.get(b"content-type", JSON)
    given = given if given in FORMS else media_type(given)
    accept = headers.get(b"accept", b"")
    if not accept or accept == b"*/*" or given in accept:
        return given, given if given in FORMS else JSON
    named = [form for form in FORMS if form in accept]
    return given, named[0] if named else given if given in FORMS else JSON


def rows_as_json(body: bytes, given: bytes, most_rows: int) -> bytes:
    """A body of any form as the JSON of a request.

    Raises:
        HttpError: 400, 413, 422.
    """
    if given == NDJSON:
        lines = lines_of(body)
        refuse_too_many(len(lines), most_rows)
        return whole(lines)
    return _encoder.encode({"rows": rows_of_arrow(body, most_rows)}) if given == ARROW else body


# ---------------------------------------------------------------- lines


def lines_of(body: bytes) -> list[bytes]:
    """The lines of a body that are not empty.

    Raises:
        HttpError: 400: there are none.
    """
    lines = [line for line in body.split(b"\n") if line and not line.isspace()]
    if not lines:
        raise HttpError(400, "request-invalid", "there are no lines", where="body", fix="send one row per line")
    return lines


def pieces_of(lines: Sequence[bytes], most_rows: int) -> Iterator[Sequence[bytes]]:
    """The lines in lots that are predicted together."""
    size = min(PIECE_ROWS, most_rows)
    for start in range(0, len(lines), size):
        yield lines[start : start + size]


def whole(lines: Sequence[bytes]) -> bytes:
    """Lines as the rows of one request.

    Raises:
        HttpError: 400: one of them is not JSON by itself.
    """
    try:
        listed = _raw.decode_lines(b"\n".join(lines))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        listed = []
    if len(listed) != len(lines):
        fix = "send one JSON object per line"
        raise HttpError(400, "request-invalid", "a line is not valid JSON", where="body", fix=fix)
    return b'{"rows":[' + b",".join(lines) + b"]}"


def answer_lines(answer: bytes) -> Iterator[bytes]:
    """A JSON answer as lines: one prediction each, with the release that gave it."""
    found = _decoder.decode(answer)
    shared = {"release": found["release"], "contract": found["contract"]}
    for prediction in found["predictions"]:
        yield _encoder.encode({**shared, **prediction}) + b"\n"


def refuse_too_many(rows: int, most: int) -> None:
    """Raises:
    HttpError: 413.
    """
    if rows > most:
        what, fix = f"a request may hold at most {most} rows", "send them in several requests"
        raise HttpError(413, "request-too-large", what, where="rows", got=f"{rows} rows", fix=fix)


# ---------------------------------------------------------------- Arrow


def rows_of_arrow(body: bytes, most_rows: int) -> list[dict[str, Any]]:
    """The rows of an Arrow stream, which is believed nothing: every offset and every text of it is looked at.

    Raises:
        HttpError: 400 for what is no such stream, 413 beyond `most_rows` or for packed columns, which could grow
            without bounds, 422 for columns that no row of JSON can hold.
    """
    import pyarrow as pa

    from volant.serve.arrow_heads import compressed

    rows: list[dict[str, Any]] = []
    try:
        if compressed(body):
            what, fix = "the columns are compressed", "send the stream as it is, or packed by gzip as a whole"
            raise HttpError(413, "request-too-large", what, where="body", fix=fix)
        with pa.ipc.open_stream(pa.py_buffer(body)) as stream:
            _refuse_nested(stream.schema)
            for batch in stream:
                refuse_too_many(len(rows) + batch.num_rows, most_rows)
                batch.validate(full=True)
                rows += batch.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError, OSError, MemoryError) as cause:
        what, fix = "the body is not a whole Arrow stream", "write it with pyarrow.ipc.new_stream"
        raise HttpError(400, "request-invalid", what, where="body", got=type(cause).__name__, fix=fix) from None
    return rows


def _refuse_nested(schema: Any) -> None:
    import pyarrow as pa

    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        inner = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind
        unfit = pa.types.is_nested(inner) or pa.types.is_union(inner) or pa.types.is_duration(inner)
        if unfit or isinstance(inner, pa.BaseExtensionType):
            what, fix = "a column is of a type that no row can hold", "send plain columns, or lists of plain values"
            raise HttpError(422, "input-invalid", what, where=field.name[:64], got=str(kind)[:64], fix=fix)
    if len(set(schema.names)) < len(schema.names):
        raise HttpError(400, "request-invalid", "two columns have the same name", where="body", fix="name them apart")


def arrow_answer(answer: bytes) -> bytes:
    """A JSON answer as an Arrow stream: a row per prediction, flags as JSON."""
    import pyarrow as pa

    found = _decoder.decode(answer)
    shared = {"release": found["release"], "contract": found["contract"]}
    listed = [{**shared, **prediction} for prediction in found["predictions"]]
    for one in listed:
        if "flags" in one:
            one["flags"] = _encoder.encode(one["flags"]).decode()
    names = dict.fromkeys(name for one in listed for name in one)
    table = pa.table({name: pa.array([one.get(name) for one in listed]) for name in names})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())
