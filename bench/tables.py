"""Rows 7 and 8: volant in 60 s against AutoGluon `medium` in 60 s and `best` in 300 s, on the same splits.

Each run (table, seed, who) is kept under bench/out/tables and not repeated, so that the comparison can be made in
parts; without `--run` what there is is compared. A difference whose 95 % interval (paired bootstrap over test rows)
holds 0 is half a win. AutoGluon is run by the interpreter that VOLANT_AUTOGLUON names, in an environment of its
own. Every run says how many cores it got, where that can be told. Needs VOLANT_DATA.

    python bench/tables.py --run volant autogluon-medium autogluon-best --tables telco_churn --seeds 0
    python bench/tables.py
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

OUT = Path(__file__).parent / "out" / "tables"
JUDGING = (
    "adult",
    "bank_marketing",
    "telco_churn",
    "california_houses",
    "house_16H",
    "letter",
    "satimage",
    "mammography_imbalanced",
)
DROPPED = {"bank_marketing": ["duration"], "telco_churn": ["customerID"], "adult": ["split"]}
TEST_SHARE = 0.3
PRODUCT = """
version = 1
name = "table"
[task]
type = "{task}"
target = "{target}"
[data]
source = "train.parquet"
[data.split]
by = "{by}"
judge = 0.05
test = 0.0
[train]
budget = "{seconds}s"
seed = {seed}
"""
WHO = {"volant": 60, "autogluon-medium": 60, "autogluon-best": 300}


def table_of(name: str) -> tuple[pa.Table, str, str]:
    """A public table, its target and its kind (binary, multiclass, regression)."""
    folder = Path(os.environ["VOLANT_DATA"]) / "tabular_a"
    listed = json.loads((folder / "tables.json").read_text())
    facts = next(t for t in listed if t["name"] == name)
    table = pq.read_table(folder / f"{name}.parquet")
    dropped = [c for c in DROPPED.get(name, []) if c in table.column_names]
    return table.drop_columns(dropped), facts["target"], facts["task"]


def split(name: str, seed: int, folder: Path) -> tuple[str, str]:
    """Write train.parquet and test.parquet; gives the target and the kind."""
    table, target, kind = table_of(name)
    order = np.random.default_rng(1_000 + seed).permutation(len(table))
    cut = int(len(table) * TEST_SHARE)
    pq.write_table(table.take(np.sort(order[:cut])), folder / "test.parquet")
    pq.write_table(table.take(np.sort(order[cut:])), folder / "train.parquet")
    return target, kind


def truth_of(name: str, seed: int) -> tuple[np.ndarray, str]:
    with tempfile.TemporaryDirectory() as folder:
        target, kind = split(name, seed, Path(folder))
        return np.array(pq.read_table(Path(folder) / "test.parquet").column(target).to_pylist()), kind


def run(name: str, seed: int, who: str) -> None:
    """One run of one side, if it is not there yet."""
    out = OUT / f"{name}-{seed}-{who}"
    if out.with_suffix(".json").is_file():
        return
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        target, kind = split(name, seed, folder)
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        load = os.getloadavg()[0]
        if who == "volant":
            run_volant(folder, target, kind, seed, out)
        else:
            run_autogluon(folder, target, kind, who, out)
        after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - started
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    facts = json.loads(Path(f"{out}.json").read_text())
    facts |= {"wall_seconds": round(wall, 1), "load_before": round(load, 2)}
    if who != "autogluon-best":  # the workers of Ray, which fit for it, are no children of this process
        facts["cores_got"] = round(used / wall, 2)
    Path(f"{out}.json").write_text(json.dumps(facts))
    print(json.dumps({"ran": out.name, **facts}), flush=True)


def run_autogluon(folder: Path, target: str, kind: str, who: str, out: Path) -> None:
    python = os.environ.get("VOLANT_AUTOGLUON")
    if not python:
        raise SystemExit("VOLANT_AUTOGLUON does not name an interpreter that has AutoGluon")
    preset, script = who.removeprefix("autogluon-") + "_quality", Path(__file__).parent / "peers/autogluon_tables.py"
    files = [str(folder / "train.parquet"), str(folder / "test.parquet")]
    command = [python, str(script), *files, target, kind, preset, str(WHO[who]), str(out)]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run_volant(folder: Path, target: str, kind: str, seed: int, out: Path) -> None:
    task, by = ("regress", "random") if kind == "regression" else ("classify", "stratified")
    text = PRODUCT.format(task=task, by=by, target=target, seconds=WHO["volant"], seed=seed)
    (folder / "volant.toml").write_text(text)
    command = [str(Path(sys.executable).with_name("volant")), "-C", str(folder), "train", "--json"]
    started = time.monotonic()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = time.monotonic() - started
    if done.returncode:
        raise SystemExit(f"volant train ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    measure = [sys.executable, __file__, "--measure", str(folder), str(out)]
    subprocess.run(measure, check=True)
    facts = json.loads(Path(f"{out}.json").read_text())
    result = json.loads(done.stdout)
    members = [e["name"] for e in result["leaderboard"] if e["weight"]]
    told = {
        "fit_seconds": round(seconds, 1),
        "full": result["full_ensemble"],
        "small": result["out_of_fold"],
        "members": members,
        "tried": len(result["leaderboard"]),
    }
    Path(f"{out}.json").write_text(json.dumps(facts | told))


def measure(folder: Path, out: Path) -> None:
    """Predict the test rows with the release that is served, and time it: all rows at once, and one at a time."""
    from volant.core.product import read
    from volant.runtime.rows import rows_to_batch
    from volant.wheel.context import work_on
    from volant.wheel.predict import need_champion

    with work_on(read(folder)) as context:
        release = need_champion(context)
    columns = [f.name for f in release.signature.inputs]
    rows = pq.read_table(folder / "test.parquet").select(columns).to_pylist()
    batch = rows_to_batch(rows, release.signature)[0]
    release.predict({name: values[:64] for name, values in batch.items()})
    rates = []
    for _ in range(3):
        started = time.monotonic()
        answer = release.predict(batch)
        rates.append(len(rows) / (time.monotonic() - started))
    singles = []
    for i in range(200):
        started = time.monotonic()
        release.predict({name: values[i : i + 1] for name, values in batch.items()})
        singles.append(1e3 * (time.monotonic() - started))
    predicted = answer.get("probability", answer.get("value"))
    classes = np.array([str(c) for c in release.signature.classes])
    np.savez_compressed(f"{out}.npz", predicted=predicted, classes=classes)
    facts = {
        "rows_per_second": round(statistics.median(rates), 1),
        "single_row_ms": round(statistics.median(singles), 3),
        "megabytes": round(sum(p.stat().st_size for p in release.folder.rglob("*") if p.is_file()) / 1e6, 3),
    }
    Path(f"{out}.json").write_text(json.dumps(facts))


def losses(name: str, seed: int, who: str) -> np.ndarray | None:
    """The loss of each test row, log-loss or squared error, or None where there was no run."""
    out = OUT / f"{name}-{seed}-{who}"
    if not out.with_suffix(".npz").is_file():
        return None
    truth, kind = truth_of(name, seed)
    kept = np.load(out.with_suffix(".npz"), allow_pickle=False)
    predicted = kept["predicted"]
    if kind == "regression":
        return (truth.astype(np.float64) - predicted) ** 2
    places = {label: i for i, label in enumerate(kept["classes"].tolist())}
    picked = predicted[np.arange(len(truth)), [places[str(v)] for v in truth.tolist()]]
    return -np.log(np.clip(picked, 1e-15, 1.0))


def compare(name: str, seed: int, rival: str) -> dict[str, object] | None:
    """volant against a rival: both losses, the relative difference with its interval, and the win (1, 0.5 or 0)."""
    ours, theirs = losses(name, seed, "volant"), losses(name, seed, rival)
    if ours is None or theirs is None:
        return None
    root = np.sqrt if table_of(name)[2] == "regression" else (lambda x: x)
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(2_000):
        weight = rng.exponential(size=len(ours))
        mine, other = root(np.average(ours, weights=weight)), root(np.average(theirs, weights=weight))
        draws.append((other - mine) / other)
    low, high = np.percentile(draws, [2.5, 97.5])
    mine, other = float(root(ours.mean())), float(root(theirs.mean()))
    win = 0.5 if low <= 0 <= high else float(low > 0)
    gain = {"gain": round((other - mine) / other, 4), "low": round(float(low), 4), "high": round(float(high), 4)}
    return {"row": 7, "table": name, "seed": seed, "rival": rival, "volant": mine, "theirs": other, **gain, "win": win}


def facts_of(name: str, seed: int, who: str) -> dict[str, float]:
    return json.loads((OUT / f"{name}-{seed}-{who}.json").read_text())


def report(tables: list[str], seeds: list[int]) -> None:
    for rival in ("autogluon-medium", "autogluon-best"):
        found = [c for name in tables for seed in seeds if (c := compare(name, seed, rival)) is not None]
        for one in found:
            mine, other = (facts_of(one["table"], one["seed"], who) for who in ("volant", rival))
            speed = {"rows_per_second_ratio": round(mine["rows_per_second"] / other["rows_per_second"], 1)}
            keys = ("single_row_ms", "megabytes", "fit_seconds")
            print(json.dumps({**one, **speed, **{k: [mine[k], other[k]] for k in keys}}))
        if found:
            rate = statistics.mean(one["win"] for one in found)
            print(json.dumps({"row": 7, "rival": rival, "runs": len(found), "win_rate": round(rate, 3)}))


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--run", nargs="*", choices=WHO, default=[])
    given.add_argument("--tables", nargs="*", default=list(JUDGING))
    given.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    given.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    wanted = given.parse_args()
    if wanted.measure:
        measure(Path(wanted.measure[0]), Path(wanted.measure[1]))
        return
    if "VOLANT_DATA" not in os.environ:
        raise SystemExit("VOLANT_DATA is not set")
    for seed in wanted.seeds:
        for name in wanted.tables:
            for who in wanted.run:
                run(name, seed, who)
    report(wanted.tables, wanted.seeds)


if __name__ == "__main__":
    main()
