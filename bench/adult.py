"""Row 20, first half: product file to served release on Adult, cold, and the quality of what is served.

Trains on Adult's own training rows (`volant new`, `train`), starts the service, sends all 16,281 test rows over
HTTP, and measures ROC AUC on its answers. Prints one JSON line. Needs VOLANT_DATA.

    VOLANT_DATA=… python bench/adult.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from sklearn.metrics import roc_auc_score

from volant.testing.served import served

CHUNK = 2_000


def volant(*arguments: str) -> None:
    """Run a command as a user would, in a process of its own."""
    subprocess.run(
        [str(Path(sys.executable).with_name("volant")), *arguments, "--json"], check=True, capture_output=True
    )


def ask(url: str, rows: list[dict[str, object]]) -> list[float]:
    """The probabilities of an income above 50K that the service gives."""
    body = json.dumps({"rows": rows}).encode()
    request = urllib.request.Request(f"{url}/v1/predict", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return [one["probabilities"][">50K"] for one in json.load(reply)["predictions"]]


def main() -> None:
    data = os.environ.get("VOLANT_DATA")
    if not data:
        raise SystemExit("VOLANT_DATA is not set")
    table = pa.parquet.read_table(Path(data) / "tabular_a" / "adult.parquet")
    train = np.array([v == "train" for v in table.column("split").to_pylist()])
    table = table.drop_columns(["split"])
    with tempfile.TemporaryDirectory() as name:
        pa.csv.write_csv(table.filter(train), Path(name) / "adult.csv")
        started = time.monotonic()
        volant("-C", name, "new", "adult", "--data", f"{name}/adult.csv", "--target", "income")
        volant("-C", f"{name}/adult", "train")
        with served(Path(name) / "adult") as service:
            seconds = time.monotonic() - started
            test = table.filter(~train)
            truth = np.array([v == ">50K" for v in test.column("income").to_pylist()])
            rows = test.drop_columns(["income"]).to_pylist()
            chances = [p for i in range(0, len(rows), CHUNK) for p in ask(service.url, rows[i : i + CHUNK])]
    auc = roc_auc_score(truth, chances)
    print(json.dumps({"row": 20, "data": "adult", "seconds_to_served": round(seconds, 1), "roc_auc": round(auc, 4)}))


if __name__ == "__main__":
    main()
