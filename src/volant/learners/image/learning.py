"""How networks for pictures learn, as far as the product file may say it: options that their learners share."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from volant.core.records import Problem
from volant.neural.image.design import OPTIMISERS, SCHEDULES, Recipe, augmentation

SHARE = {"least": 0.0, "most": 1.0}
POSITIVE = {"least": 0.0}


def _complaint(asked: str) -> str:
    """What is wrong with an augmentation that is asked for, or nothing."""
    try:
        augmentation(asked, 0, True)
    except ValueError as cause:
        return str(cause)
    return ""


AUGMENTED = {"complaint": _complaint}


@dataclass(frozen=True, kw_only=True)
class Learning:
    """Options of every network for pictures; what is empty or 0 is left to the learner.

    `optimiser` is `adamw`, `sgd` or `muon`; another one than the learner's own finds its rate, unless `rate` says one.
    `schedule` is `one_cycle`, `cosine`, `linear` or `constant`, and rates rise from zero in the share `warm_up`.
    `decay` and `l1` draw weights to zero, `dropout` leaves out features, `smoothing` takes so much from the true class.
    `average` is the decay of a running mean of the weights, which is judged and kept. Training ends after the share
    `patience` of it without a better judgement. A batch is worked on in `accumulate` parts, and gradients are cut to
    the length `clip`. `compile` has torch compile the steps, where that pays.
    """

    optimiser: str = field(default="", metadata={"choices": ("", *OPTIMISERS)})
    schedule: str = field(default="", metadata={"choices": ("", *SCHEDULES)})
    warm_up: float = field(default=0.0, metadata=SHARE)
    decay: float = field(default=0.0, metadata=POSITIVE)
    l1: float = field(default=0.0, metadata=POSITIVE)
    dropout: float = field(default=0.0, metadata={"least": 0.0, "most": 0.9})
    smoothing: float = field(default=0.0, metadata={"least": 0.0, "most": 0.9})
    average: float = field(default=0.0, metadata={"least": 0.0, "most": 0.99999})
    patience: float = field(default=1.0, metadata=SHARE)
    accumulate: int = field(default=1, metadata={"least": 1})
    clip: float = field(default=0.0, metadata=POSITIVE)
    compile: bool = False

    def taught(self, recipe: Recipe, problem: Problem) -> Recipe:
        """A learner's recipe as these options have it."""
        own = "muon" if recipe.quick else recipe.optimiser
        other = self.optimiser not in ("", own)
        return replace(
            recipe,
            optimiser=self.optimiser or own,
            quick=recipe.quick and not other,
            rate=0.0 if other and recipe.rate == _usual(self, "rate") else recipe.rate,
            schedule=self.schedule or recipe.schedule,
            warm_up=self.warm_up or recipe.warm_up,
            decay=self.decay,
            l1=self.l1,
            smoothing=self.smoothing if problem.classes else 0.0,
            average=self.average,
            patience=self.patience,
            pieces=max(self.accumulate, 1),
            clip=self.clip or recipe.clip,
            compiled=self.compile,
        )


def _usual(options: Any, name: str) -> Any:
    return next(each.default for each in fields(options) if each.name == name)
