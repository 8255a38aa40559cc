"""Writes a bank's customers, and whether they have credit in default, as CSV.

VOLANT_DATA=… python examples/credit_default/prepare.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

HERE = Path(__file__).parent


def table(name: str) -> pa.Table:
    """A public table from the folder that VOLANT_DATA names."""
    path = Path(os.environ.get("VOLANT_DATA", "data")) / "tabular_a" / f"{name}.parquet"
    if not path.is_file():
        sys.exit(f"the table {name} is not here: set VOLANT_DATA to the folder that holds tabular_a/{name}.parquet")
    return pyarrow.parquet.read_table(path)


KEPT = ("age", "job", "marital", "education", "balance", "housing", "loan", "default")
"""What is known of a customer; the other columns are about the campaign that the table was gathered for."""


def prepare(folder: Path) -> None:
    """Write `customers.csv`."""
    pyarrow.csv.write_csv(table("bank_marketing").select(KEPT), folder / "customers.csv")


if __name__ == "__main__":
    prepare(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
