"""Cuts cells out of photographs of blood under a microscope, and writes them with a table that names them.

VOLANT_DATA=… python examples/blood_cells/prepare.py
"""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from PIL import Image

HERE = Path(__file__).parent
KINDS = {"RBC": "red", "WBC": "white", "Platelets": "platelets"}
AROUND = 4
"""Pixels around the box of a cell that are kept."""


def slides() -> pa.Table:
    """The public photographs from the folder that VOLANT_DATA names, with a box around each cell."""
    path = Path(os.environ.get("VOLANT_DATA", "data")) / "bccd_detection" / "bccd_trainval.parquet"
    if not path.is_file():
        sys.exit(f"the photographs are not here: set VOLANT_DATA to the folder that holds bccd_detection/{path.name}")
    return pyarrow.parquet.read_table(path)


def cells(slide: dict[str, Any]) -> Iterator[tuple[Image.Image, list[int], str]]:
    """The cells of a slide: a picture of each, its box, and its kind."""
    photograph = Image.open(io.BytesIO(slide["image"]))
    for (left, top, right, bottom), kind in zip(slide["boxes_xyxy"], slide["labels"], strict=True):
        if right - left > 1 and bottom - top > 1:  # two boxes of the set are empty
            around = (max(left - AROUND, 0), max(top - AROUND, 0), right + AROUND, bottom + AROUND)
            around = (*around[:2], min(around[2], photograph.width), min(around[3], photograph.height))
            yield photograph.crop(around), [left, top, right, bottom], KINDS[kind]


def prepare(folder: Path) -> None:
    """Write `cells/…` and `cells.csv`."""
    found = slides().to_pylist()
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    with (folder / "cells.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["picture", "slide", "width", "height", "kind"])
        for slide in found:
            for number, (picture, (left, top, right, bottom), kind) in enumerate(cells(slide)):
                path = f"cells/{slide['id']}-{number:02}.png"
                picture.save(folder / path)
                table.writerow([path, slide["id"], right - left, bottom - top, kind])


if __name__ == "__main__":
    prepare(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
