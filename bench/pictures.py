"""Rows 2, 3 and 4: pictures on two cores, against the plain Keras networks of the tutorials.

Each run (row, who, seed) is kept under bench/out/pictures and not repeated, so that rows can be measured in parts, and
what was interrupted goes on; it is told in a line as soon as it has ended, one that failed too. Without `--run` what
there is is compared. `--plan` says what would be run and about how many minutes it takes. Seconds count from the start
of the process to the exported network: imports, decoding and export are part of them. Training rows are shuffled first;
the test rows are read when training has ended. Keras is run by the interpreter that VOLANT_KERAS names, in an
environment of its own; how long the quick runs may take follows from how long Keras took, so it comes first. Needs
VOLANT_DATA.

    python bench/pictures.py --run keras volant-fast volant-long --rows cifar10 --seeds 0 1 2 --plan
    python bench/pictures.py --run keras volant-fast volant-long --rows cifar10 --seeds 0 1 2
    python bench/pictures.py
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

OUT = Path(__file__).parent / "out" / "pictures"
EPOCHS = {"cifar10": 10, "fashion_mnist": 10, "cats_dogs": 15}
SOONER = 15.0
LONG = {"cifar10": 600.0, "fashion_mnist": 300.0}
"""Seconds of the long runs; of cats and dogs as many as Keras took."""
GOALS = {"cifar10": 0.90, "fashion_mnist": 0.945}
KERAS = {"cifar10": 400.0, "fashion_mnist": 380.0, "cats_dogs": 500.0}
"""Seconds that Keras takes, about, where it has not been measured here."""
BESIDES = 40.0
"""Seconds of a run besides, for test rows and single ones."""
SPARE = 4.0
"""Seconds of a run that imports and reading take besides the fit."""


def prepared(row: str) -> tuple[Path, Path]:
    """The files of a row with the columns `image` and `label`, shuffled; made once."""
    folder = OUT / "data"
    folder.mkdir(parents=True, exist_ok=True)
    places = tuple(folder / f"{row}_{side}.parquet" for side in ("train", "test"))
    if not all(place.is_file() for place in places):
        for side, place in zip(("train", "test"), places, strict=True):
            table = _table(row, side)
            order = np.random.default_rng(0).permutation(len(table))
            pq.write_table(table.take(order), place)
    return places[0], places[1]


def _table(row: str, side: str) -> pa.Table:
    folder = Path(os.environ["VOLANT_DATA"]) / row
    if row != "fashion_mnist":
        return pq.read_table(folder / f"{row}_{side}.parquet", columns=["image", "label"])
    arrays = np.load(folder / "fashion_mnist.npz")
    x, y = (arrays[next(n for n in arrays.files if n.startswith(k) and side in n)] for k in ("x", "y"))
    return pa.table({"image": pa.array([_png(picture) for picture in x]), "label": pa.array(y.astype(np.int64))})


def _png(picture: np.ndarray) -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def volant(train: str, test: str, seconds: str, seed: str, out: str) -> None:
    """One fit of `convnet`, in this process."""
    began = float(os.environ["BENCH_BEGAN"])
    from volant.core import plugins
    from volant.core.protocols import RunContext
    from volant.core.records import Column, Problem, Schema
    from volant.runtime.load import Runner
    from volant.testing.rows import MemoryRows

    def rows(path: str) -> MemoryRows:
        table = pq.read_table(path)
        label = table.column("label").cast(pa.string())
        schema = Schema((Column("image", "image"), Column("label", "category", "target")))
        return MemoryRows.of(schema, pa.table({"image": table.column("image").cast(pa.large_binary()), "label": label}))

    given = rows(train)
    classes = tuple(sorted(set(given.table(["label"]).column(0).to_pylist())))
    problem = Problem("classify", "label", (Column("image", "image"),), len(given), classes, "log_loss")
    learner = plugins.load("learners", "convnet")
    left = float(seconds) - (time.time() - began) - SPARE / 8
    model = learner.fit(given, problem, learner.portfolio(problem)[0], RunContext(int(seed), None, left, 2))
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = model.export(folder)
    spent = time.time() - began
    runner = Runner(pipeline, folder, 2)
    asked = rows(test)
    said = [
        runner.predict(asked.take(np.arange(i, min(i + 500, len(asked)))).batch(["image"]))["probability"]
        for i in range(0, len(asked), 500)
    ]
    order = np.argsort([int(name) for name in classes])
    np.savez(out + ".npz", probability=np.concatenate(said)[:, order])
    single = asked.take(np.arange(1)).batch(["image"])
    times = []
    one = Runner(pipeline, folder, 1)
    for _ in range(200):
        before = time.perf_counter()
        one.predict(single)
        times.append(time.perf_counter() - before)
    size = (folder / "network.onnx").stat().st_size
    told = {"seconds": spent, "p50_ms": 1e3 * float(np.median(times)), "bytes": size, **model.facts()}
    Path(out + ".json").write_text(json.dumps(told))


def kept(row: str, who: str, seed: int) -> Path:
    """Where a run is kept."""
    return OUT / f"{row}-{who}-{seed}.json"


def run(row: str, who: str, seed: int) -> None:
    """One run, kept and told."""
    out = kept(row, who, seed).with_suffix("")
    train, test = prepared(row)
    environment = {**os.environ, "BENCH_SEED": str(seed), "BENCH_BEGAN": repr(time.time())}
    if who == "keras":
        script = Path(__file__).parent / "peers" / "keras_pictures.py"
        command = [os.environ["VOLANT_KERAS"], str(script), str(train), str(test), str(EPOCHS[row]), str(out)]
    else:
        seconds = _seconds(row, who)
        command = [sys.executable, __file__, "--child", str(train), str(test), str(seconds), str(seed), str(out)]
    ended = subprocess.run(command, check=False, env={**environment, "BENCH_BEGAN": repr(time.time())})
    told: dict[str, object] = {"row": row, "who": who, "seed": seed}
    if ended.returncode:
        print(json.dumps({**told, "failed": ended.returncode}), flush=True)
        return
    facts = json.loads(kept(row, who, seed).read_text())
    right = accuracy(row, kept(row, who, seed))
    told |= {"accuracy": round(right[0], 4), "low": round(right[1], 4), "high": round(right[2], 4)}
    print(json.dumps({**told, "seconds": round(facts["seconds"], 1), "widths": facts.get("widths")}), flush=True)


def plan(waiting: Sequence[tuple[str, str, int]]) -> None:
    """What would be run, and about how long that takes."""
    total = 0.0
    for row, who, seed in waiting:
        seconds = KERAS[row] if who == "keras" else _seconds(row, who)
        total += seconds + BESIDES
        told = {"row": row, "who": who, "seed": seed, "minutes": round((seconds + BESIDES) / 60, 1)}
        print(json.dumps(told))
    print(json.dumps({"runs": len(waiting), "minutes": round(total / 60, 1)}))


def _seconds(row: str, who: str) -> float:
    """How long volant may take: what Keras took over 15, or what the row allows."""
    rivals = [json.loads(path.read_text())["seconds"] for path in sorted(OUT.glob(f"{row}-keras-*.json"))]
    rivals = rivals or [KERAS[row]]
    if who.endswith("s"):  # volant-60s: to try the script
        return float(who.removeprefix("volant-").removesuffix("s"))
    if who == "volant-fast":
        return float(np.median(rivals)) / SOONER
    return LONG.get(row) or float(np.median(rivals))


def accuracy(row: str, path: Path) -> tuple[float, float, float, int]:
    """The share of right answers with its Wilson interval."""
    labels = pq.read_table(prepared(row)[1], columns=["label"]).column(0).to_numpy()
    right = np.load(path.with_suffix(".npz"))["probability"].argmax(axis=1) == labels
    n, z, p = len(right), 1.96, float(right.mean())
    middle, reach = (p + z * z / (2 * n)) / (1 + z * z / n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return p, middle - reach / (1 + z * z / n), middle + reach / (1 + z * z / n), n


def summary() -> None:
    """One line of JSON per row and who."""
    found: dict[tuple[str, str], list[tuple[Path, dict]]] = {}
    for path in sorted(OUT.glob("*.json")):
        row, who, _ = path.stem.rsplit("-", 2) if "volant" not in path.stem else _parted(path.stem)
        found.setdefault((row, who), []).append((path, json.loads(path.read_text())))
    for (row, who), runs in found.items():
        scores = [accuracy(row, path) for path, _ in runs]
        told = {
            "row": row,
            "who": who,
            "seeds": len(runs),
            "accuracy": round(float(np.mean([s[0] for s in scores])), 4),
            "each": [[round(v, 4) for v in s[:3]] for s in scores],
            "seconds": [round(facts["seconds"], 1) for _, facts in runs],
            "p50_ms": [round(facts["p50_ms"], 3) for _, facts in runs if "p50_ms" in facts],
            "widths": [facts.get("widths") for _, facts in runs if "widths" in facts],
            "epochs": [facts.get("epochs") for _, facts in runs],
            "goal": GOALS.get(row) if who == "volant-long" else None,
        }
        print(json.dumps(told))


def _parted(stem: str) -> tuple[str, str, str]:
    row, _, rest = stem.partition("-volant-")
    kind, _, seed = rest.partition("-")
    return row, f"volant-{kind}", seed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", nargs="*", default=[], help="keras, volant-fast, volant-long, or volant-60s")
    parser.add_argument("--rows", nargs="*", default=list(EPOCHS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--plan", action="store_true", help="say what would be run, and how long it takes")
    parser.add_argument("--child", nargs=5)
    asked = parser.parse_args()
    if asked.child:
        volant(*asked.child)
        return
    if "VOLANT_DATA" not in os.environ:
        print(json.dumps({"row": "2-4", "skipped": "no data: set VOLANT_DATA"}))
        return
    OUT.mkdir(parents=True, exist_ok=True)
    runs = [(row, who, seed) for seed in asked.seeds for row in asked.rows for who in asked.run]
    waiting = [one for one in runs if not kept(*one).is_file()]
    if asked.plan:
        plan(waiting)
        return
    for one in waiting:
        run(*one)
    summary()


if __name__ == "__main__":
    main()
