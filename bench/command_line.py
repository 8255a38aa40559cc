"""How quickly the command line answers: `volant --help`, and `volant check` on a table of 100,000 × 30.

Each is a new process, started as a user starts it; the median of several runs with a 95 % bootstrap interval.
Goals: help in at most 0.3 s, checks that train no model in at most 3 s.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

VOLANT = [sys.executable, "-m", "volant.cli.main"]


def seconds(words: list[str], repeats: int) -> list[float]:
    """Wall seconds of each run, after one that is not counted."""
    taken = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        subprocess.run([*VOLANT, *words], check=True, capture_output=True)
        taken.append(time.perf_counter() - begun)
    return taken[1:]


def median(values: list[float], seed: int = 0) -> dict[str, float]:
    """The median and its 95 % bootstrap interval."""
    chance = random.Random(seed)
    drawn = sorted(float(np.median(chance.choices(values, k=len(values)))) for _ in range(2000))
    return {"median": round(float(np.median(values)), 3), "low": round(drawn[50], 3), "high": round(drawn[1949], 3)}


def row(what: str, goal: float, taken: list[float]) -> None:
    found = median(taken)
    said = {
        "row": 23,
        "what": what,
        "seconds": found,
        "repeats": len(taken),
        "goal": goal,
        "met": found["median"] <= goal,
    }
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def table(path: Path, rows: int = 100_000) -> None:
    """30 columns: 20 numbers, 6 categories, 2 timestamps, an id, and the target."""
    chance = np.random.default_rng(0)
    columns: dict[str, object] = {f"number_{i}": chance.normal(size=rows).round(4) for i in range(20)}
    words = np.array([f"word {i}" for i in range(12)])
    columns |= {f"category_{i}": chance.choice(words, size=rows) for i in range(6)}
    days = np.datetime64("2020-01-01") + chance.integers(0, 2000, size=(2, rows))
    columns |= {f"day_{i}": pa.array(days[i]) for i in range(2)}
    columns["customer_no"] = [f"C{i:06d}" for i in range(rows)]
    score = columns["number_0"] + columns["number_1"] + chance.normal(size=rows)  # type: ignore[operator]
    columns["left"] = np.where(score > 1, "yes", "no")
    pyarrow.csv.write_csv(pa.table(columns), path)


def main() -> None:
    row("volant --help", 0.3, seconds(["--help"], 15))
    with tempfile.TemporaryDirectory() as folder:
        source, place = Path(folder) / "table.csv", Path(folder) / "product"
        table(source)
        new = ["new", "product", "--data", str(source), "--target", "left", "-C", folder]
        subprocess.run([*VOLANT, *new], check=True, capture_output=True)
        check = ["-C", str(place), "check", "--fast", "--json"]
        whole, checking = [], []
        for _ in range(5):
            begun = time.perf_counter()
            done = subprocess.run([*VOLANT, *check], check=False, capture_output=True, text=True)
            whole.append(time.perf_counter() - begun)
            checking.append(float(json.loads(done.stdout)["seconds"]))
        row("volant check --fast, 100,000 × 30, the stage", 3.0, checking)
        row("volant check --fast, 100,000 × 30, the whole process", 3.0, whole)


if __name__ == "__main__":
    main()
