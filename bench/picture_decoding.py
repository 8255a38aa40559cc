"""Decoding photographs by one thread, by two, and by two processes: pictures a second, and processor time for each.

What is measured is what is asked of pictures that do not fit decoded into memory: files of JPEG in, pixels of a side
out, in one array of the training process. Processes are started once, and are sent every file and send back every
picture; what starting them takes is told apart. Rates mean something on a quiet machine only, processor time on any.
`--side-before` writes the photographs anew first, as large as a camera makes them.

    python bench/picture_decoding.py                       # photographs of $VOLANT_DATA/cats_dogs
    python bench/picture_decoding.py --count 400 --side 224
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from volant.columns.pixels import Form, many

BATCH = 32


def work(pipe: Connection, side: int) -> None:
    """Decode what is sent until nothing is; a parent that is gone ends it, too."""
    form = form_of(side)
    pipe.send_bytes(b"ready")
    begun = _spent()
    try:
        while files := pipe.recv():
            pipe.send_bytes(many(files, form).tobytes())
    except EOFError:
        pass
    pipe.send_bytes(json.dumps(_spent() - begun).encode())


def form_of(side: int) -> Form:
    """Squares in colours."""
    return Form(side, side)


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Crew:
    """Processes that decode."""

    def __init__(self, count: int, side: int) -> None:
        began, of = time.perf_counter(), multiprocessing.get_context("spawn")
        self.pipes, self.processes, self.side = [], [], side
        for _ in range(count):
            ours, theirs = of.Pipe()
            process = of.Process(target=work, args=(theirs, side), daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(ours)
            self.processes.append(process)
        for pipe in self.pipes:
            pipe.recv_bytes()
        self.start_seconds = time.perf_counter() - began

    def decode(self, files: Sequence[bytes]) -> np.ndarray:
        """The pixels of some files; every process has one batch before it and one in the pipe."""
        out = np.empty((len(files), self.side, self.side, 3), dtype=np.uint8)
        parts = [range(begin, min(begin + BATCH, len(files))) for begin in range(0, len(files), BATCH)]
        for turn in range(0, len(parts), len(self.pipes)):
            busy = list(zip(self.pipes, parts[turn : turn + len(self.pipes)], strict=False))
            for pipe, places in busy:
                pipe.send([files[place] for place in places])
            for pipe, places in busy:
                out[places.start : places.stop] = np.frombuffer(pipe.recv_bytes(), np.uint8).reshape(-1, *out.shape[1:])
        return out

    def end(self) -> float:
        """End them; the processor time that they spent, but for starting."""
        for pipe in self.pipes:
            pipe.send([])
        spent = sum(json.loads(pipe.recv_bytes()) for pipe in self.pipes)
        for process in self.processes:
            process.join()
        return float(spent)


def measured(name: str, decode: Callable[[], np.ndarray], count: int, repeats: int) -> dict[str, object]:
    """The best rate of some repeats, and the processor time of this process for one picture."""
    seconds, spent = [], []
    for _ in range(repeats):
        began, before = time.perf_counter(), _spent()
        decode()
        seconds.append(time.perf_counter() - began)
        spent.append(_spent() - before)
    return {"by": name, "pictures_per_second": round(count / min(seconds)), "cpu_ms": 1e3 * min(spent) / count}


def enlarged(file: bytes, side: int) -> bytes:
    """The photograph with a longer side of so many pixels."""
    image = Image.open(io.BytesIO(file)).convert("RGB")
    scale, into = side / max(image.size), io.BytesIO()
    image.resize((round(image.width * scale), round(image.height * scale))).save(into, "JPEG", quality=90)
    return into.getvalue()


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--count", type=int, default=400)
    reader.add_argument("--side", type=int, default=128)
    reader.add_argument("--repeats", type=int, default=3)
    reader.add_argument("--side-before", type=int, default=0)
    asked = reader.parse_args()
    path = Path(os.environ.get("VOLANT_DATA", "data")) / "cats_dogs" / "cats_dogs_train.parquet"
    files = pq.read_table(path, columns=["image"]).column(0).slice(0, asked.count).to_pylist()
    if asked.side_before:
        files = [enlarged(file, asked.side_before) for file in files]
    form, count, told = form_of(asked.side), len(files), []
    mean = sum(map(len, files)) / count
    print(f"{count} photographs of {mean / 1e3:.0f} kB to {asked.side} × {asked.side}", flush=True)
    for threads in (1, 2):
        told.append(measured(f"{threads} threads", lambda n=threads: many(files, form, n), count, asked.repeats))
    crew = Crew(2, asked.side)
    same = bool((crew.decode(files) == many(files, form)).all())
    found = measured("2 processes", lambda: crew.decode(files), count, asked.repeats)
    found |= {"start_seconds": round(crew.start_seconds, 2), "same": same}
    found["theirs_cpu_ms"] = 1e3 * crew.end() / (count * (asked.repeats + 1))
    told.append(found)
    for one in told:
        print(json.dumps(one))


if __name__ == "__main__":
    main()
