"""What a network for pictures is made of and how it learns, said without torch, as learners say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

GEOMETRIC = ("crop", "flip", "zoom", "rotate")
LOOKS = ("colour", "randaugment", "erase")
MIXED = ("mixup", "cutmix")
NAMES = (*GEOMETRIC, *LOOKS, *MIXED)
"""Ways to augment pictures."""
PRESETS: dict[str, tuple[str, ...]] = {
    "none": (),
    "light": ("crop", "flip"),
    "photographs": ("flip", "zoom", "colour"),
    "standard": ("crop", "flip", "zoom", "colour", "erase"),
    "strong": ("crop", "flip", "zoom", "rotate", "randaugment", "erase", "mixup", "cutmix"),
}
"""What each preset is made of."""


OPTIMISERS = ("adamw", "sgd", "muon")
SCHEDULES = ("one_cycle", "cosine", "linear", "constant")

SMALL = 48
"""Side in pixels up to which pictures are small: they stay as large as they are, and lose what is cut off."""


def augmentation(asked: str, side: int, classes: bool) -> tuple[str, ...]:
    """What is done to pictures of a side when this is asked for; `auto` is the usual, and numbers are not mixed."""
    names = chosen(("light" if side <= SMALL else "photographs") if asked == "auto" else asked)
    return names if classes else tuple(name for name in names if name not in MIXED)


def chosen(asked: str | Sequence[str]) -> tuple[str, ...]:
    """The names behind a preset, or those of a list (with commas where it is a text).

    Raises:
        ValueError: one of them is unknown.
    """
    if isinstance(asked, str):
        if asked in PRESETS:
            return PRESETS[asked]
        asked = [name.strip() for name in asked.split(",") if name.strip()]
    unknown = sorted(set(asked) - set(NAMES))
    if unknown:
        raise ValueError(f"no augmentation is called {unknown[0]!r}; there are {', '.join((*PRESETS, *NAMES))}")
    return tuple(name for name in NAMES if name in asked)


@dataclass(frozen=True)
class Augmentation:
    """What is done to pictures, and how strongly.

    Attributes:
        names: of what is done.
        shift: pixels that pictures are moved by at most, as a share of the side; what is left empty is a mirror.
        zoom: share of a picture's area that is shown at least.
        degrees: that it is turned by at most.
        hole: side of the square that is erased, as a share of the picture's.
        mixing: of Beta(mixing, mixing), by which two pictures are mixed.
    """

    names: tuple[str, ...] = ()
    shift: float = 1 / 16
    zoom: float = 0.4
    degrees: float = 15.0
    hole: float = 0.35
    mixing: float = 0.4

    def warps(self) -> bool:
        """Whether pixels are interpolated, not only moved."""
        return "zoom" in self.names or "rotate" in self.names


@dataclass(frozen=True)
class Design:
    """How a network is built.

    Attributes:
        kind: `convnet`, `cnn`, `resnet`, `vit` or `backbone`.
        widths: of its groups or layers; of a `vit` the width of its patches.
        depth: convolutions of each group of a `convnet`, layers of a `resnet` or `vit`.
        dropout: share of features (of branches in a `vit`) that is left out while training.
        mirrored: whether an answer is the mean of those for a picture and for its mirror image.
        source: folder or hub id of a `backbone`.
    """

    kind: str
    widths: tuple[int, ...] = ()
    depth: int = 2
    dropout: float = 0.0
    mirrored: bool = False
    source: str = ""


@dataclass(frozen=True)
class Recipe:
    """How a network for pictures learns; see `volant.neural.loop.Plan` for `epochs` to `looks`.

    `quick` is the recipe of the quick network: Muon for filters, and steps of the rest by the sum of losses.
    `attacked` is how far pixels are moved against the network while it trains, of 255; 0 for not at all.
    `deeper` is what the rate of each layer of a pretrained network is multiplied with, from the head down.
    `l1` draws weights to zero. A `rate` of 0 is found by a short training before the real one. `schedule` is what
    rates follow, else the optimiser's usual one, after they rose in the share `warm_up`. `pieces` are the parts of a
    batch that are worked on one after another. `compiled` has torch compile the steps. `slower` is what all rates are
    multiplied with, in a training that goes on from another.
    """

    epochs: float
    batch: int
    rate: float
    decay: float = 0.0
    smoothing: float = 0.0
    until: float = 1.0
    patience: float = 1.0
    average: float = 0.0
    looks: int = 0
    quick: bool = False
    clip: float | None = None
    attacked: float = 0.0
    deeper: float = 1.0
    l1: float = 0.0
    optimiser: str = "adamw"
    schedule: str = ""
    warm_up: float = 0.0
    pieces: int = 1
    compiled: bool = False
    slower: float = 1.0
    augmentation: Augmentation = field(default_factory=Augmentation)
