"""Small pictures that tests share."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def encoded(pixels: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file with these pixels."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def picture(seed: int = 0, height: int = 12, width: int = 16) -> bytes:
    """A PNG of coloured noise."""
    return encoded(np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8))


def bars(tall: bool, seed: int, side: int = 16) -> np.ndarray:
    """A bright bar on a dark, noisy ground: upright or lying."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 40, (side, side, 3), dtype=np.uint8)
    place = int(rng.integers(2, side - 5))
    if tall:
        pixels[:, place : place + 3] = 220
    else:
        pixels[place : place + 3] = 220
    return pixels


def folder_of_bars(folder: Path, each: int = 60) -> Path:
    """A folder of photographs with the classes `lying` and `upright`."""
    for tall, name in ((False, "lying"), (True, "upright")):
        (folder / name).mkdir(parents=True)
        for i in range(each):
            (folder / name / f"{i:04d}.png").write_bytes(encoded(bars(tall, 2 * i + tall)))
    return folder


def folder_of_digits(folder: Path, count: int, start: int = 0) -> Path:
    """A folder of photographs of handwritten digits, a folder per digit."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))[start : start + count]
    for i in order:
        place = folder / str(found.target[i])
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.png").write_bytes(digit(found.images[i]))
    return folder


def digit(shades: np.ndarray) -> bytes:
    """A handwritten digit of scikit-learn's, 8 × 8 shades from 0 to 16, as PNG."""
    return encoded((shades * 15.9375).round().astype(np.uint8))
