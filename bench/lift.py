"""How much of what noisy and malicious feedback costs the loop wins back. Prints a JSON line per run and per table.

A product starts with 2 % of the labels. In each of ten rounds simulated people see rows that nobody has labelled,
15 % of what they say is a slip, and one in twenty is malicious. Beside the loop stand, at some of the rounds, the same
training on the same events as they came (naive), and on the true labels of the same rows (clean). The budget counts
distinct rows. Told is also how many of all labels the loop needs for 98 % of the quality that training on all true
labels of the pool gives: of right answers, or of the log-loss that the classes' frequencies leave to be explained.

    python bench/lift.py [adult letter fashion_mnist] [--seeds 20] [--share 1.0] [--plot]

Runs are kept in bench/out/lift.jsonl, so that it can be done in parts; --share takes a part of the pool.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

import volant
from volant.testing.desk import OfficeDesk
from volant.testing.simulate import crowd, simulate
from volant.wheel.context import work_on
from volant.wheel.new import new

DATA = Path(os.environ.get("VOLANT_DATA", "/work/shared/data")) if "VOLANT_DATA" in os.environ else None
MARK = tomllib.loads((Path(__file__).parent / "marks.toml").read_text())["lift"]
KEPT = Path(__file__).parent / "out" / "lift.jsonl"
LOOKED_AT = (3, 6, 10)
"""Rounds at which naive and clean training are measured beside."""
POOL = {
    "adult": 20_000,
    "letter": 12_000,
    "fashion_mnist": 12_000,
    "nursery": 8_000,
    "phoneme": 4_000,
    "mushroom": 5_000,
}
HIDDEN = 4_000
ENOUGH = 0.98
"""Share of the quality of all clean labels that is asked for."""
VOICES = 3
"""People who see each row."""
FILE = """
[train]
budget = "2 units"
threads = 2
learners = ["boosted_trees"]
ensemble = false
[quality]
metric = "{metric}"
[data.split]
judge = 0.2
test = 0.01
[feedback]
audit = 1.0
"""


def table(name: str, seed: int) -> tuple[pa.Table, str, str]:
    """The rows in a random order, the target, and the metric."""
    if name == "fashion_mnist":
        return fashion(seed)
    found = pq.read_table(DATA / "tabular_a" / f"{name}.parquet")
    target = "income" if name == "adult" else "target"
    found = found.drop_columns([c for c in ("split",) if c in found.column_names])
    order = np.random.default_rng([seed, 1]).permutation(len(found))
    names = pa.array([f"c{one}" for one in found.column(target).to_pylist()])
    found = found.set_column(found.column_names.index(target), target, names)
    return found.take(order), target, "log_loss" if name == "adult" else "accuracy"


def fashion(seed: int) -> tuple[pa.Table, str, str]:
    """Pictures at half their size, their pixels as numbers."""
    held = np.load(DATA / "fashion_mnist" / "fashion_mnist.npz")
    keys = {key.lower(): key for key in held.files}
    x = held[keys.get("x_train") or keys["train_images"]]
    y = held[keys.get("y_train") or keys["train_labels"]]
    order = np.random.default_rng([seed, 1]).permutation(len(y))[: POOL["fashion_mnist"] + HIDDEN]
    small = x[order].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(len(order), -1)
    columns = {f"p{i}": small[:, i].round(1) for i in range(small.shape[1])}
    return pa.table({**columns, "what": [f"c{one}" for one in y[order]]}), "what", "accuracy"


def product(folder: Path, rows: pa.Table, target: str, metric: str):
    """A product that was trained on some rows."""
    folder.mkdir(parents=True, exist_ok=True)
    pa.csv.write_csv(rows, folder / "rows.csv")
    new("lift", str(folder / "rows.csv"), target, folder=folder / "product")
    file = folder / "product" / "volant.toml"
    text = file.read_text().split("[data.split]")[0] + FILE.format(metric=metric)
    file.write_text(text)
    handle = volant.open(folder / "product")
    handle.train()
    if handle.status().champion is None:  # too few rows to show that anything is better than the baseline, so it serves
        file.write_text(text.replace('["boosted_trees"]', '["prior"]'))
        volant.open(folder / "product").train()
        file.write_text(text)
    return handle


def measured(handle, hidden: pa.Table, target: str, metric: str) -> float:
    """What the champion gets wrong on rows that nobody saw: the share of wrong answers, or log-loss."""
    from volant.runtime.rows import rows_to_batch

    with work_on(handle.product) as context:
        release = OfficeDesk(context).release
        batch, _ = rows_to_batch(hidden.drop_columns([target]).to_pylist(), release.signature)
        answered = release.predict(batch)
    truth = [str(one) for one in hidden.column(target).to_pylist()]
    if metric == "accuracy":
        return float(np.mean([a != t for a, t in zip(answered["label"].tolist(), truth, strict=True)]))
    place = {name: i for i, name in enumerate(release.signature.classes)}
    right = answered["probability"][np.arange(len(truth)), [place[one] for one in truth]]
    return float(-np.log(np.clip(right, 1e-7, 1)).mean())


def beside(rows: pa.Table, hidden: pa.Table, target: str, metric: str) -> float:
    """What one training on these rows gives."""
    with tempfile.TemporaryDirectory() as name:
        handle = product(Path(name), rows, target, metric)
        return measured(handle, hidden, target, metric)


def quality(error: float, hidden: pa.Table, target: str, metric: str) -> float:
    """What an error leaves: the share of right answers, or of the log-loss of the classes' frequencies."""
    if metric == "accuracy":
        return 1 - error
    shares = np.array([one["counts"] for one in hidden.column(target).value_counts().to_pylist()]) / len(hidden)
    return float(1 - error / -(shares * np.log(shares)).sum())


def labels_needed(curve: list, start: int, step: int, full: float, judged) -> int | None:
    """Rows with labels after which the loop reached enough of the quality of all clean ones; None if it never did."""
    for number, one in enumerate(curve):
        if judged(one["loop"] if isinstance(one, dict) else one) >= ENOUGH * full:
            return start + number * step
    return None


def run(name: str, seed: int, share: float) -> dict:
    """One run of all rounds."""
    rows, target, metric = table(name, seed)
    pool, hidden = rows.slice(0, int(POOL[name] * share)), rows.slice(POOL[name], HIDDEN)
    start, step = max(int(len(pool) * MARK["start"]), 220), max(int(len(pool) * MARK["start"]), 220)
    begun, known = time.monotonic(), pool.slice(0, start)
    users = crowd(100, sloppy=1 - MARK["malicious"], malicious=MARK["malicious"], slip=MARK["slips"])
    told, kept, worse, outcomes = [], [], 0, []
    with tempfile.TemporaryDirectory() as folder:
        handle = product(Path(folder) / "loop", known, target, metric)
        error = measured(handle, hidden, target, metric)
        curve = [error]
        for number in range(1, MARK["rounds"] + 1):
            part = pool.slice(start + (number - 1) * step, step)
            if not len(part):
                break
            truths = [str(one) for one in part.column(target).to_pylist()]
            with work_on(handle.product) as context:
                desk = OfficeDesk(context, seed=seed * 100 + number)
                shown = part.drop_columns([target]).to_pylist()
                session = simulate(desk, shown, truths, users, seed=seed * 100 + number, voices=VOICES)
            told += [(one.prediction, one.value) for one in session.said]
            kept.append(part)
            names = list(dict.fromkeys(one.prediction for one in session.said))
            place = {one: start + (number - 1) * step + i for i, one in enumerate(names)}
            told = [(place.get(p, p), value) for p, value in told]
            turn = handle.improve()
            outcomes.append(turn.outcome)
            if turn.outcome == "promoted":
                after = measured(handle, hidden, target, metric)
                worse += after > error + 0.02
                error = after
            curve.append(error)
            if number in LOOKED_AT:
                event = [place for place, _ in told]
                noisy = pool.take(pa.array(event)).drop_columns([target])
                labels = pa.array([value for _, value in told]).cast(pa.string())
                noisy = noisy.append_column(target, labels.cast(pool.schema.field(target).type))
                both = pa.concat_tables([known, noisy.select(known.column_names)])
                naive = beside(both, hidden, target, metric)
                clean = beside(pa.concat_tables([known, *kept]), hidden, target, metric)
                curve[-1] = {"loop": error, "naive": naive, "clean": clean}
    last = curve[-1] if isinstance(curve[-1], dict) else {"loop": error, "naive": float("nan"), "clean": float("nan")}
    gap = last["naive"] - last["clean"]
    everything = beside(pool, hidden, target, metric)
    full = quality(everything, hidden, target, metric)
    needed = labels_needed(curve, start, step, full, lambda e: quality(e, hidden, target, metric))
    return {
        "bench": "lift",
        "data": name,
        "seed": seed,
        "share": share,
        "metric": "log_loss" if metric == "log_loss" else "error",
        "rows": start + MARK["rounds"] * step,
        "pool": len(pool),
        **last,
        "closed": (last["naive"] - last["loop"]) / gap if gap > 0 else None,
        "all_clean": everything,
        "quality_reached": quality(last["loop"], hidden, target, metric) / full,
        "quality_of_clean": quality(last["clean"], hidden, target, metric) / full,
        "labels_for_98": needed,
        "curve": curve,
        "promoted": outcomes.count("promoted"),
        "worse_promotions": worse,
        "seconds": round(time.monotonic() - begun, 1),
    }


def summary(name: str, runs: list[dict]) -> dict:
    """All runs on one table."""
    naive, loop, clean = (float(np.mean([one[key] for one in runs])) for key in ("naive", "loop", "clean"))
    closed = (naive - loop) / (naive - clean) if naive > clean else None
    wrong = sum(one["worse_promotions"] > 0 for one in runs) / len(runs)
    met = closed is not None and closed >= MARK["closed"] and wrong <= MARK["wrong_promotions"]
    facts = {"naive": naive, "loop": loop, "clean": clean, "closed": closed, "runs_with_worse_promotion": wrong}
    return {"bench": f"lift on {name}", "runs": len(runs), **facts, **enough(runs), "met": met}


def interval(runs: list[dict], draws: int = 2000) -> list[float] | None:
    """95 % of the share of the gap that is closed, runs drawn anew (bootstrap)."""
    found = np.array([[one["naive"], one["loop"], one["clean"]] for one in runs])
    chance = np.random.default_rng(0)
    means = found[chance.integers(len(runs), size=(draws, len(runs)))].mean(axis=1)
    gap = means[:, 0] - means[:, 2]
    if len(runs) < 2 or (gap <= 0).any():
        return None
    return [round(float(q), 4) for q in np.quantile((means[:, 0] - means[:, 1]) / gap, [0.025, 0.975])]


def enough(runs: list[dict]) -> dict:
    """How many of all labels reach 98 % of the quality of all clean ones, over the runs that know it."""
    known = [one for one in runs if "labels_for_98" in one]
    reached = [one["labels_for_98"] / one["pool"] for one in known if one["labels_for_98"] is not None]
    return {
        "closed_interval": interval(runs),
        "quality_reached": float(np.mean([one["quality_reached"] for one in known])) if known else None,
        "runs_that_reach_98": len(reached),
        "share_of_labels_for_98": float(np.median(reached)) if reached else None,
    }


def _value(one, key: str):
    return one[key] if isinstance(one, dict) else one if key == "loop" else None


def plot(name: str, runs: list[dict], path: Path) -> None:
    """The error by round, of the loop and of what stands beside, as SVG."""
    rounds = range(MARK["rounds"] + 1)
    lines = {}
    for key in ("naive", "loop", "clean"):
        means = [[_value(run["curve"][i], key) for run in runs if i < len(run["curve"])] for i in rounds]
        found = [(i, float(np.mean(some))) for i, some in enumerate(means) if some and None not in some]
        lines[key] = found
    top = max(y for found in lines.values() for _, y in found)
    colours = {"naive": "#b3261e", "loop": "#1a5fb4", "clean": "#26a269"}
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 360" font-family="sans-serif" font-size="13">']
    for n, (key, found) in enumerate(lines.items()):
        points = " ".join(f"{40 + 560 * x / MARK['rounds']:.1f},{330 - 300 * y / top:.1f}" for x, y in found)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colours[key]}" stroke-width="2"/>')
        parts.append(f'<text x="{480}" y="{30 + 18 * n}" fill="{colours[key]}">{key}: {found[-1][1]:.4f}</text>')
    parts.append(f'<text x="40" y="20">{name}: by round, {len(runs)} runs, largest {top:.4f}</text></svg>')
    path.write_text("".join(parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="*", default=list(POOL))
    parser.add_argument("--seeds", type=int, default=None, help="By default 20, and 3 for pictures.")
    parser.add_argument("--share", type=float, default=1.0, help="Part of the pool.")
    parser.add_argument("--plot", action="store_true", help="Draw bench/out/lift-NAME.svg.")
    asked = parser.parse_args()
    if DATA is None or not DATA.is_dir():
        print(json.dumps({"bench": "lift", "skipped": "VOLANT_DATA names no folder"}))
        return
    KEPT.parent.mkdir(exist_ok=True)
    known = [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.is_file() else []
    for name in asked.data:
        seeds = asked.seeds or (3 if name == "fashion_mnist" else MARK["seeds"])
        runs = []
        for seed in range(seeds):
            same = [r for r in known if (r["data"], r["seed"], r["share"]) == (name, seed, asked.share)]
            found = same[-1] if same else run(name, seed, asked.share)
            if not same:
                with KEPT.open("a") as out:
                    out.write(json.dumps(found) + "\n")
                print(json.dumps(found), flush=True)
            runs.append(found)
        if asked.plot:
            plot(name, runs, KEPT.parent / f"lift-{name}.svg")
        print(json.dumps(summary(name, runs)), flush=True)


if __name__ == "__main__":
    main()
