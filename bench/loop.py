"""Row 20: bad retrains are refused, honest ones are promoted. Prints one JSON line.

A bad retrain trains on the champion's own training rows with 20 % of their labels flipped. An honest one
trains on more clean rows; it counts when its true gain, measured on rows that nobody saw, is at least three
paired standard errors of the judge. Both pass through the product's own search, export and gate.

    python bench/loop.py [--repeats 100]
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.stats import beta

import volant
from volant.core.budget import Budget, Spending
from volant.data.dataset import Dataset, Extra, Writer
from volant.runtime.load import open_release
from volant.wheel.context import Context, work_on
from volant.wheel.gate import units_of
from volant.wheel.new import new
from volant.wheel.train import train_on

FEW, MANY, JUDGE, HIDDEN = 120, 2000, 800, 4000
FLIPPED = 0.2


@dataclass(frozen=True)
class Table:
    """Rows of two classes whose logit is linear in five of eight numbers plus one product."""

    x: np.ndarray
    y: np.ndarray

    @staticmethod
    def make(rows: int, rng: np.random.Generator) -> Table:
        x = rng.normal(size=(rows, 8)).round(6)
        logit = x[:, :5] @ np.array([1.2, -0.9, 0.7, 0.5, -0.4]) + 0.8 * x[:, 5] * x[:, 6]
        return Table(x, (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int))

    def arrow(self, flipped: np.ndarray | None = None) -> pa.Table:
        y = self.y if flipped is None else self.y ^ flipped
        columns = {f"x{i}": self.x[:, i] for i in range(8)}
        return pa.table({**columns, "y": pa.array(np.where(y == 1, "yes", "no"))})


def version(context: Context, base: Dataset, train: pa.Table, judge: pa.Table, hidden: pa.Table) -> Dataset:
    """A dataset version with given sides."""
    writer = Writer(context.folder("datasets"), base.schema, context_rule(base))
    for table, side in ((train, "train"), (judge, "judge"), (hidden, "test")):
        writer.add(table.select(list(base.schema.names)), Extra(sides=[side] * len(table)))
    return writer.finish()


def context_rule(base: Dataset):
    from volant.data.dataset import SplitRule

    return SplitRule(**base.facts["split"])


def interval(hits: int, trials: int) -> tuple[float, float]:
    """The Clopper–Pearson interval at 95 %."""
    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, trials - hits + 1))
    high = 1.0 if hits == trials else float(beta.ppf(0.975, hits + 1, trials - hits))
    return round(low, 4), round(high, 4)


def losses(context: Context, digest: str, rows: Dataset, problem) -> np.ndarray:
    units = units_of(context, open_release(context.folder("candidates") / digest), rows, problem)
    return -np.log(np.clip(units["p"][np.arange(len(rows)), units["y"]], 1e-7, 1))


def train(context: Context, dataset: Dataset):
    return train_on(context, dataset, Spending(Budget.parse("6 units")), time.monotonic())


def once(root: Path, seed: int) -> dict[str, object]:
    """One champion, one bad retrain, one honest one."""
    rng = np.random.default_rng(seed)
    few, many, judge, hidden = (Table.make(n, rng) for n in (FEW, MANY, JUDGE, HIDDEN))
    folder = root / f"p{seed}"
    folder.mkdir(parents=True)
    import pyarrow.csv

    pyarrow.csv.write_csv(few.arrow(), folder / "few.csv")
    new("loop", str(folder / "few.csv"), "y", folder=folder / "product")
    file = folder / "product" / "volant.toml"
    file.write_text(file.read_text() + f'\n[train]\nthreads = 1\nseed = {seed}\nlearners = ["linear"]\n')
    product = volant.open(folder / "product").product
    flipped = (rng.random(FEW) < FLIPPED).astype(int)
    out: dict[str, object] = {}
    with work_on(product) as context:
        from volant.wheel.collect import collect

        base = collect(context)
        sides = (judge.arrow(), hidden.arrow())
        champion = train(context, version(context, base, few.arrow(), *sides))
        assert champion.promoted, champion.verdict
        bad = train(context, version(context, base, few.arrow(flipped), *sides))
        out["bad_promoted"] = bad.promoted
    shutil.rmtree(folder / "product" / ".volant")
    with work_on(product) as context:
        base = collect(context)
        champion = train(context, version(context, base, few.arrow(), *sides))
        data = version(context, base, pa.concat_tables([few.arrow(), many.arrow()]), *sides)
        honest = train(context, data)
        problem = context.task.problem(data.part("train"), "y", context.metric)
        gain = {
            side: losses(context, champion.candidate, data.part(side), problem)
            - losses(context, honest.candidate, data.part(side), problem)
            for side in ("judge", "test")
        }
        error = gain["judge"].std(ddof=1) / math.sqrt(JUDGE)
        out |= {"honest_promoted": honest.promoted, "gain_in_errors": float(gain["test"].mean() / error)}
    shutil.rmtree(folder)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=100)
    repeats = parser.parse_args().repeats
    root = Path(tempfile.mkdtemp())
    started, bad, honest, gains, seed = time.monotonic(), 0, [], [], 0
    tried = 0
    try:
        while (tried < repeats or len(honest) < repeats) and seed < 3 * repeats:
            found = once(root, seed)
            seed += 1
            if tried < repeats:
                tried, bad = tried + 1, bad + bool(found["bad_promoted"])
            gains.append(found["gain_in_errors"])
            if found["gain_in_errors"] >= 3 and len(honest) < repeats:
                honest.append(bool(found["honest_promoted"]))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    record = {
        "row": 20,
        "bad_retrains": tried,
        "bad_promoted": bad,
        "bad_promoted_interval": interval(bad, tried),
        "honest_retrains": len(honest),
        "honest_promoted": sum(honest),
        "honest_promoted_interval": interval(sum(honest), len(honest)),
        "median_gain_in_standard_errors": round(float(np.median(gains)), 2),
        "seconds": round(time.monotonic() - started, 1),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
