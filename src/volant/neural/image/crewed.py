"""Training by several processes: on the GPUs of this machine, or, with a shared folder, on several machines.

What is to be trained lies in a folder: arrays, and a job in JSON. Each process runs this module on it; the first one
leaves the weights there. `volant train` starts one process for each GPU; on several machines `torchrun` does:

    torchrun --nnodes 2 --nproc-per-node 8 … -m volant.neural.image.crewed FOLDER
"""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from volant.core.progress import Progress, Silent
from volant.errors import Failure
from volant.neural.crew import crew_here
from volant.neural.image.design import Augmentation, Design, Recipe
from volant.neural.image.network import ImageNetwork
from volant.neural.image.rows import ImageRows
from volant.neural.loop import Trained, torch_threads
from volant.neural.sharded import whole

PROCESSES = "VOLANT_PROCESSES"
"""Variable of the environment that says how many processes train together; by default one for each GPU."""
BEGUN = "begun.safetensors"
"""The file of a job with the numbers that its network begins at."""


def processes() -> int:
    """How many processes are to train together."""
    asked = os.environ.get(PROCESSES)
    return max(1, int(asked)) if asked else max(1, torch.cuda.device_count())


def train_together(
    network: ImageNetwork,
    rows: ImageRows,
    held_out: ImageRows | None,
    job: Mapping[str, Any],
    folder: Path,
    progress: Progress,
    begun: Mapping[str, np.ndarray] | None = None,
) -> Trained:
    """Train a network by several processes; it gets the weights that they leave.

    Args:
        network: as it was built from the job; on the processor.
        rows: to train on.
        held_out: that judge.
        job: `design`, `recipe`, `outputs`, `kind`, `seed`, `seconds`, `threads`.
        folder: where they meet.
        progress: who is told.
        begun: the numbers that the network begins at, if it is no fresh one.

    Raises:
        Failure: code `training-failed`: one of them failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "rows", rows)
    if held_out is not None:
        _write(folder / "held_out", held_out)
    plain = {**job, "design": asdict(job["design"]), "recipe": asdict(job["recipe"])}
    plain["seconds"] = None if math.isinf(job["seconds"]) else job["seconds"]
    if begun is not None:
        _write_weights(folder / BEGUN, {name: torch.from_numpy(value) for name, value in begun.items()})
    (folder / "job.json").write_text(json.dumps(plain))
    progress.say(f"{processes()} processes train together")
    _run(folder, processes())
    from safetensors.torch import load_file

    network.load_state_dict(load_file(folder / "weights.safetensors"))
    return Trained(**json.loads((folder / "trained.json").read_bytes()))


def _write(folder: Path, rows: ImageRows) -> None:
    folder.mkdir(exist_ok=True)
    if not isinstance(rows.pictures, np.ndarray):
        raise Failure(
            "the pixels of all pictures do not fit on this disk, where several processes would read them",
            code="too-large",
            got=f"{rows.pictures.nbytes:,} bytes",
            fix=f"make room, set side in train.options, or train in one process ({PROCESSES}=1)",
        )
    arrays = {"pictures": rows.pictures, "targets": rows.targets.numpy(), "weights": rows.weights.numpy()}
    if rows.beside is not None:
        arrays["beside"] = rows.beside.numpy()
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values, allow_pickle=False)


def _write_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    save_file({name: value.contiguous() for name, value in weights.items()}, path)


def _begun(folder: Path) -> dict[str, np.ndarray] | None:
    """The numbers that the network of a job begins at, or None where it is a fresh one."""
    from safetensors.numpy import load_file

    return load_file(folder / BEGUN) if (folder / BEGUN).is_file() else None


def _read(folder: Path) -> ImageRows | None:
    if not folder.is_dir():
        return None

    def array(name: str) -> np.ndarray:
        return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    beside = torch.from_numpy(np.array(array("beside"))) if (folder / "beside.npy").is_file() else None
    targets, weights = (torch.from_numpy(np.array(array(name))) for name in ("targets", "weights"))
    return ImageRows(array("pictures"), targets, weights, beside)


def _run(folder: Path, count: int) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    common["LOCAL_WORLD_SIZE"] = str(count)
    if not torch.cuda.is_available():
        common["ACCELERATE_USE_CPU"] = "true"
    crew = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", __name__, str(folder)],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(count)
    ]
    try:
        ended = [process.wait() for process in crew]
    finally:
        for process in crew:
            process.kill()
    if any(ended):
        raise Failure(
            "a process of those that train together failed",
            code="training-failed",
            got=f"exit status {next(status for status in ended if status)}",
            fix=f"{PROCESSES}=1 trains in one process",
        )


def work(folder: Path) -> None:
    """Train as one of a crew."""
    from volant.neural.image.building import build
    from volant.neural.image.training import Circumstances, train

    job = json.loads((folder / "job.json").read_bytes())
    rows = _read(folder / "rows")
    assert rows is not None
    design = Design(**{**job["design"], "widths": tuple(job["design"]["widths"])})
    augmentation = Augmentation(
        **{**job["recipe"]["augmentation"], "names": tuple(job["recipe"]["augmentation"]["names"])}
    )
    recipe = replace(Recipe(**job["recipe"]), augmentation=augmentation)
    crew = crew_here()
    with torch_threads(max(1, job["threads"] // crew.size)):
        network = build(design, rows, job["outputs"], job["seed"], _begun(folder))
        at = Circumstances(job["seconds"] or math.inf, Silent(), folder / "learning", crew)
        found = train(network, rows, _read(folder / "held_out"), job["kind"], recipe, at)
        weights = {name: whole(value).cpu().contiguous() for name, value in network.state_dict().items()}
    if crew.rank == 0:
        _write_weights(folder / "weights.safetensors", weights)
        (folder / "trained.json").write_text(json.dumps(asdict(found)))
    crew.wait()


if __name__ == "__main__":
    work(Path(sys.argv[1]))
