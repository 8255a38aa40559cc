"""Do intervals keep their promise? Mean coverage over many random splits, of made and of public tables.

    python bench/coverage.py                      # 100 splits of a skewed table whose noise varies
    python bench/coverage.py --table ames_house_prices --splits 20
    python bench/coverage.py --kind subjects      # rows of subjects, which share an error
    python bench/coverage.py --kind time          # split by time, with a drift that no interval can foresee

Each split trains on its own rows as `volant train` does (search, last fits, interval) with a budget of work, and
counts the truths within their interval among rows that were kept apart. Tables come from $VOLANT_DATA/tabular_a.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from volant.core.budget import Budget, Spending
from volant.core.clock import Machine
from volant.core.plugins import load
from volant.core.progress import Silent
from volant.core.records import Column, Schema
from volant.data.dataset import Dataset, SplitRule, write_dataset
from volant.data.infer import infer_schema
from volant.release.export import Part, combine
from volant.runtime.load import Runner
from volant.search.bands import HeldOutRows, fit_band
from volant.search.halves import Effort
from volant.search.search import Search
from volant.search.trials import Rules
from volant.wheel.intervals import with_interval


def skewed(count: int, rng: np.random.Generator) -> pa.Table:
    """A skewed number whose noise is multiplicative and varies from row to row."""
    x = rng.uniform(0, 1, (count, 4))
    y = np.exp(1 + 2 * x[:, 0] + 0.8 * (x[:, 1] > 0.5) + (0.1 + 0.7 * x[:, 2]) * rng.normal(size=count))
    return pa.table({**{f"x{i}": x[:, i] for i in range(4)}, "y": y})


def subjects(count: int, rng: np.random.Generator) -> pa.Table:
    """One to ten rows per subject, whose rows share half of their error."""
    sizes = rng.integers(1, 11, count)
    who = np.repeat(np.arange(count), sizes)[:count]
    x = rng.normal(size=(count, 3))
    y = x[:, 0] + 0.5 * x[:, 1] + rng.normal(size=count)[who] + rng.normal(size=count)
    named = pa.array([f"s{i}" for i in who])
    return pa.table({**{f"x{i}": x[:, i] for i in range(3)}, "who": named, "y": y})


def drifting(count: int, rng: np.random.Generator) -> pa.Table:
    """Rows in the order of time; the noise grows by half from the first to the last."""
    x, at = rng.normal(size=(count, 3)), np.linspace(0, 1, count)
    y = x[:, 0] + 0.5 * x[:, 1] ** 2 + (1 + 0.5 * at) * rng.normal(size=count)
    when = np.datetime64("2024-01-01T00:00", "us") + (at * 365 * 24 * 3600 * 1e6).astype("timedelta64[us]")
    return pa.table({**{f"x{i}": x[:, i] for i in range(3)}, "at": pa.array(when), "y": y})


MADE = {"skewed": skewed, "subjects": subjects, "time": drifting}
ROLES = {"who": ("id", "subject"), "at": ("timestamp", "time"), "y": ("number", "target")}


def made(kind: str, count: int, seed: int) -> tuple[pa.Table, Schema]:
    """A made table and its schema."""
    table = MADE[kind](count, np.random.default_rng(seed))
    return table, Schema(tuple(Column(n, *ROLES.get(n, ("number", "input"))) for n in table.column_names))


def public(name: str, seed: int, most: int) -> tuple[pa.Table, Schema]:
    """Rows of a public table in a random order."""
    folder = Path(os.environ.get("VOLANT_DATA", "data")) / "tabular_a"
    target = next(t["target"] for t in json.loads((folder / "tables.json").read_text()) if t["name"] == name)
    table = pq.read_table(folder / f"{name}.parquet")
    order = np.random.default_rng(seed).permutation(len(table))[:most]
    table = table.take(pa.array(order))
    return table, infer_schema(table, target, {}, task="regress")


def covered(data: Dataset, target: str, promised: float, args: argparse.Namespace, seed: int) -> dict[str, float]:
    """Train, and judge the interval on the test rows."""
    task, rows = load("tasks", "regress"), data.part("train")
    problem = task.problem(rows, target, "rmse")
    problem = type(problem)(**{**vars(problem), "interval": promised})
    learners = {name: load("learners", name) for name in ("prior", *args.learners.split(","))}
    with tempfile.TemporaryDirectory() as name:
        spending = Spending(Budget.parse(args.budget))
        rules = Rules(seed=seed, threads=2, metric="rmse", by_time=args.kind == "time")
        search = Search(
            rows, problem, task, learners=learners, rules=rules, spending=spending, folder=Path(name) / "fits",
            progress=Silent(), machine=Machine.here(),
        )  # fmt: skip
        found = search.run()
        assert found.held_out is not None
        begun = time.perf_counter()
        places = found.held_out.positions
        known = HeldOutRows(rows.take(places), search.truth[places], found.held_out.predicted)
        band = fit_band(known, problem, Effort(seed, 2))
        seconds = time.perf_counter() - begun
        folder = Path(name) / "draft"
        folder.mkdir()
        parts = [Part(m.fit.pipeline, m.fit.folder, m.weight) for m in found.members]
        pipeline = task.finish(with_interval(combine(parts, "value", folder), band, "value", folder), problem)
        test = data.part("test")
        answers = Runner(pipeline, folder).predict(test.batch([c.name for c in problem.inputs]))
    units = task.units(task.encode(test, problem), answers, problem)
    one = np.ones((1, len(test)))
    return {
        "coverage": float(task.metrics["coverage"].of(units, one)[0]),
        "score": float(task.metrics["interval_score"].of(units, one)[0]),
        "width": float(np.mean(units["high"] - units["low"])),
        "below": float(np.mean(units["y"] < units["low"])),
        "trees": float(band.trees is not None),
        "rows": float(len(test)),
        "seconds": seconds,
    }


def main() -> None:
    """Print the mean coverage and whether it is within chance of the promise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=MADE, default="skewed")
    parser.add_argument("--table", help="a public table instead")
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--rows", type=int, default=1_500)
    parser.add_argument("--promise", type=float, default=0.9)
    parser.add_argument("--budget", default="9 units")
    parser.add_argument("--learners", default="boosted_trees")
    args = parser.parse_args()
    by = {"subjects": "group", "time": "time"}.get(args.kind, "random")
    found = []
    for seed in range(args.splits):
        table, schema = made(args.kind, args.rows, seed) if not args.table else public(args.table, seed, args.rows)
        with tempfile.TemporaryDirectory() as name:
            rule = SplitRule(by=by, judge=0.05, test=0.4, salt=f"split {seed}")
            data = write_dataset(Path(name), schema, table.to_batches(), rule)
            found.append(covered(data, schema.of_role("target")[0].name, args.promise, args, seed))
        print(json.dumps({name: round(value, 4) for name, value in found[-1].items()}), flush=True)
    report(found, args)


def report(found: list[dict[str, float]], args: argparse.Namespace) -> None:
    """Means over the splits, and how far chance alone would put the mean coverage from the promise."""
    mean = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    spread = float(np.std([one["coverage"] for one in found], ddof=1)) if len(found) > 1 else math.nan
    binomial = math.sqrt(args.promise * (1 - args.promise) / mean["rows"])
    print(f"{args.table or args.kind}: {len(found)} splits, {mean['rows']:.0f} test rows each")
    print(
        f"  promised {args.promise:.3f}, covered {mean['coverage']:.4f} ± {1.96 * spread / math.sqrt(len(found)):.4f}"
    )
    print(f"  one split: deviation {spread:.4f}; by chance of its test rows alone {binomial:.4f}")
    print(f"  below {mean['below']:.4f}, above {1 - mean['coverage'] - mean['below']:.4f}")
    print(f"  mean width {mean['width']:.4g}, interval score {mean['score']:.4g}")
    print(f"  trees in {100 * mean['trees']:.0f} % of the splits, {mean['seconds']:.2f} s for the interval")


if __name__ == "__main__":
    main()
