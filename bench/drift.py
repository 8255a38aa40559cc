"""Throughput of `volant watch`: from a store with 100,000 predictions to how far each column has moved. One JSON line.

python bench/drift.py [--rows 100000]
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from label_view import CLASSES, COLUMNS, insert, product

import volant
from volant.store.part import iso
from volant.wheel.context import work_on
from volant.wheel.watch import watch


def fill(home: Path, rows: int, release: str) -> None:
    """Predictions as they come, written straight into the table; one column has moved."""
    chance, at = random.Random(0), iso(datetime.now(UTC))
    database = sqlite3.connect(home / "store.sqlite")

    def predicted():
        for i in range(rows):
            p = round(chance.random(), 6)
            given = {f"x{c}": round(chance.gauss(0, 1), 4) for c in range(COLUMNS - 2)} | {"city": "Bern", "plan": "a"}
            output = {"label": CLASSES[p > 0.5], "probabilities": {"no": 1 - p, "yes": p}}
            yield (f"{i:012d}", release, 1, "champion", 1.0, i % 10 == 0, "{}", None, "c", json.dumps(given),
                   json.dumps(output), 100, at)  # fmt: skip

    names = "id release deployment policy propensity audit slice_keys subject config_hash input output latency_us at"
    insert(database, "prediction", names, predicted())
    database.commit()
    database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        handle = product(Path(name) / "p")
        file = handle.product.folder / "volant.toml"
        file.write_text(file.read_text() + '\n[checks]\nskip = ["leakage"]\n')
        handle = volant.open(handle.product.folder)
        handle.train(budget="1 units")
        fill(handle.product.home, rows, str(handle.status().champion))
        with work_on(handle.product) as context:
            times = []
            for _ in range(3):
                before = time.perf_counter()
                report = watch(context)
                times.append(time.perf_counter() - before)
    alarms = [f"{one.what} {one.name}" for one in report.alarms]
    facts = {"predictions": report.rows, "seconds": round(sorted(times)[1], 3), "alarms": alarms}
    print(json.dumps({"bench": "drift", **facts}))


if __name__ == "__main__":
    main()
