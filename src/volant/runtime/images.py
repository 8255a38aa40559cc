"""Steps from the bytes of pictures to arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from volant.columns.descriptors import described
from volant.columns.media import over_files
from volant.columns.pixels import Form, key_of, many

if TYPE_CHECKING:
    from volant.runtime.steps import Making

Run = Callable[..., np.ndarray]


def _decode_image(of: Making) -> Run:
    """Pictures (n,) to uint8 (n, `height`, `width`, `channels`): see `columns.pixels.Form`; missing ones are `fill`."""
    form, key = Form(**of.params), key_of("decode_image", of.params)

    def make(files: Sequence[bytes]) -> np.ndarray:
        return many(files, form, of.threads)

    def run(cells: np.ndarray) -> np.ndarray:
        places, decoded = over_files(cells, key, make)
        if len(places) == len(cells) and len(cells):
            return decoded
        out = np.full((len(cells), *form.shape), form.fill, dtype=np.uint8)
        if len(places):
            out[places] = decoded
        return out

    return run


def _normalise(of: Making) -> Run:
    """Pixels uint8 (n, h, w, c) to float32 (n, c, h, w): over 255, minus `mean`, over `spread`, one per channel."""
    mean = np.asarray(of.params["mean"], dtype=np.float64)
    spread = np.asarray(of.params["spread"], dtype=np.float64)
    table = ((np.arange(256)[:, None] / 255.0 - mean) / spread).astype(np.float32)

    def run(x: np.ndarray) -> np.ndarray:
        out = np.empty((len(x), x.shape[3], *x.shape[1:3]), dtype=np.float32)
        for channel in range(x.shape[3]):
            np.take(table[:, channel], x[..., channel], out=out[:, channel])
        return out

    return run


def _describe_image(of: Making) -> Run:
    """Pictures (n,) to float32 (n, `descriptors.WIDTH`), looked at as `side` × `side` pixels; NaN where missing."""
    side, mode = int(of.params["side"]), str(of.params["mode"])
    return lambda cells: described(cells, side, mode, of.threads)


IMAGES: dict[str, Callable[[Making], Run]] = {
    "decode_image": _decode_image,
    "describe_image": _describe_image,
    "normalise": _normalise,
}
