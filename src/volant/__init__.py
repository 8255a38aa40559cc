"""volant: from raw data to a model-powered product that gets better with every user and never worse."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from volant.wheel.handle import ProductHandle

__version__ = "0.1.0"
__all__ = ["__version__", "open"]


def open(path: str | Path = ".") -> ProductHandle:
    """Open the product in a folder: the stages of the wheel as methods.

    >>> product = volant.open("churn")  # doctest: +SKIP
    >>> product.train()  # doctest: +SKIP
    """
    from volant.wheel.handle import ProductHandle

    return ProductHandle.at(path)
