"""Everything that the report tells of how a network for pictures sees."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volant.core.protocols import Rows, Task
from volant.core.records import Problem
from volant.evaluate.pictures.heat import grad_cam, integrated_gradients, overlaid, signed
from volant.evaluate.pictures.maps import mapped
from volant.evaluate.pictures.network import PictureNetwork
from volant.evaluate.pictures.robust import STEPS, attacked, corrupted
from volant.evaluate.pictures.views import views

SHAKEN, ATTACKED, MAPPED, SHOWN = 500, 200, 1_000, 10
"""Rows that are corrupted, attacked, laid on a map, and shown with what the network looks at."""
PIXELS = 96
"""Side of a picture on a sheet."""


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


def study(folder: Path, rows: Rows, task: Task, problem: Problem, seed: int) -> dict[str, Any] | None:
    """What a release's network sees in rows that it was not trained on; None where no network takes pixels.

    Numbers are studied by sheets and maps alone: views, corruption and attacks are told in accuracy.
    """
    network = PictureNetwork.of(folder)
    if network is None or not len(rows):
        return None
    places = np.linspace(0, len(rows) - 1, min(MAPPED, len(rows))).astype(np.int64)
    some = rows.take(places)
    pixels, *others = network.inputs(some)
    seen = Seen(pixels, tuple(others), task.encode(some, problem))
    found: dict[str, Any] = {"shape": list(pixels.shape[1:]), "rows": len(some), "classes": list(problem.classes)}
    if problem.classes:
        few, fewer = seen.evenly(SHAKEN), seen.evenly(ATTACKED)
        found["views"] = _records(views(network, few.pixels, few.others, few.truth))
        found["corrupted"] = _records(corrupted(network, few.pixels, few.others, few.truth, seed))
        attacks = [
            one for steps in (1, STEPS) for one in attacked(network, fewer.pixels, fewer.others, fewer.truth, steps)
        ]
        found["attacked"] = _records(attacks)
        found["worst"] = _worst(network, seen, problem.classes)
    found["heat"] = _heat(network, seen.evenly(SHOWN))
    features = network.features(seen.pixels, seen.others)
    found["maps"] = {
        name: {"places": np.round(at, 3).tolist(), "truth": seen.truth.tolist()}
        for name, at in mapped(features, seed).items()
    }
    return found


def _records(listed: Sequence[Any]) -> list[dict[str, Any]]:
    return [asdict(one) for one in listed]


def _worst(network: PictureNetwork, seen: Seen, classes: Sequence[str]) -> dict[str, Any]:
    """The pictures whose truth the network held least likely."""
    said = network.said(seen.pixels, seen.others)
    truth = said[np.arange(len(said)), seen.truth]
    worst = np.argsort(truth, kind="stable")[:SHOWN]
    told = [
        {"truth": classes[seen.truth[i]], "said": classes[int(said[i].argmax())], "chance": round(float(truth[i]), 4)}
        for i in worst
    ]
    return {"sheet": picture([seen.pixels[worst]]), "told": told}


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
    """Lines of pictures (n, height, width, channels) as one PNG, in the form of a `data:` URL."""
    from PIL import Image

    coloured = [np.broadcast_to(line, (*line.shape[:3], 3)) if line.shape[3] == 1 else line for line in lines]
    whole = np.concatenate([np.concatenate(list(line), axis=1) for line in coloured], axis=0)
    scale = max(1, round(PIXELS / coloured[0].shape[1]))
    image = Image.fromarray(np.ascontiguousarray(whole.repeat(scale, axis=0).repeat(scale, axis=1)))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
