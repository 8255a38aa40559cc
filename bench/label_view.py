"""Throughput of the label view: from a store with a million pieces of feedback to labels. Prints one JSON line.

The store is filled beforehand: predictions with a dozen columns each, several actors on some of them, corrections,
confirmations and ratings, some superseded. Timed is everything from reading the store to the finished view, sides of
the split included; the second look, which fits models, is not part of it.

    python bench/label_view.py [--rows 1000000]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sqlite3
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

import volant
from volant.evidence.label_view import STATUSES
from volant.store.part import iso
from volant.wheel.collect import collect
from volant.wheel.context import work_on
from volant.wheel.learn import harvest
from volant.wheel.new import new

CLASSES = ("no", "yes")
COLUMNS = 12


def product(folder: Path, seed: int = 0) -> volant.wheel.handle.ProductHandle:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2000, COLUMNS)).round(4)
    columns = {f"x{i}": x[:, i] for i in range(COLUMNS - 2)}
    columns["city"] = pa.array(rng.choice(["Bern", "Basel", "Chur"], 2000))
    columns["plan"] = pa.array(rng.choice(["a", "b"], 2000))
    table = pa.table({**columns, "y": pa.array(np.where(x[:, 0] > 0, "yes", "no"))})
    folder.mkdir(parents=True)
    pa.csv.write_csv(table, folder / "rows.csv")
    new("million", str(folder / "rows.csv"), "y", folder=folder / "product")
    return volant.open(folder / "product")


def fill(home: Path, rows: int, seed: int = 0) -> None:
    """Predictions and feedback, written straight into the tables."""
    chance, start = random.Random(seed), datetime(2026, 1, 1, tzinfo=UTC)
    predictions = rows * 2 // 3
    database = sqlite3.connect(home / "store.sqlite")
    database.execute("PRAGMA synchronous=OFF")

    def predicted():
        for i in range(predictions):
            p = round(chance.random(), 6)
            given = {f"x{c}": round(chance.gauss(0, 1), 4) for c in range(COLUMNS - 2)} | {"city": "Bern", "plan": "a"}
            output = {"label": CLASSES[p > 0.5], "probabilities": {"no": 1 - p, "yes": p}}
            at = iso(start + timedelta(seconds=i))
            yield (f"{i:012d}", "r" * 64, 1, "champion", 1.0, i % 10 == 0, "{}", None, "c", json.dumps(given),
                   json.dumps(output), 100, at)  # fmt: skip

    def said():
        for i in range(rows):
            on = chance.randrange(predictions)
            kind, value = chance.choice([("correction", '"yes"'), ("correction", '"no"'), ("rating", '"up"')])
            at = iso(start + timedelta(seconds=i))
            yield (f"f{i}", f"{on:012d}", "y", kind, value, f"user{chance.randrange(20_000)}", "user", None, at, None,
                   None, True)  # fmt: skip

    names = "id release deployment policy propensity audit slice_keys subject config_hash input output latency_us at"
    insert(database, "prediction", names, predicted())
    names = "id prediction_id target kind value actor source event_at received_at idempotency_key supersedes valid"
    insert(database, "feedback", names, said())
    database.commit()
    database.close()


def insert(database: sqlite3.Connection, table: str, names: str, rows) -> None:
    columns = names.split()
    marks = ", ".join("?" * len(columns))
    database.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        handle = product(Path(name) / "p")
        with work_on(handle.product) as context:
            source = collect(context)
        fill(handle.product.home, rows)
        with work_on(handle.product) as context:
            before, worked = time.perf_counter(), time.process_time()
            found = harvest(context, source)
            gathered = time.perf_counter() - before
            view = labelled_once(context, found)
            seconds, worked = time.perf_counter() - before, time.process_time() - worked
            counts = {status: view.count(status) for status in STATUSES}
        print(
            json.dumps(
                {
                    "bench": "label view",
                    "feedback_rows": rows,
                    "predictions": len(view.verdicts),
                    "seconds": round(seconds, 2),
                    "cpu_seconds": round(worked, 2),
                    "of_which_reading": round(gathered, 2),
                    "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
                    **counts,
                }
            )
        )


def labelled_once(context, found):
    """The view without a second look."""
    from volant.wheel import learn

    return learn.view_of(context, found, None)


if __name__ == "__main__":
    main()
