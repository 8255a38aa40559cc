"""One fit of AutoGluon on a table, for `bench/tables.py`; runs with the interpreter of AutoGluon's own environment.

    python autogluon_tables.py TRAIN.parquet TEST.parquet TARGET KIND PRESET SECONDS OUT

Writes OUT.npz (predictions for the test rows: probabilities with the names of the classes, or numbers) and
OUT.json (seconds to fit, rows per second, milliseconds for one row, megabytes on disk).
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor

METRIC = {"binary": "log_loss", "multiclass": "log_loss", "regression": "root_mean_squared_error"}
CORES = 2


def main(train, test, target, kind, preset, seconds, out):
    train, test = pd.read_parquet(train), pd.read_parquet(test)
    features = test.drop(columns=[target])
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        predictor = TabularPredictor(target, problem_type=kind, eval_metric=METRIC[kind], path=folder, verbosity=1)
        predictor.fit(train, presets=preset, time_limit=float(seconds), num_cpus=CORES, num_gpus=0)
        fitted = time.monotonic() - started
        answer = predictor.predict if kind == "regression" else predictor.predict_proba
        predictor.persist()
        answer(features.head(64))
        started = time.monotonic()
        predicted = answer(features)
        rate = len(features) / (time.monotonic() - started)
        singles = []
        for i in range(20):
            started = time.monotonic()
            answer(features.iloc[i : i + 1])
            singles.append(1e3 * (time.monotonic() - started))
        megabytes = sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file()) / 1e6
        best = predictor.model_best
    classes = [] if kind == "regression" else [str(c) for c in predicted.columns]
    np.savez_compressed(f"{out}.npz", predicted=np.asarray(predicted, dtype=np.float64), classes=np.array(classes))
    used = sum(os.times()[:4])
    facts = {
        "fit_seconds": round(fitted, 1),
        "cpu_seconds": round(used, 1),
        "rows_per_second": round(rate, 1),
        "single_row_ms": round(statistics.median(singles), 3),
        "megabytes": round(megabytes, 2),
        "best": best,
    }
    Path(f"{out}.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
