"""Writes the handwritten digits that scikit-learn brings along as pictures, a folder per digit.

python examples/digits/prepare.py [FOLDER]

`pictures` holds 400 to begin with, `later` the others, for users to send.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
FIRST = 400


def prepare(folder: Path) -> None:
    """Write `pictures/0/…` to `pictures/9/…`, and `later` likewise."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    for place, number in enumerate(order):
        part = folder / ("pictures" if place < FIRST else "later") / str(digits.target[number])
        part.mkdir(parents=True, exist_ok=True)
        shades = np.rint(digits.images[number] * (255 / 16)).astype(np.uint8)  # they come as 0 to 16
        Image.fromarray(shades).save(part / f"{number:04}.png")


if __name__ == "__main__":
    prepare(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
