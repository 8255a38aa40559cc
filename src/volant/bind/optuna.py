"""Optuna: asking for options within ranges, deterministic for a seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from volant.core.protocols import Range


class Sampler:
    """Tree-structured Parzen estimator over the ranges of a learner's options."""

    def __init__(self, space: Mapping[str, Range], seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=4)
        self._study = optuna.create_study(direction="minimize", sampler=sampler)
        self._ranges = dict(sorted(space.items()))
        self._space = {name: _distribution(found) for name, found in self._ranges.items()}

    def learn(self, options: Any, loss: float) -> None:
        """Take note of options that were tried before; those outside the ranges say nothing."""
        import optuna

        values = {name: getattr(options, name) for name in self._space}
        if all(_holds(found, values[name]) for name, found in self._ranges.items()):
            made = optuna.trial.create_trial(params=values, distributions=self._space, value=loss)
            self._study.add_trial(made)

    def ask(self) -> tuple[Any, dict[str, Any]]:
        """A token to answer with, and values by the names of options."""
        trial = self._study.ask(self._space)
        return trial, dict(trial.params)

    def tell(self, token: Any, loss: float) -> None:
        """The loss of what was asked for; one that is not finite counts as a failure."""
        import math

        import optuna

        if math.isfinite(loss):
            self._study.tell(token, loss)
        else:
            self._study.tell(token, state=optuna.trial.TrialState.FAIL)


def _holds(found: Range, value: Any) -> bool:
    return value in found.choices if found.choices else bool(found.low <= value <= found.high)


def _distribution(found: Range) -> Any:
    import optuna

    if found.choices:
        return optuna.distributions.CategoricalDistribution(found.choices)
    kind = optuna.distributions.IntDistribution if found.whole else optuna.distributions.FloatDistribution
    low, high = (int(found.low), int(found.high)) if found.whole else (found.low, found.high)
    return kind(low, high, log=found.log)
