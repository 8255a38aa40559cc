"""How well the data checks see: recall on planted faults, false alarms on sound tables, and seconds.

Sound tables come in families that invite false alarms (heavy tails, coarse grids, accents, codes that look like
telephone numbers, redundant columns); faults are planted into them, one at a time. Intervals are
Clopper-Pearson at 95 %. The public tables under $VOLANT_DATA show what fires on real data.

    python bench/checks.py [--seeds 20] [--rows 1000] [--huge]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from check_tables import FAMILIES, NOT_TOLD, ONLY_CLASSES, PLANTS, TASKS, G, Table, classes, words

from volant.core import plugins
from volant.core.protocols import CheckContext
from volant.core.records import Problem
from volant.data.checks.study import Study


def judged(table: Table, root: Path, names: list[str] | None = None) -> dict[str, list[Any]]:
    """What each check finds in a table."""
    data = table.dataset(root)
    y = table.columns["y"]
    task = "classify" if classes(y) else "regress"
    labels = tuple(sorted({str(v) for v in y if v is not None})) if classes(y) else ()
    problem = Problem(task, "y", data.schema.inputs, len(data), labels)
    context = CheckContext(target="y", **table.context)
    study = Study(data)
    return {
        name: list(plugins.load("checks", name).run(study, problem, context))
        for name in names or plugins.names("checks")
    }


def seeded(seeds: int, rows: int) -> Iterator[tuple[str, Table, G]]:
    for seed in range(seeds):
        for place, family in enumerate(FAMILIES):
            for task in TASKS:
                g = np.random.default_rng([seed, place, TASKS.index(task)])
                yield family.__name__, family(g, rows, task), g


def exact(hits: int, n: int) -> dict[str, Any]:
    """A rate with its Clopper-Pearson interval."""
    from scipy.stats import beta

    low = float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0
    return {
        "rate": round(hits / n, 4) if n else None,
        "low": round(low, 4),
        "high": round(high, 4),
        "hits": hits,
        "n": n,
    }


def false_alarms(seeds: int, rows: int, root: Path) -> tuple[dict[str, int], dict[str, dict[str, int]], int]:
    hits: dict[str, int] = defaultdict(int)
    where: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    tables = 0
    for family, table, _ in seeded(seeds, rows):
        tables += 1
        for name, found in judged(table, root).items():
            hits[name] += bool(found)
            if found:
                where[name][f"{family}: {found[0].what}"] += 1
    return hits, where, tables


def recalls(seeds: int, rows: int, root: Path) -> dict[str, dict[str, tuple[int, int]]]:
    seen: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    for check, variants in PLANTS.items():
        for variant, make in variants.items():
            hits = n = 0
            for family, table, g in seeded(seeds, rows):
                if (check in ONLY_CLASSES and not classes(table.columns["y"])) or (check, family) in NOT_TOLD:
                    continue
                found = judged(make(table, g), root, [check])[check]
                wanted = "planted" if "planted" in table.columns else None
                hits += any(f.column == wanted for f in found) if wanted else bool(found)
                n += 1
            seen[check][variant] = (hits, n)
    return seen


def wide(rows: int) -> Table:
    """30 columns: 20 numbers, 7 categories, 2 times and a target."""
    g = np.random.default_rng(0)
    columns: dict[str, np.ndarray] = {f"number_{i}": g.normal(size=rows).round(4) for i in range(20)}
    columns |= {f"category_{i}": words(g, rows, [f"word {k}" for k in range(12)]) for i in range(7)}
    columns |= {
        f"time_{i}": np.datetime64("2020-01-01", "us") + g.integers(0, 10**9, rows).astype("timedelta64[s]")
        for i in range(2)
    }
    return Table({**columns, "y": words(g, rows, ["no", "yes"])})


def seconds(rows: int, root: Path) -> dict[str, float]:
    """Seconds per check that trains nothing, the reading of the columns counted where it happens first."""
    data = wide(rows).dataset(root)
    study = Study(data)
    problem = Problem("classify", "y", data.schema.inputs, rows, ("no", "yes"))
    taken = {}
    for name, check in plugins.load_all("checks").items():
        if not check.trains:
            begun = time.perf_counter()
            check.run(study, problem, CheckContext(target="y"))
            taken[name] = time.perf_counter() - begun
    return taken


def real_tables(root: Path) -> dict[str, list[str]]:
    """Which public tables each check says something about."""
    folder = Path(os.environ.get("VOLANT_DATA", "")) / "tabular_a"
    if not (folder / "tables.json").exists():
        return {}
    fired: dict[str, list[str]] = defaultdict(list)
    for facts in json.loads((folder / "tables.json").read_text()):
        table = public(pq.read_table(folder / f"{facts['name']}.parquet"), facts)
        for name, found in judged(table, root).items():
            for severity in sorted({f.severity for f in found}):
                fired[name].append(f"{facts['name']} ({severity})")
    return fired


def public(raw: pa.Table, facts: dict[str, Any]) -> Table:
    table = Table({})
    for name in raw.column_names:
        if name in ("split", "y"):
            continue
        column = raw.column(name).combine_chunks()
        own = "y" if name == facts["target"] else name
        named = pa.types.is_large_string(column.type) or (own == "y" and facts["task"] != "regression")
        few = len(column.unique()) <= 2 and own != "y"
        texts = column.cast(pa.string()).to_numpy(zero_copy_only=False) if named or few else None
        table.columns[own] = texts if texts is not None else column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        if texts is not None and own != "y" and len(set(texts)) > 0.9 * len(texts):
            table.types[own], table.roles[own] = "id", "ignored"
    return table


def say(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seeds", type=int, default=20)
    asked.add_argument("--rows", type=int, default=1000)
    asked.add_argument("--huge", action="store_true", help="time 1,000,000 rows too, and measure memory")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        taken = seconds(100_000, root)
        alarms, where, sound = false_alarms(given.seeds, given.rows, root)
        seen = recalls(max(given.seeds // 4, 1), given.rows, root)
        fired = real_tables(root)
        for name in plugins.names("checks"):
            hits, n = (sum(pair[i] for pair in seen[name].values()) for i in (0, 1))
            say(
                {
                    "bench": "checks",
                    "check": name,
                    "recall": exact(hits, n),
                    "missed": {v: f"{n - h} of {n}" for v, (h, n) in seen[name].items() if h < n},
                    "false_alarms": exact(alarms[name], sound),
                    "alarmed": dict(where[name]),
                    "seconds_100k_x_30": round(taken[name], 3) if name in taken else None,
                    "real_tables": fired.get(name, []),
                }
            )
        say(
            {
                "bench": "checks",
                "what": "all that train nothing, 100,000 x 30",
                "seconds": round(sum(taken.values()), 2),
                "goal": 3.0,
                "met": sum(taken.values()) <= 3.0,
            }
        )
        if given.huge:
            huge = seconds(1_000_000, root)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            say(
                {
                    "bench": "checks",
                    "what": "the same, 1,000,000 x 30",
                    "seconds": round(sum(huge.values()), 2),
                    "peak_bytes": peak,
                }
            )


if __name__ == "__main__":
    main()
