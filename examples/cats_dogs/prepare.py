"""Writes photographs of cats and dogs as files, a folder per class.

VOLANT_DATA=… python examples/cats_dogs/prepare.py
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

HERE = Path(__file__).parent
PARTS = ("cats_dogs_train", "cats_dogs_test")


def photographs() -> tuple[pa.Table, list[str]]:
    """The public photographs from the folder that VOLANT_DATA names, and the names of their classes."""
    folder = Path(os.environ.get("VOLANT_DATA", "data")) / "cats_dogs"
    if not (folder / f"{PARTS[0]}.parquet").is_file():
        sys.exit(f"the photographs are not here: set VOLANT_DATA to the folder that holds cats_dogs/{PARTS[0]}.parquet")
    table = pa.concat_tables(pyarrow.parquet.read_table(folder / f"{part}.parquet") for part in PARTS)
    return table, json.loads((folder / "classes.json").read_text())["classes"]


def prepare(folder: Path) -> None:
    """Write `photographs/cat/…` and `photographs/dog/…`."""
    table, names = photographs()
    columns = (table.column(name).to_pylist() for name in ("label", "image"))
    for number, (label, data) in enumerate(zip(*columns, strict=True)):
        path = folder / "photographs" / names[label] / f"{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
