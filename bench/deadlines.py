"""How well budgets hold: the time from the start of the stage to the evaluated candidate, for three budgets.

Prints one JSON line per table and budget: the budget, what `volant train` took by its own clock, by how much it
ran over, and the load of the machine before. Needs VOLANT_DATA.

    python bench/deadlines.py --tables adult letter titanic california_houses wine_quality --budgets 5 30 120
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tables import PRODUCT, split

TABLES = ("adult", "letter", "titanic", "california_houses", "wine_quality")


def run(name: str, seconds: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        target, kind = split(name, 0, folder)
        task, by = ("regress", "random") if kind == "regression" else ("classify", "stratified")
        (folder / "volant.toml").write_text(PRODUCT.format(task=task, by=by, target=target, seconds=seconds, seed=0))
        load = os.getloadavg()[0]
        command = [str(Path(sys.executable).with_name("volant")), "-C", str(folder), "train", "--json"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        result = json.loads(done.stdout)
    allowed = max(0.05 * seconds, 1.0)
    over = result["seconds"] - seconds
    tried = sum(entry["status"] == "done" for entry in result["leaderboard"])
    told = {"table": name, "budget": seconds, "took": result["seconds"], "over": round(over, 2), "tried": tried}
    return {**told, "kept": over <= allowed, "load_before": round(load, 2)}


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--tables", nargs="*", default=list(TABLES))
    given.add_argument("--budgets", nargs="*", type=int, default=[5, 30, 120])
    wanted = given.parse_args()
    if "VOLANT_DATA" not in os.environ:
        raise SystemExit("VOLANT_DATA is not set")
    for seconds in wanted.budgets:
        for name in wanted.tables:
            print(json.dumps(run(name, seconds)), flush=True)


if __name__ == "__main__":
    main()
