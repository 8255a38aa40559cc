"""Everything that the report tells of how a network for pictures sees."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volant.bind.threads import blas_threads
from volant.core.protocols import Rows, Task
from volant.core.records import Problem
from volant.evaluate.pictures.heat import grad_cam, integrated_gradients, overlaid, signed
from volant.evaluate.pictures.maps import mapped
from volant.evaluate.pictures.network import PictureNetwork
from volant.evaluate.pictures.robust import CORRUPTIONS, REACHES, SEVERITIES, STEPS, attacked, corrupted
from volant.evaluate.pictures.views import views

SHAKEN, ATTACKED, MAPPED, SHOWN = 500, 200, 1_000, 10
"""Rows that are corrupted, attacked, laid on a map, and shown with what the network looks at."""
SECONDS, FEWEST, TRIED = 15.0, 40, 32
"""What corruptions, and what attacks, may take; rows at the least; rows that are timed."""
PIXELS, GAP = 96, 4
"""Side of a picture on a sheet, and what is white between two of them."""


@dataclass(frozen=True)
class Seen:
    """Rows of a kind: pixels, what else flows in, and the truth."""

    pixels: np.ndarray
    others: tuple[np.ndarray, ...]
    truth: np.ndarray

    def take(self, places: np.ndarray) -> Seen:
        """Some of the rows."""
        return Seen(self.pixels[places], tuple(x[places] for x in self.others), self.truth[places])

    def evenly(self, most: int) -> Seen:
        """At most so many rows, evenly from all of them."""
        return self.take(np.linspace(0, len(self.truth) - 1, min(most, len(self.truth))).astype(np.int64))


def study(
    folder: Path,
    rows: Rows,
    task: Task,
    problem: Problem,
    seed: int,
    *,
    augment: str | None = None,
    learned: Rows | None = None,
    threads: int = 1,
) -> dict[str, Any] | None:
    """What a release's network sees in rows that it was not trained on; None where no network takes pixels.

    Numbers are studied by sheets and maps alone: views, corruption and attacks are told in accuracy.

    Args:
        folder: of the release.
        rows: that it has not seen.
        task: that it solves.
        problem: that it was trained for.
        seed: of whatever is drawn.
        augment: how its pictures were changed while it learned, as a learner's option says it.
        learned: rows that it was trained on, by which it was decided whether pictures are mirrored.
        threads: that are used.
    """
    network = PictureNetwork.of(folder)
    if network is None or not len(rows):
        return None
    from volant.neural.loop import torch_threads

    places = np.linspace(0, len(rows) - 1, min(MAPPED, len(rows))).astype(np.int64)
    some = rows.take(places)
    with torch_threads(threads), blas_threads(threads):
        pixels, *others = network.inputs(some, threads)
        seen = Seen(pixels, tuple(others), task.encode(some, problem))
        by = seen if augment is None or not learned else _seen(network, learned, task, problem, threads)
        return _studied(network, seen, problem, seed, augment, by)


def _seen(network: PictureNetwork, learned: Rows, task: Task, problem: Problem, threads: int) -> Seen:
    """Those training rows that mirroring was decided by, as the learner saw them."""
    from volant.neural.image.symmetry import MOST

    taught = learned.take(np.flatnonzero(learned.weights() > 0))
    some = taught.take(np.linspace(0, len(taught) - 1, min(MOST, len(taught))).astype(np.int64))
    pixels, *others = network.inputs(some, threads)
    return Seen(pixels, tuple(others), task.encode(some, problem))


def _studied(
    network: PictureNetwork, seen: Seen, problem: Problem, seed: int, augment: str | None, by: Seen
) -> dict[str, Any]:
    found: dict[str, Any] = {"shape": list(seen.pixels.shape[1:]), "rows": len(seen.truth)}
    found["classes"] = list(problem.classes)
    if problem.classes:
        per_row = _seconds(network, seen)
        few, fewer = (seen.evenly(most) for most in _possible(per_row))
        found["views"] = _records(views(network, few.pixels, few.others, few.truth))
        found["corrupted"] = _records(corrupted(network, few.pixels, few.others, few.truth, seed))
        attacks = [
            one for steps in (1, STEPS) for one in attacked(network, fewer.pixels, fewer.others, fewer.truth, steps)
        ]
        found["attacked"] = _records(attacks)
        found["plain"] = {"corrupted": _accuracy(network, few), "attacked": _accuracy(network, fewer)}
    found["heat"] = _heat(network, seen.evenly(SHOWN))
    if augment is not None:
        found["augmented"] = _augmented(seen, by, augment, problem, seed)
    features = network.features(seen.pixels, seen.others)
    found["maps"] = {
        name: {"places": np.round(at, 3).tolist(), "truth": seen.truth.tolist()}
        for name, at in mapped(features, seed).items()
    }
    return found


def _accuracy(network: PictureNetwork, seen: Seen) -> float:
    """On rows as they are, beside which their changed ones are drawn."""
    return float((network.said(seen.pixels, seen.others).argmax(axis=1) == seen.truth).mean())


def _seconds(network: PictureNetwork, seen: Seen) -> float:
    """How long the network takes for one picture."""
    few = seen.evenly(TRIED)
    network.said(few.pixels[:1], [x[:1] for x in few.others])
    began = time.monotonic()
    network.said(few.pixels, few.others)
    return (time.monotonic() - began) / len(few.truth)


def _possible(per_row: float) -> tuple[int, int]:
    """Rows that there is time to corrupt, and to attack: each step of an attack goes back through the network too."""
    once, back = len(CORRUPTIONS) * len(SEVERITIES) + 6, 3 * len(REACHES) * (STEPS + 1)
    seconds = max(per_row, 1e-9)
    return (
        min(SHAKEN, max(FEWEST, int(SECONDS / (seconds * once)))),
        min(ATTACKED, max(FEWEST, int(SECONDS / (seconds * back)))),
    )


def _records(listed: Sequence[Any]) -> list[dict[str, Any]]:
    return [asdict(one) for one in listed]


def _augmented(seen: Seen, learned: Seen, augment: str, problem: Problem, seed: int) -> dict[str, Any]:
    """A sheet of pictures, and below each what it may look like to a network that learns."""
    from volant.neural.image.design import Augmentation, augmentation
    from volant.neural.image.rows import ImageRows, sheet
    from volant.neural.image.symmetry import mirror_keeps

    names = augmentation(augment, min(seen.pixels.shape[1:3]), bool(problem.classes))
    if not (problem.classes and mirror_keeps(learned.pixels, learned.truth)):
        names = tuple(name for name in names if name != "flip")
    few = seen.evenly(SHOWN)
    rows = ImageRows.of(few.pixels, few.truth, np.ones(len(few.truth)), len(problem.classes))
    drawn = sheet(rows, Augmentation(names), seed, across=SHOWN)
    height, width, channels = few.pixels.shape[1:]
    lines = drawn.reshape(-1, height, len(few.truth), width, channels).swapaxes(1, 2)
    return {"sheet": picture(list(lines)), "names": list(names)}


def _heat(network: PictureNetwork, few: Seen) -> dict[str, Any]:
    """A sheet of pictures, below each where the network looked, and below that what speaks for and against."""
    lines, names = [few.pixels], ["picture"]
    looked = grad_cam(network, few.pixels, few.others)
    if looked is not None:
        lines.append(overlaid(few.pixels, looked))
        names.append("Grad-CAM")
    lines.append(signed(integrated_gradients(network, few.pixels, few.others)))
    names.append("integrated gradients")
    return {"sheet": picture(lines), "lines": names}


def picture(lines: Sequence[np.ndarray]) -> str:
    """Lines of pictures (n, height, width, channels) as one PNG, with gaps, in the form of a `data:` URL."""
    from PIL import Image

    coloured = [np.broadcast_to(line, (*line.shape[:3], 3)) if line.shape[3] == 1 else line for line in lines]
    scale = max(1, round(PIXELS / coloured[0].shape[1]))
    larger = [line.repeat(scale, axis=1).repeat(scale, axis=2) for line in coloured]
    framed = [np.pad(line, ((0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255) for line in larger]
    whole = np.concatenate([np.concatenate(list(line), axis=1) for line in framed], axis=0)
    image = Image.fromarray(np.ascontiguousarray(whole[:-GAP, :-GAP]))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
