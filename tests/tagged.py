"""Small products whose rows carry several labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from PIL import Image

from volant.wheel.handle import ProductHandle
from volant.wheel.new import new

LABELS = ("big", "red", "round")
SETTINGS = """
[train]
budget = "2 units"
threads = 1
learners = {learners}
[data.split]
judge = 0.4
test = 0.1
[feedback]
audit = 1.0
[serve]
deadline_ms = 60000
[checks]
skip = ["wrong_labels"]
"""


def things(count: int, seed: int = 0) -> tuple[list[dict], list[list[str]]]:
    """Rows of a table, and the labels that each carries: none, one or more."""
    dice = np.random.default_rng(seed)
    x = dice.normal(size=(count, 3)).round(3)
    kinds = dice.choice(["u", "v", "w"], count)
    noisy = x + 0.3 * dice.normal(size=x.shape)
    carried = [
        [name for name, there in zip(LABELS, (kind == "u", one[0] > 0.3, one[1] > 0.6), strict=True) if there]
        for one, kind in zip(noisy, kinds, strict=True)
    ]
    rows = [{"a": a, "b": b, "c": c, "kind": str(kind)} for (a, b, c), kind in zip(x.tolist(), kinds, strict=True)]
    return rows, carried


def table_of_things(folder: Path, count: int = 400, seed: int = 0) -> ProductHandle:
    """A product over a CSV file whose target is written `big|red`, or `[]` where a row carries no label."""
    rows, carried = things(count, seed)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns["labels"] = ["|".join(names) or "[]" for names in carried]
    pa.csv.write_csv(pa.table(columns), folder / "things.csv")
    return _product(folder, "things.csv", '["linear", "boosted_trees"]')


def painted(names: list[str], dice: np.random.Generator) -> Image.Image:
    """A small picture in which each label shows by itself: a red ground, a disc, or a large shape."""
    pixels = dice.integers(0, 60, (24, 24, 3), dtype=np.uint8)
    if "red" in names:
        pixels[..., 0] += np.uint8(120)
    size = 9 if "big" in names else 4
    down, across = np.mgrid[:24, :24] - 12
    inside = down**2 + across**2 <= size**2 if "round" in names else np.maximum(abs(down), abs(across)) <= size * 0.9
    pixels[inside] = np.minimum(pixels[inside].astype(int) + 110, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def pictures_of_things(folder: Path, count: int, learners: str, seed: int = 0) -> ProductHandle:
    """A product over JSON Lines that name pictures, whose target is a list."""
    dice = np.random.default_rng(seed)
    (folder / "photos").mkdir(parents=True)
    lines = []
    for number in range(count):
        names = [name for name in LABELS if dice.random() < 0.4]
        painted(names, dice).save(folder / "photos" / f"{number}.png")
        lines.append(json.dumps({"picture": f"photos/{number}.png", "labels": names}))
    (folder / "things.jsonl").write_text("\n".join(lines) + "\n")
    return _product(folder, "things.jsonl", learners)


def _product(folder: Path, data: str, learners: str) -> ProductHandle:
    new("things", str(folder / data), "labels", task="tag", folder=folder / "product")
    file = folder / "product" / "volant.toml"
    file.write_text(file.read_text().split("[data.split]")[0] + SETTINGS.format(learners=learners))
    return ProductHandle.at(folder / "product")
