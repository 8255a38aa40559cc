"""Peak memory of training large public tables by the default path: kddcup (494,020 x 41) and fars (100,968 x 29).

Prints one JSON line per table: gibibytes at the peak of `volant train`, seconds, the leaderboard's best score.
Needs VOLANT_DATA.

    python bench/memory.py
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.csv

from tables import table_of


def run(name: str, budget: str) -> dict[str, object]:
    """`volant new` and `train` on a CSV file, each in a process of its own, as a user would."""
    volant = str(Path(sys.executable).with_name("volant"))
    with tempfile.TemporaryDirectory() as place:
        table, target, _ = table_of(name)
        pyarrow.csv.write_csv(table, Path(place) / "data.csv")
        new = [volant, "-C", place, "new", "p", "--data", f"{place}/data.csv", "--target", target, "--task", "classify"]
        subprocess.run(new, check=True, capture_output=True)
        train = [volant, "-C", f"{place}/p", "train", "--budget", budget, "--json"]
        done = subprocess.run(train, check=False, capture_output=True, text=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    if done.returncode not in (0, 1):
        return {"table": name, "failed": done.returncode, "says": (done.stdout + done.stderr)[-500:]}
    result = json.loads(done.stdout)
    scores = {s["metric"]: round(s["value"], 5) for s in result["scores"][:2]}
    told = {"table": name, "rows": len(table), "gib": round(peak, 2), "seconds": result["seconds"], **scores}
    return {**told, "kept": peak <= 6, "promoted": result["promoted"]}


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--tables", nargs="*", default=["fars", "kddcup"])
    given.add_argument("--budget", default="60s")
    wanted = given.parse_args()
    if "VOLANT_DATA" not in os.environ:
        raise SystemExit("VOLANT_DATA is not set")
    for name in wanted.tables:
        print(json.dumps(run(name, wanted.budget)), flush=True)


if __name__ == "__main__":
    main()
