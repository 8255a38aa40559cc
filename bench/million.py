"""Row 23: a CSV of 1,000,000 rows and 30 columns through `volant new`, `check` and `train` within 4 GiB.

Each command runs in a process of its own; its peak memory is what the kernel counted. Prints one JSON line
per command.

    python bench/million.py [--rows 1000000] [--budget 120s]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

LIMIT = 4 * 1024**3


def write(path: Path, rows: int, chunk: int = 100_000) -> None:
    """20 numbers, 8 categories, a time and a target that follows from six of them."""
    rng = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, chunk):
        n = min(chunk, rows - start)
        numbers = rng.normal(size=(n, 20)).round(4)
        codes = rng.integers(0, [2, 3, 5, 10, 20, 50, 100, 500], size=(n, 8))
        logit = numbers[:, 0] + 0.7 * numbers[:, 1] * numbers[:, 2] + (codes[:, 3] > 5) - (codes[:, 5] % 3 == 0)
        columns = {f"n{i}": numbers[:, i] for i in range(20)}
        columns |= {f"c{i}": pa.array([f"v{v}" for v in codes[:, i]]) for i in range(8)}
        moments = np.datetime64("2024-01-01", "s") + rng.integers(0, 3 * 10**7, n)
        columns["at"] = pa.array([str(m).replace("T", " ") for m in moments])
        columns["bought"] = pa.array(np.where(rng.random(n) < 1 / (1 + np.exp(-logit)), "yes", "no"))
        table = pa.table(columns)
        writer = writer or pyarrow.csv.CSVWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def run(arguments: list[str]) -> tuple[dict[str, object], float, int]:
    """Run a command; gives what it printed as JSON, its seconds, and its peak memory in bytes."""
    started = time.monotonic()
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("volant")), *arguments, "--json"], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(out.decode())
    return json.loads(out), seconds, usage.ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--budget", default="120s")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "million.csv", given.rows)
        product = folder / "million"
        steps = [
            ["-C", name, "new", "million", "--data", str(folder / "million.csv"), "--target", "bought"],
            ["-C", str(product), "check", "--fast"],
            ["-C", str(product), "train", "--budget", given.budget],
        ]
        for step in steps:
            record, seconds, memory = run(step)
            line = {
                "row": 23,
                "command": next(w for w in step if w in ("new", "check", "train")),
                "rows": given.rows,
                "seconds": round(seconds, 1),
                "peak_gib": round(memory / 1024**3, 2),
                "within_4_gib": memory <= LIMIT,
                "promoted": record.get("promoted"),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
