"""Pictures of rows as arrays of pixels: what size they are brought to, and where the arrays lie."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volant.columns.pictures import size_of
from volant.core.protocols import Rows
from volant.core.records import Pipeline, Problem, Step, Support
from volant.learners.image.undecoded import Undecoded, fits_on_disk
from volant.learners.tabular.features import usable
from volant.neural.image.design import SMALL
from volant.runtime.load import Runner

LOOKED_AT = 200
"""Pictures that are looked at for their size and colours."""
MOST_SIDE, UNKNOWN = 224, 32
"""Sides of pictures: at the most, and where nothing is known of them."""
IN_MEMORY = 2_000_000_000
"""Bytes of pixels up to which they stay in memory; more are mapped from a file."""
CHUNK = 1_024
PIXELS = "pixels"
"""The value of a pipeline that holds the pixels."""


def pictures(problem: Problem) -> tuple[str, ...]:
    """The names of the input columns that hold pictures."""
    return tuple(column.name for column in problem.inputs if column.type == "image")


def picture_support(problem: Problem, missing: str = "") -> Support:
    """Whether a network for pictures can take the problem; `missing` is the extra that it does not find."""
    found = pictures(problem)
    if not found:
        return Support(False, "none of the input columns is an image")
    if missing:
        return Support(False, f"it needs more to be installed: {missing}")
    if problem.task not in ("classify", "regress", "tag"):
        return Support(False, f"it does not learn the task {problem.task}")
    if any(column.monotone for column in problem.inputs):
        return Support(False, "it cannot promise that predictions are monotone in a column")
    if len(found) > 1:
        return Support(False, f"it looks at one picture per row, and there are {len(found)} columns of them")
    return Support(True)


def has_others(problem: Problem) -> bool:
    """Whether there are columns beside the picture that a network can use."""
    return bool(usable(problem))


def looked_at(problem: Problem) -> tuple[int, int]:
    """Height and width to which pictures of a problem are usually brought."""
    width, height = problem.picture
    if not (width and height):
        return UNKNOWN, UNKNOWN
    scale = min(1.0, fitting_side(min(width, height)) / min(width, height))
    return _whole(height * scale), _whole(width * scale)


@dataclass(frozen=True)
class Decoder:
    """How the pictures of a column become pixels uint8 (n, height, width, channels), in training as in serving."""

    column: str
    params: Mapping[str, Any]

    def step(self) -> Step:
        """The step of the pipeline."""
        return Step("decode_image", (self.column,), PIXELS, dict(self.params))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one picture."""
        return self.params["height"], self.params["width"], self.params["channels"]

    def at(self, side: int) -> Decoder:
        """The same for pictures whose shorter side is as long as that."""
        height, width, _ = self.shape
        scale = side / min(height, width)
        return Decoder(self.column, {**self.params, "height": _whole(height * scale), "width": _whole(width * scale)})

    def pixels(self, data: Rows, threads: int) -> np.ndarray | Undecoded:
        """The pixels of all rows, in memory or, where they are many, in a file that is mapped into it.

        Where the disk has no room for that file either, they are decoded whenever they are looked at.
        """
        size = float(np.prod((len(data), *self.shape), dtype=np.float64))
        if size > IN_MEMORY and not fits_on_disk(size):
            return Undecoded(data, self.step(), self.shape, threads)
        runner = Runner(Pipeline((self.step(),), {PIXELS: PIXELS}), Path(), threads)
        out = _room((len(data), *self.shape))
        for begin in range(0, len(data), CHUNK):
            some = data.take(np.arange(begin, min(begin + CHUNK, len(data))))
            out[begin : begin + len(some)] = runner.predict(some.batch([self.column]))[PIXELS]
        return out


def _room(shape: tuple[int, ...]) -> np.ndarray:
    """An array that nothing lies in yet; the file behind a large one has no name and goes when the array goes."""
    if np.prod(shape, dtype=np.float64) <= IN_MEMORY:
        return np.empty(shape, dtype=np.uint8)
    with tempfile.TemporaryFile(prefix="volant-pixels-") as file:
        return np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)


def decoder_for(
    data: Rows, column: str, side: int = 0, most: int = MOST_SIDE, mode: str = "stretch", *, square: bool = False
) -> Decoder:
    """The decoder for a column.

    Small pictures of one size keep it; larger ones are brought to `side` (0: a fitting one, `most` at the most), in
    the proportions that they have in common, or to squares. Where no picture has colours, only grey is looked at.
    """
    places = np.unique(np.linspace(0, len(data) - 1, min(LOOKED_AT, len(data))).astype(np.int64))
    cells = [cell for cell in data.take(places).batch([column])[column] if cell is not None]
    sizes = np.array([size_of(bytes(cell)) for cell in cells] or [(32, 32)], dtype=np.float64)
    width, height = np.median(sizes, axis=0)
    wanted = float(side) or min(fitting_side(min(width, height)), most)
    if square or not (sizes == sizes[0]).all():
        width = height = min(width, height)
    scale = min(1.0, wanted / min(width, height)) if not side else wanted / min(width, height)
    params = {
        "height": _whole(height * scale),
        "width": _whole(width * scale),
        "mode": mode,
        "channels": 3,
        "fill": 128,
    }
    found = Decoder(column, params)
    grey = bool(cells) and _is_grey(found, data.take(places))
    return Decoder(column, {**params, "channels": 1}) if grey else found


def fitting_side(side: float) -> float:
    """Of small pictures all pixels; of larger ones as many as tell what they show."""
    if side <= SMALL:
        return side
    return 64.0 if side <= 80 else 96.0 if side <= 160 else 128.0


def _whole(size: float) -> int:
    return max(4, round(size))


def _is_grey(decoder: Decoder, data: Rows) -> bool:
    pixels = decoder.pixels(data, 1)[np.arange(len(data))].astype(np.int16)
    return bool((np.abs(pixels - pixels[..., :1]) <= 2).all())
