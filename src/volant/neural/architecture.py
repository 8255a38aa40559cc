"""What a network for tables is made of, said without torch, so that learners can say it wherever they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Inputs:
    """What lies where in a matrix: numbers, plain columns, then one code for each of `sizes`, in [0, size).

    The last code of a column stands for what is missing.
    """

    numbers: int
    plain: int
    sizes: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        return self.numbers + self.plain + len(self.sizes)


@dataclass(frozen=True)
class Architecture:
    """How a network is built: the widths of its layers, how many members share them, pieces per number.

    Codes of at most `one_hot` values become one column each, those of more are embedded.
    """

    layers: tuple[int, ...]
    members: int = 1
    pieces: int = 0
    activation: str = "relu"
    one_hot: int = 10


@dataclass(frozen=True)
class Training:
    """How a network learns; see `volant.neural.loop.Plan` for `epochs` to `until` and for `average`.

    Where rates go `by_width`, `rate` and `decay` are those of a layer with one input, and one with d inputs has
    `rate` / √d and `decay` · √d: that is how networks of any width learn alike.

    Source: Jacot et al., Neural Tangent Kernel (NeurIPS 2018).
    """

    epochs: int
    batch: int
    patience: float
    until: float
    rate: float
    decay: float
    dropout: float
    average: float = 0.0
    by_width: bool = True
