"""What a picture looks like at a glance: its size and format, how bright it is, its border, and a fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from volant.columns.media import over_files
from volant.columns.pictures import FORMATS, exif, has_place, opened, orientation
from volant.columns.pixels import Form, key_of, pixels
from volant.core.clock import Machine

VERSION = 1
SIDE, SMALL = 32, 16
"""Pixels of the square that is looked at, and of the shades that are kept of it."""

BORDER = 2
_FORM = Form(SIDE, SIDE)
_NAMES = ("width", "height", "format", "bytes", "turned", "place", "metadata", "spread", "border_spread")
_SINGLE = len(_NAMES)
_COLOURS = 6
WIDTH = _SINGLE + _COLOURS + SMALL * SMALL
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Looks:
    """What pictures look like, one entry per row, NaN where the picture is missing.

    `width` and `height` are pixels as stored, `format` a place in `FORMATS`, `bytes` the size of the file; `turned` the
    EXIF orientation, `place` whether it tells where the picture was taken, `metadata` how many entries it has. `spread`
    is the standard deviation of the shades, `border_spread` that of the border. `colour` and `border` (n, 3) are means
    of red, green and blue from 0 to 255; `shades` (n, 16, 16) is the picture in grey.
    """

    width: np.ndarray
    height: np.ndarray
    format: np.ndarray
    bytes: np.ndarray
    turned: np.ndarray
    place: np.ndarray
    metadata: np.ndarray
    spread: np.ndarray
    border_spread: np.ndarray
    colour: np.ndarray
    border: np.ndarray
    shades: np.ndarray

    @property
    def brightness(self) -> np.ndarray:
        """The mean shade, (n,), from 0 to 255."""
        return np.asarray(self.colour @ _LUMA)

    @property
    def known(self) -> np.ndarray:
        """Where there is a picture, bool (n,)."""
        return ~np.isnan(self.width)


def looks_of(cells: np.ndarray) -> Looks:
    """What the pictures in cells (n,) look like. What was looked at before is remembered with the file."""
    table = np.full((len(cells), WIDTH), np.nan, dtype=np.float32)
    places, found = over_files(cells, key_of(f"looks {VERSION}", {}), _many)
    if len(places):
        table[places] = found
    single = {name: table[:, i].astype(np.float64) for i, name in enumerate(_NAMES)}
    colours = table[:, _SINGLE : _SINGLE + _COLOURS].astype(np.float64)
    shades = table[:, _SINGLE + _COLOURS :].reshape(-1, SMALL, SMALL)
    return Looks(**single, colour=colours[:, :3], border=colours[:, 3:], shades=shades)


def _many(files: Sequence[bytes]) -> np.ndarray:
    threads = min(4, Machine.here().cores)
    with ThreadPoolExecutor(threads) as pool:
        return np.stack(list(pool.map(_one, files, chunksize=16)))


def _one(data: bytes) -> np.ndarray:
    image: Any = opened(data)
    rgb = pixels(data, _FORM).astype(np.float64)
    grey = rgb @ _LUMA
    edge = np.ones((SIDE, SIDE), dtype=bool)
    edge[BORDER:-BORDER, BORDER:-BORDER] = False
    single = [
        *image.size,
        list(FORMATS).index("PNM" if image.format == "PPM" else image.format),
        len(data),
        orientation(image),
        has_place(image),
        len(exif(image)),
        grey.std(),
        grey[edge].std(),
    ]
    colours = [*rgb.mean(axis=(0, 1)), *rgb[edge].mean(axis=0)]
    shades = grey.reshape(SMALL, SIDE // SMALL, SMALL, SIDE // SMALL).mean(axis=(1, 3))
    return np.concatenate([single, colours, shades.ravel()]).astype(np.float32)
