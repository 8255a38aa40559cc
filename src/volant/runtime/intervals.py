"""Steps that put an interval around a predicted number."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from volant.runtime.steps import Making

Run = Callable[..., np.ndarray]


def _interval_end(of: Making) -> Run:
    """Values (n,) and, where the end varies, margins (n, k) to one end of an interval, float64 (n,).

    The end is the value plus `shift`, plus `factor` times the margin of `column` (its exponential where
    `exponential`). A `side` of `low` never lies above the value, nor below `floor` where the value does not; one of
    `high` never lies below the value.
    """
    shift, factor = float(of.params["shift"]), float(of.params["factor"])
    column, exponential = int(of.params["column"]), bool(of.params["exponential"])
    is_low, floor = of.params["side"] == "low", of.params.get("floor")

    def run(value: np.ndarray, *margins: np.ndarray) -> np.ndarray:
        end = value.astype(np.float64) + shift
        if margins:
            margin = margins[0][:, column].astype(np.float64)
            end = end + factor * (np.exp(margin) if exponential else margin)
        if not is_low:
            return np.asarray(np.maximum(end, value))
        return np.asarray(np.minimum(end if floor is None else np.maximum(end, floor), value))

    return run


INTERVALS: dict[str, Callable[[Making], Run]] = {"interval_end": _interval_end}
