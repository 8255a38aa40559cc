"""Columns of Arrow that no row of JSON can hold."""

from __future__ import annotations

import pyarrow as pa
import pytest

from volant.serve.forms import rows_as_json
from volant.serve.problems import HttpError


@pytest.mark.parametrize("kind", [pa.duration("ns"), pa.duration("s"), pa.list_(pa.duration("ms"))])
def test_spans_of_time_are_refused(kind):
    cells = [[1], [2]] if pa.types.is_list(kind) else [1, 2]
    table = pa.table({"age": pa.array(cells, kind)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    with pytest.raises(HttpError) as caught:
        rows_as_json(bytes(sink.getvalue()), b"application/vnd.apache.arrow.stream", 10)
    assert caught.value.status == 422
