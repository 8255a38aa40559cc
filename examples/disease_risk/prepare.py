"""Writes patients with and without a heart disease, and with and without diabetes, as CSV, one folder each.

VOLANT_DATA=… python examples/disease_risk/prepare.py
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


HEART = (
    "age", "sex", "chest_pain", "blood_pressure", "cholesterol", "blood_sugar_above_120", "resting_ecg",
    "highest_heart_rate", "angina_by_exercise", "st_depression", "st_slope", "vessels", "thallium", "disease",
)  # fmt: skip
DIABETES = (
    "pregnancies", "glucose", "blood_pressure", "skin_fold", "insulin", "body_mass", "pedigree", "age", "diabetes",
)  # fmt: skip
NEVER_ZERO = ("glucose", "blood_pressure", "skin_fold", "insulin", "body_mass")
"""Measurements of living people that are 0 where nothing was measured."""


def prepare(folder: Path) -> None:
    """Write `heart/patients.csv` and `diabetes/patients.csv`, with short names and `yes` and `no` as classes."""
    save(table("heart_disease").rename_columns(HEART), folder / "heart")
    patients = table("pima_diabetes").rename_columns(DIABETES)
    for name in NEVER_ZERO:
        values = patients.column(name)
        known = pc.if_else(pc.equal(values, 0), pa.scalar(None, values.type), values)
        patients = patients.set_column(patients.column_names.index(name), name, known)
    save(patients, folder / "diabetes")


def save(patients: pa.Table, folder: Path) -> None:
    """Write one table, the 1 of its last column as `yes`."""
    target = patients.column_names[-1]
    answer = pc.if_else(pc.equal(patients.column(target), 1), "yes", "no")
    folder.mkdir(exist_ok=True)
    pyarrow.csv.write_csv(patients.set_column(len(patients.column_names) - 1, target, answer), folder / "patients.csv")


if __name__ == "__main__":
    prepare(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
