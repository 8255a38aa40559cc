"""Products of pictures, from their file to a release that improved.

Of each set some rows are the product's source, others its traffic: photographs posted as base64, as a form with files,
and as plain bytes. Their true classes come back as corrections, and the wheel turns once. Accuracy is that of fresh
rows, asked of the service before and after the turn; no row of a set's own test part is read. Needs VOLANT_DATA.

    python bench/picture_products.py                                   # all sets
    python bench/picture_products.py --rows cats_dogs --budget 30s     # a short form
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FILE = """
version = 1
name = "{name}"
[task]
type = "classify"
target = "label"
[data]
source = "source.parquet"
[data.split]
judge = 0.25
test = 0.1
[columns]
image = {{ type = "image" }}
label = {{ type = "category" }}
[train]
budget = "{budget}"
[feedback]
audit = 1.0
"""
AT_ONCE = 50
SHARES = {"source": 0.6, "traffic": 0.3}
"""Of the rows; the others are fresh."""

Set = tuple[list[bytes], list[str]]


def png(pixels: np.ndarray) -> bytes:
    """A picture as PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def place(*parts: str) -> Path:
    """A file of the data."""
    return Path(os.environ["VOLANT_DATA"]).joinpath(*parts)


def arrays(folder: str) -> Iterator[tuple[bytes, str]]:
    """The training pictures of a set that lies in arrays."""
    found = np.load(next(place(folder).glob("*.npz")))
    names = {kind: next(n for n in found.files if n.startswith(kind) and "test" not in n) for kind in "xy"}
    for pixels, label in zip(found[names["x"]], found[names["y"]], strict=True):
        yield png(pixels), str(label)


def table(folder: str) -> Iterator[tuple[bytes, str]]:
    """The training pictures of a set that lies in a table."""
    found = pq.read_table(place(folder, f"{folder}_train.parquet"), columns=["image", "label"])
    yield from ((row["image"], str(row["label"])) for row in found.to_pylist())


def cells(_: str) -> Iterator[tuple[bytes, str]]:
    """Cells that are cut out of photographs of blood, as the example `blood_cells` does it."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "examples" / "blood_cells"))
    import prepare

    for slide in prepare.slides().to_pylist():
        for picture, _box, kind in prepare.cells(slide):
            yield png(np.asarray(picture)), kind


def digits(_: str) -> Iterator[tuple[bytes, str]]:
    """Scikit-learn's handwritten digits."""
    from sklearn.datasets import load_digits

    found = load_digits()
    for shades, label in zip(found.images, found.target, strict=True):
        yield png((shades * 15.9375).round().astype(np.uint8)), str(label)


SETS: dict[str, Callable[[str], Iterator[tuple[bytes, str]]]] = {
    "digits": digits,
    "orl_faces": arrays,
    "blood_cells": cells,
    "cats_dogs": table,
    "mnist": arrays,
    "fashion_mnist": arrays,
    "cifar10": table,
}


def shuffled(name: str, most: int) -> Set:
    """Pictures of a set and their classes."""
    found = list(SETS[name](name))
    order = np.random.default_rng(0).permutation(len(found))[:most]
    return [found[i][0] for i in order], [found[i][1] for i in order]


def asked(client: Any, files: Sequence[bytes]) -> list[dict[str, Any]]:
    """What the service says of pictures, a third of them each as base64, as a form with files, and as plain bytes."""
    said: list[dict[str, Any]] = []
    for at in range(0, len(files), AT_ONCE):
        some, way = files[at : at + AT_ONCE], at // AT_ONCE % 3
        if way == 0:
            rows = [{"image": base64.b64encode(one).decode()} for one in some]
            answers = [client.post("/v1/predict", json={"rows": rows})]
        elif way == 1:
            parts = [("image", (str(i), one, "application/octet-stream")) for i, one in enumerate(some)]
            answers = [client.post("/v1/predict", files=parts)]
        else:
            kinds = ["image/png" if one[:4] == b"\x89PNG" else "image/jpeg" for one in some]
            answers = [
                client.post("/v1/predict", content=one, headers={"content-type": kind})
                for one, kind in zip(some, kinds, strict=True)
            ]
        for answer in answers:
            answer.raise_for_status()
            said += answer.json()["predictions"]
    return said


def right(client: Any, files: Sequence[bytes], truths: Sequence[str]) -> float:
    """The share of pictures that the service knows."""
    said = asked(client, files)
    return round(float(np.mean([one["label"] == truth for one, truth in zip(said, truths, strict=True)])), 4)


def turned(name: str, folder: Path, budget: str, most: int) -> dict[str, Any]:
    """One product: trained, served, told and improved."""
    import httpx

    from volant.testing.served import served, wait_for_release
    from volant.wheel.handle import ProductHandle

    files, truths = shuffled(name, most)
    known, told = (int(len(files) * share) for share in np.cumsum(list(SHARES.values())))
    image = pa.array(files[:known], pa.large_binary())
    pq.write_table(pa.table({"image": image, "label": truths[:known]}), folder / "source.parquet")
    (folder / "volant.toml").write_text(FILE.format(name=name, budget=budget))
    handle = ProductHandle.at(folder)
    began = time.monotonic()
    first = handle.train()
    facts: dict[str, Any] = {"row": name, "rows": known, "budget": budget, "trained_s": _since(began)}
    facts |= {"promoted": first.promoted, "latency_ms": first.latency_ms, "size_bytes": first.size_bytes}
    facts["learners"] = {entry.name: round(entry.weight, 3) for entry in first.leaderboard if entry.weight}
    if not first.promoted:
        return facts | {"reasons": first.verdict.reasons if first.verdict else first.note}
    with served(folder) as service, httpx.Client(base_url=service.url, timeout=120) as client:
        facts["before"] = right(client, files[told:], truths[told:])
        said = [
            {"prediction_id": one["id"], "kind": "correction", "value": truth, "actor": f"user{i % 11}"}
            for i, (one, truth) in enumerate(zip(asked(client, files[known:told]), truths[known:told], strict=True))
        ]
        for at in range(0, len(said), 1_000):
            client.post("/v1/feedback", json={"feedback": said[at : at + 1_000]}).raise_for_status()
        began = time.monotonic()
        turn = handle.improve()
        facts |= {"improved_s": _since(began), "outcome": turn.outcome, "labels": turn.labels.accepted}
        facts["changed"] = turn.champion_after != first.candidate
        if facts["changed"]:
            wait_for_release(service.url, turn.champion_after)
        facts["after"] = right(client, files[told:], truths[told:])
    return facts


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--budget", default="120s")
    parser.add_argument("--most", type=int, default=4_000, help="pictures of a set that are looked at")
    asked = parser.parse_args()
    if "VOLANT_DATA" not in os.environ:
        print(json.dumps({"row": "products of pictures", "skipped": "no data: set VOLANT_DATA"}))
        return
    for name in asked.rows:
        with tempfile.TemporaryDirectory(prefix=f"volant-{name}-") as folder:
            print(json.dumps(turned(name, Path(folder), asked.budget, asked.most)), flush=True)


if __name__ == "__main__":
    main()
