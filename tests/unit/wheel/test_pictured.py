"""The usual size of pictures is part of the problem, so that learners can say what learning from them takes."""

from __future__ import annotations

import io

import pyarrow as pa
from PIL import Image

from volant.core.records import Column, Problem, Schema
from volant.testing.rows import MemoryRows
from volant.wheel.posed import pictured


def picture(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "JPEG")
    return file.getvalue()


def rows(files):
    schema = Schema((Column("photo", "image"), Column("y", "category", "target")))
    table = pa.table({"photo": pa.array(files, pa.large_binary()), "y": ["a"] * len(files)})
    return MemoryRows.of(schema, table)


def problem(*columns):
    return Problem("classify", "y", columns, 5, ("a", "b"), "log_loss")


def test_the_usual_size_counts_and_missing_pictures_do_not():
    found = rows([picture(500, 375), None, picture(500, 375), picture(640, 480), None])
    assert pictured(problem(Column("photo", "image")), found).picture == (500, 375)


def test_without_pictures_nothing_is_known():
    assert pictured(problem(Column("x", "number")), rows([None])).picture == (0, 0)
    assert pictured(problem(Column("photo", "image")), rows([None, None])).picture == (0, 0)
