"""Learning the logarithm of a skewed number: rows whose target is its logarithm, and the step that undoes it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.core.protocols import Rows
from volant.core.records import Pipeline, Step
from volant.search.views import WithTarget

SKEWED = 1.0
"""Skewness from which on the logarithm of a target is tried."""


@dataclass(frozen=True)
class Logarithm:
    """log(y + `offset`). Answers are cut to [`low`, `high`]; `factor` makes their mean right.

    The exponential of a mean logarithm is too low. Source: Duan, Smearing Estimate (1983), here as one factor
    for all rows, the ratio of the sums of truths and of answers.
    """

    offset: float
    low: float
    high: float
    factor: float | None = None

    @staticmethod
    def fitting(target: np.ndarray) -> Logarithm | None:
        """The logarithm worth trying for a target (n,), or None where it is negative or not skewed."""
        y = target[np.isfinite(target)]
        if len(y) < 50 or y.min() < 0 or y.std() == 0:
            return None
        offset = 0.0 if y.min() > 0 else float(np.mean(y)) / 100
        if not (skewness(y) > SKEWED and abs(skewness(np.log(y + offset))) < skewness(y)):
            return None
        room = 0.1 * float(y.max() - y.min())
        return Logarithm(offset, max(0.0, float(y.min()) - room), float(y.max()) + room)

    def rows(self, data: Rows, target: str) -> Rows:
        """The rows with the logarithm of their target."""
        values = data.table([target]).column(0).combine_chunks().cast(pa.float64())
        return WithTarget(data, target, pc.ln(pc.add(values, self.offset)))

    def finish(self, pipeline: Pipeline, output: str) -> Pipeline:
        """The pipeline with its answer as a number again; without a `factor` it is 1."""
        params = {"factor": self.factor or 1.0, "offset": self.offset, "low": self.low, "high": self.high}
        step = Step("exp", (pipeline.outputs[output],), f"{output}_exp", params)
        return replace(pipeline, steps=(*pipeline.steps, step), outputs={output: step.output})

    def right_factor(self, predicted: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> float:
        """The factor that makes the answers of held-out rows right on the whole, within reason."""
        given = float(weights @ (predicted + self.offset))
        wanted = float(weights @ (truth + self.offset))
        return float(np.clip(wanted / given, 0.5, 2.0)) if given > 0 and np.isfinite(given) else 1.0


def skewness(y: np.ndarray) -> float:
    """The third standardised moment. Numbers are scaled first: the cubes of large ones would overflow."""
    largest = float(np.abs(y).max(initial=0.0))
    if not largest > 0:
        return 0.0
    scaled = y / largest
    spread = float(scaled.std())
    return float((((scaled - scaled.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0
