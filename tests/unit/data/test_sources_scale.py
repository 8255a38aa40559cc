"""A table of a million rows and thirty columns passes through in little memory and time."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

CODE = """
    import json, resource, sys, time
    from pathlib import Path
    import pyarrow as pa
    from volant.core.plugins import column_type
    from volant.data.infer import infer_schema
    from volant.data.sources import read_source

    def megabytes():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    before, started, parsing, rows = megabytes(), time.perf_counter(), 0.0, 0
    source = read_source("t.csv", folder=Path(sys.argv[1]))
    schema = infer_schema(pa.Table.from_batches([next(source.chunks())]), None)
    for chunk in source.chunks():
        begun = time.perf_counter()
        for column in schema.columns:
            column_type(column.type).parse(chunk.column(column.name))
        parsing += time.perf_counter() - begun
        rows += len(chunk)
    whole = time.perf_counter() - started
    print(json.dumps({"rows": rows, "parsing": parsing, "seconds": whole, "megabytes": megabytes() - before}))
"""


def write_table(path, rows):
    random = np.random.default_rng(0)
    columns = {f"float{n}": random.normal(size=rows).round(4) for n in range(14)}
    columns |= {f"count{n}": random.integers(0, 1000, rows) for n in range(8)}
    columns |= {f"kind{n}": pa.array(random.choice(["red", "green", "blue sky", "NA"], rows)) for n in range(5)}
    seconds = random.integers(0, 10**8, rows).astype("timedelta64[s]")
    columns |= {"at": pa.array(np.datetime64("2020-01-01") + seconds), "id": np.arange(rows)}
    columns |= {"note": pa.array([f"note {n}, with words" for n in random.integers(0, rows, rows)])}
    pyarrow.csv.write_csv(pa.table(columns), path)


@pytest.mark.parametrize("rows", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_large_table(tmp_path, rows):
    write_table(tmp_path / "t.csv", rows)
    command = [sys.executable, "-c", textwrap.dedent(CODE), str(tmp_path)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["rows"] == rows
    assert found["megabytes"] < 1024
    assert found["parsing"] < 30 * max(rows / 1_000_000, 0.1)
