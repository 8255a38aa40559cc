"""The digits: what is labelled to begin with, what users see round by round, and what stays hidden."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LABELLED, HIDDEN = 150, 500
TARGET = "digit"

PIXELS = tuple(f"p{row}{column}" for row in range(8) for column in range(8))

SETTINGS = """
[data.split]
judge = 0.4
test = 0.0

[train]
budget = "{budget}"
learners = ["linear"]
seed = {seed}

[feedback]
audit = 1.0

[columns]
{columns}
"""


def settings(budget: str, seed: int) -> str:
    """What the demonstration puts into its product file in place of what `volant new` inferred.

    The test set lies outside the product. Users answer whatever they are shown, so every prediction is an
    audit. With a budget of work the story is the same on every machine; of the built-in learners the linear
    one suits drawings this small best. A pixel is a number, even one that 150 drawings show in two shades only.
    """
    columns = "\n".join(f'{name} = {{ type = "number" }}' for name in PIXELS)
    return SETTINGS.format(budget=budget, seed=seed, columns=columns)


@dataclass(frozen=True)
class Drawings:
    """Drawings of digits: 64 shades of grey each, as a service is sent them, and what they show."""

    rows: tuple[dict[str, int], ...]
    truths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def write(self, path: Path) -> None:
        """Write them as CSV, the digit in the column `digit`."""
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, [*self.rows[0], TARGET])
            writer.writeheader()
            writer.writerows({**row, TARGET: truth} for row, truth in zip(self.rows, self.truths, strict=True))


@dataclass(frozen=True)
class Digits:
    """The three parts, disjoint: drawings with labels, drawings that users will see, and the hidden test set."""

    labelled: Drawings
    rounds: tuple[Drawings, ...]
    hidden: Drawings


def digits(rounds: int, seed: int) -> Digits:
    """The handwritten digits of scikit-learn, shuffled and divided.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(seed).permutation(len(found.target))
    stream = np.array_split(order[LABELLED + HIDDEN :], rounds)
    labelled, hidden, *shown = (
        _drawings(found.data[places], found.target[places])
        for places in (order[:LABELLED], order[LABELLED : LABELLED + HIDDEN], *stream)
    )
    return Digits(labelled, tuple(shown), hidden)


def _drawings(shades: np.ndarray, shown: np.ndarray) -> Drawings:
    rows = tuple(dict(zip(PIXELS, map(int, one), strict=True)) for one in shades)
    return Drawings(rows, tuple(str(value) for value in shown))
