"""What a fit of a network for pictures builds and how it learns, and what a later fit goes on from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volant.neural.image.design import Design, Recipe

WEIGHTS, ABOUT = "network.safetensors", "network.json"
"""Files of what is kept."""


@dataclass(frozen=True)
class Fitting:
    """What one fit builds, and how it learns.

    Attributes:
        designs: from small to large; with a deadline the largest is taken that can be trained in time, else the last.
        recipe: how it learns; with a batch of 0 rows as many steps as it needs are taken.
        augment: a preset, names with commas, or `auto`; `flip` is left out where a mirror changes what pictures show.
        side: of the pictures; 0 for one that fits them.
        most: side at the most, where it is chosen.
        mode: how pictures are brought to it.
        least: epochs that each design needs at least.
        mirrored: whether answers are means over mirror images, where these mean the same.
        tune: of a pretrained network: `frozen`, `layers` or `lora`, the latter with additions of rank `rank`.
        shrinks: whether pictures are made smaller where a deadline is too near to see enough of them.
        kind: what is learned: `classes`, `labels` or `number`.
    """

    designs: tuple[Design, ...]
    recipe: Recipe
    augment: str
    side: int = 0
    most: int = 224
    mode: str = "stretch"
    least: tuple[float, ...] = (0.0,)
    mirrored: bool = False
    tune: str = ""
    rank: int = 0
    shrinks: bool = False
    kind: str = "classes"


@dataclass(frozen=True)
class Learned:
    """What a network ended with, so that another goes on from it.

    Attributes:
        design: how it is built.
        batch: rows of a step, with which `rate` was right.
        rate: of the learning.
        epochs: that were made from the beginning on, without those of fits that went on.
        augmented: names of what was done to the pictures.
        state: numbers by the names of torch; of a pretrained network whose features stay as they are only the others.
    """

    design: Design
    batch: int
    rate: float
    epochs: float
    augmented: tuple[str, ...]
    state: Mapping[str, np.ndarray]

    def write(self, folder: Path, beside: Mapping[str, Any]) -> None:
        """Write it down, and plain facts beside it."""
        from safetensors.numpy import save_file

        save_file({name: np.ascontiguousarray(value) for name, value in self.state.items()}, folder / WEIGHTS)
        about = {name: value for name, value in vars(self).items() if name not in ("design", "state")}
        (folder / ABOUT).write_text(json.dumps({**about, "design": asdict(self.design), "beside": dict(beside)}))


def learned_in(folder: Path) -> tuple[Learned, dict[str, Any]]:
    """What lies in a folder, and the facts beside it."""
    from safetensors.numpy import load_file

    about = json.loads((folder / ABOUT).read_bytes())
    beside = about.pop("beside")
    given = about.pop("design")
    design = Design(**{**given, "widths": tuple(given["widths"])})
    augmented = tuple(about.pop("augmented"))
    return Learned(**about, design=design, augmented=augmented, state=load_file(folder / WEIGHTS)), beside
