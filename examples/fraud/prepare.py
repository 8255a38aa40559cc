"""Writes a table that is as uneven as fraud: 260 rare cases among 11,183, six measurements each.

The rare cases are calcifications in X-ray pictures, not frauds: no table of real payments may be passed on freely, and
what makes the task hard, one case in 43 and costs that differ by far, is the same.

    VOLANT_DATA=… python examples/fraud/prepare.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

HERE = Path(__file__).parent


def table(name: str) -> pa.Table:
    """A public table from the folder that VOLANT_DATA names."""
    path = Path(os.environ.get("VOLANT_DATA", "data")) / "tabular_a" / f"{name}.parquet"
    if not path.is_file():
        sys.exit(f"the table {name} is not here: set VOLANT_DATA to the folder that holds tabular_a/{name}.parquet")
    return pyarrow.parquet.read_table(path)


def prepare(folder: Path) -> None:
    """Write `cases.csv`: the class 1 becomes `yes` in the column `fraud`."""
    cases = table("mammography_imbalanced")
    fraud = pc.if_else(pc.equal(cases.column("class"), 1), "yes", "no")
    pyarrow.csv.write_csv(cases.drop_columns(["class"]).append_column("fraud", fraud), folder / "cases.csv")


if __name__ == "__main__":
    prepare(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
