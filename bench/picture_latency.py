"""One picture of 32 × 32 pixels through a released `convnet`, in float32 and in eight bits, in the serving runtime.

Milliseconds from the bytes of a JPEG or PNG file to probabilities on one thread: decoding is part of them. The mark is
a median of 3 ms. The network is trained for a moment only, as time does not depend on what it knows; eight bits are as
`volant compress` makes them. Needs no data; takes about half a minute.

    python bench/picture_latency.py
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from volant.bind.onnx_quantise import static
from volant.core import plugins
from volant.core.protocols import RunContext
from volant.core.records import Column, Problem, Schema
from volant.learners.image.decoding import PIXELS
from volant.runtime.load import Runner
from volant.testing.rows import MemoryRows

MARK = 3.0
CLASSES = tuple(str(i) for i in range(10))
SCHEMA = Schema((Column("image", "image"), Column("label", "category", "target")))
WIDTHS = {"narrow": "16,32,64", "middle": "32,96,128", "published": "64,256,256"}


def pictures(n: int, form: str) -> list[bytes]:
    """Files of coloured blots."""
    from PIL import Image

    dice, found = np.random.default_rng(0), []
    for _ in range(n):
        file = io.BytesIO()
        blots = Image.fromarray(dice.integers(0, 255, (6, 6, 3), dtype=np.uint8))
        blots.resize((32, 32), Image.Resampling.BICUBIC).save(file, form)
        found.append(file.getvalue())
    return found


def rows(n: int, form: str) -> MemoryRows:
    """Rows with such files."""
    labels = [CLASSES[i % len(CLASSES)] for i in range(n)]
    return MemoryRows.of(SCHEMA, pa.table({"image": pa.array(pictures(n, form), pa.large_binary()), "label": labels}))


def timed(runner: Runner, form: str, calls: int) -> dict[str, float]:
    """Milliseconds of one row, the median and the 99th percentile."""
    asked = [rows(16, form).take(np.array([i])).batch(["image"]) for i in range(16)]
    asked = [{"image": np.array([bytes(cell) for cell in one["image"]], dtype=object)} for one in asked]
    for one in asked:
        runner.predict(one)
    taken = []
    for call in range(calls):
        began = time.perf_counter()
        runner.predict(asked[call % len(asked)])
        taken.append(1e3 * (time.perf_counter() - began))
    return {
        f"{form}_p50_ms": round(float(np.median(taken)), 3),
        f"{form}_p99_ms": round(float(np.quantile(taken, 0.99)), 3),
    }


def in_eight_bits(folder: Path, given: MemoryRows, decoder: Runner) -> None:
    """The network of a folder as int8, ranges from real rows."""
    found = decoder.predict(given.batch(["image"]))[PIXELS]
    place = folder / "network.onnx"
    place.write_bytes(static(place.read_bytes(), [{"x": found[i : i + 32]} for i in range(0, len(found), 32)]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=500)
    asked = parser.parse_args()
    learner = plugins.load("learners", "convnet")
    given = rows(256, "PNG")
    problem = Problem("classify", "label", SCHEMA.inputs, len(given), CLASSES, "log_loss")
    for name, widths in WIDTHS.items():
        options = replace(learner.portfolio(problem)[0], widths=widths, epochs=1)
        model = learner.fit(given, problem, options, RunContext(seed=0, threads=2))
        for kind in ("float32", "int8"):
            with tempfile.TemporaryDirectory(prefix="volant-latency-") as place:
                folder = Path(place)
                pipeline = model.export(folder)
                if kind == "int8":
                    decoder = Runner(replace(pipeline, steps=pipeline.steps[:1], outputs={PIXELS: PIXELS}), folder, 1)
                    in_eight_bits(folder, given, decoder)
                runner = Runner(pipeline, folder, 1)
                told = {"row": "one picture", "network": name, "widths": widths, "kind": kind}
                told |= {"views": options.views, "bytes": (folder / "network.onnx").stat().st_size}
                told |= timed(runner, "JPEG", asked.calls) | timed(runner, "PNG", asked.calls)
                print(json.dumps({**told, "mark_ms": MARK, "kept": told["JPEG_p50_ms"] <= MARK}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
