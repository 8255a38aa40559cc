"""Pictures to train on, as they lie in memory or in a file that is mapped into it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from volant.neural.feeding import Batch, Draw
from volant.neural.image.augment import looked, mixed, moved, moved_there, warped
from volant.neural.image.design import Augmentation

RESIDENT = 0.3
"""Share of a GPU's free memory that pixels may take for the whole of a training."""


@dataclass(frozen=True)
class ImageRows:
    """Pixels uint8 (n, height, width, channels), targets float32 (n, k), weights (n,), columns beside (n, m).

    Instead of pixels there may be what gives those of some places, for pictures that are decoded when they are needed.
    Targets of classes are probabilities, of labels 1, 0, or NaN where nobody has said; weights have the mean one.
    """

    pictures: np.ndarray
    targets: torch.Tensor
    weights: torch.Tensor
    beside: torch.Tensor | None = None

    @staticmethod
    def of(
        pictures: np.ndarray, y: np.ndarray, weights: np.ndarray, classes: int, beside: np.ndarray | None = None
    ) -> ImageRows:
        """Rows from arrays: y are class indices, or numbers where `classes` is 0, or labels (n, L), -1 for unknown."""
        if y.ndim == 2:
            targets = torch.from_numpy(np.where(y >= 0, y, np.nan).astype(np.float32))
        elif classes:
            targets = torch.nn.functional.one_hot(torch.from_numpy(y.astype(np.int64)), classes).float()
        else:
            targets = torch.from_numpy(y.astype(np.float32))[:, None]
        share = torch.from_numpy((weights / weights.mean()).astype(np.float32))
        others = None if beside is None else torch.from_numpy(np.ascontiguousarray(beside, dtype=np.float32))
        return ImageRows(pictures, targets, share, others)

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, places: np.ndarray) -> Batch:
        """Some rows as they are: pictures, targets, weights, and the columns beside."""
        at = torch.from_numpy(places)
        pictures = torch.from_numpy(np.ascontiguousarray(self.pictures[places]))
        return self._with_beside(pictures, self.targets[at], self.weights[at], at)

    def sample(self, most: int) -> torch.Tensor:
        """Some pictures, evenly from all of them."""
        places = np.linspace(0, len(self) - 1, min(most, len(self))).astype(np.int64)
        return torch.from_numpy(np.ascontiguousarray(self.pictures[places]))

    def _with_beside(
        self, pictures: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, at: torch.Tensor
    ) -> Batch:
        if self.beside is None:
            return pictures, targets, weights
        return pictures, targets, weights, self.beside[at]


class Augmented:
    """Rows whose pictures are augmented while they are fetched, a whole batch at a time, on the device that trains.

    On a GPU with room for all pixels they lie there from the beginning.

    With `flip`, each picture is mirrored in every other epoch, in the first one or in the second as chance has it:
    two epochs show both sides. Source: Jordan, 94% on CIFAR-10 in 3.29 Seconds (2024), section 3.6.
    """

    slow = True

    def __init__(self, rows: ImageRows, how: Augmentation, seed: int, device: torch.device | None = None) -> None:
        self.rows, self.how, self.device = rows, how, device or torch.device("cpu")
        self._there = resident(rows.pictures, self.device)
        self._side = np.random.default_rng(seed).integers(0, 2, len(rows)).astype(bool)

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, draw: Draw) -> Batch:
        places, how = draw.places.numpy(), self.how
        flipped = self._side[places] ^ bool(draw.epoch % 2) if "flip" in how.names else np.zeros(len(places), bool)
        if self.device.type == "cpu":
            pictures = torch.from_numpy(moved(self.rows.pictures, places, how, flipped, draw.dice))
        else:
            pictures = moved_there(self._taken(draw.places), how, flipped, draw.dice)
        if how.warps():
            pictures = warped(pictures, how, draw.dice)
        pictures = looked(pictures, how, draw.dice)
        targets = self.rows.targets[draw.places]
        pictures, targets = mixed(pictures, targets, how, draw.dice)
        return self.rows._with_beside(pictures, targets, self.rows.weights[draw.places], draw.places)

    def _taken(self, places: torch.Tensor) -> torch.Tensor:
        """The pictures at some places, on the device."""
        if self._there is not None:
            return self._there[places.to(self.device)]
        return torch.from_numpy(np.ascontiguousarray(self.rows.pictures[places.numpy()])).to(self.device)


def resident(pictures: np.ndarray, device: torch.device) -> torch.Tensor | None:
    """All pictures on a GPU, where they take no more than a share of what memory it has left."""
    if (
        device.type != "cuda"
        or not isinstance(pictures, np.ndarray)
        or pictures.nbytes > RESIDENT * torch.cuda.mem_get_info(device)[0]
    ):
        return None
    return torch.from_numpy(np.ascontiguousarray(pictures)).to(device)


def sheet(rows: ImageRows, how: Augmentation, seed: int, *, across: int = 8, down: int = 5) -> np.ndarray:
    """Some pictures (first row) and what augmentation makes of them below, as one picture uint8 (h, w, channels)."""
    from volant.neural.feeding import dice_at

    chosen = torch.linspace(0, len(rows) - 1, min(across, len(rows))).long()
    lines = [np.ascontiguousarray(rows.pictures[chosen.numpy()])]
    source = Augmented(rows, how, seed)
    for line in range(1, down):
        drawn = source.fetch(Draw(chosen, line, dice_at(seed, line)))[0]
        lines.append(drawn.clamp(0, 255).to(torch.uint8).numpy())
    return np.concatenate([np.concatenate(list(line), axis=1) for line in lines], axis=0)
