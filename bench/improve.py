"""How long one turn takes on data of the size of Adult: labels, training, evaluation, gate. Prints one JSON line.

The rows are generated: 39,000 of the source and 2,000 that users answered, six numbers and eight categories.

    python bench/improve.py [--rows 39000] [--learning scratch|warm|online] [--budget 40s]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

import volant
from volant.core.records import Feedback
from volant.store import PredictionRecord, open_store
from volant.store.part import iso
from volant.wheel.new import new

MARK = tomllib.loads((Path(__file__).parent / "marks.toml").read_text())["throughput"]
ANSWERED = 2_000


def rows(count: int, seed: int) -> pa.Table:
    """Rows whose classes follow numbers, categories and one product."""
    chance = np.random.default_rng(seed)
    x = chance.normal(size=(count, 6)).round(3)
    codes = chance.integers(0, [2, 4, 6, 8, 9, 12, 16, 40], (count, 8))
    own = np.random.default_rng(0).normal(size=(8, 40))
    margin = x[:, 0] - 0.7 * x[:, 1] + 0.5 * x[:, 2] * x[:, 3] + 0.5 * own[np.arange(8), codes].sum(axis=1) - 1.2
    yes = chance.random(count) < 1 / (1 + np.exp(-margin))
    table = {f"x{i}": x[:, i] for i in range(6)} | {f"c{i}": [f"v{v}" for v in codes[:, i]] for i in range(8)}
    return pa.table({**table, "y": np.where(yes, "yes", "no")})


def answered(handle: volant.wheel.handle.ProductHandle, table: pa.Table) -> None:
    """Predictions that people answered with the truth."""
    truth, given = table.column("y").to_pylist(), table.drop_columns(["y"]).to_pylist()
    at, output = iso(datetime.now(UTC)), {"label": "no", "probabilities": {"no": 0.6, "yes": 0.4}}
    with open_store(handle.product.home) as store:
        release, log = store.champion().release, store.prediction_log()
        log.append([
            PredictionRecord(id=f"b{i:06d}", release=release, at=at, input=row, output=output, audit=True)
            for i, row in enumerate(given)
        ])  # fmt: skip
        log.close()
        store.add_feedback([
            Feedback(f"b{i:06d}", "correction", label, f"user{i % 50}") for i, label in enumerate(truth)
        ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=MARK["improve_rows"])
    parser.add_argument("--learning", default="scratch")
    parser.add_argument("--budget", default="40s")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pyarrow.csv.write_csv(rows(asked.rows, 1), folder / "rows.csv")
        new("adult-size", str(folder / "rows.csv"), "y", folder=folder / "product")
        file = folder / "product" / "volant.toml"
        file.write_text(file.read_text() + f'\n[improve]\nlearning = "{asked.learning}"\n')
        handle = volant.open(folder / "product")
        handle.train(budget=asked.budget)
        answered(handle, rows(ANSWERED, 2))
        before = time.perf_counter()
        turn = handle.improve(budget=asked.budget)
        seconds = round(time.perf_counter() - before, 1)
    facts = {"rows": asked.rows, "learning": asked.learning, "labels": turn.labels.accepted, "outcome": turn.outcome}
    met = seconds <= MARK["improve_seconds"]
    print(json.dumps({"bench": "improve", **facts, "seconds": seconds, "mark": MARK["improve_seconds"], "met": met}))


if __name__ == "__main__":
    main()
