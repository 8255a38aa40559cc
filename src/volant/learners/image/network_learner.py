"""What the learners of pictures by torch share as learners: what they need, what they take, what a fit costs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from volant.core.clock import Machine
from volant.core.plugins import missing
from volant.core.protocols import Earlier, Rows, RunContext
from volant.core.records import Cost, Problem, Support
from volant.learners.image.decoding import looked_at, picture_support
from volant.learners.image.fitting import Fitting
from volant.learners.image.network_fit import ImageModel, fit_images, resume_images

FLOPS = 6e10
"""Floating-point operations per second and core, as measured on small processors."""
IMPORT, DECODING = 3.0, 1e-4
"""Seconds until torch is there, which the first fit of a process waits for, and for decoding a small picture."""
DECODED = 64 * 64
"""Pixels of a file up to which decoding it is no more work than opening it."""


Options = TypeVar("Options")


class PictureNetwork:
    """A learner of pictures by torch, which says by `fitting` what its options mean; they stay as they are given."""

    ways = ("warm",)

    def fitting(self, data: Rows, problem: Problem, options: Any, context: RunContext) -> Fitting:
        """What is built and how it learns, as these options ask for it."""
        raise AssertionError("each learner has its own options")

    def fit(self, data: Rows, problem: Problem, options: Any, context: RunContext) -> ImageModel:
        return fit_images(data, problem, self.fitting(data, problem, options, context), context)

    def keep(self, model: ImageModel, folder: Path) -> None:
        model.keep(folder)

    def resume(self, earlier: Earlier, data: Rows, problem: Problem, options: Any, context: RunContext) -> ImageModel:
        return resume_images(earlier, data, problem, self.fitting(data, problem, options, context), context)

    def missing(self) -> str:
        return missing("torch", "neural")

    def supports(self, problem: Problem) -> Support:
        return picture_support(problem, self.missing())

    def settle(self, options: Options, facts: Sequence[Mapping[str, Any]]) -> Options:
        return options

    def wake(self) -> None:
        """Import what every fit needs, so that no fit's time goes into it."""
        import volant.neural.image.building
        import volant.neural.image.export  # noqa: F401


def image_cost(problem: Problem, machine: Machine, per_row: float, weights: float, epochs: float) -> Cost:
    """What one fit takes whose network does `per_row` operations for a picture and holds `weights` numbers."""
    cores = max(machine.cores, 1) ** 0.9
    height, width = looked_at(problem)
    waiting = 0.0 if "torch" in sys.modules else IMPORT
    decoding = DECODING * min(max(1.0, problem.picture[0] * problem.picture[1] / DECODED), 1_000.0)
    each = decoding / cores + 3.0 * epochs * per_row / (FLOPS * cores)
    room = 3.0 * max(height * width, 64 * 64) * problem.rows
    return Cost(seconds=waiting + problem.rows * each, bytes=int(1.2e9 + 16 * weights + room))
