"""The portfolio: the configurations of all learners in the order in which they are worth trying."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files

from volant.core.protocols import Asks, Learner
from volant.core.records import Problem
from volant.search.fits import Configuration
from volant.search.logarithm import Logarithm
from volant.search.trials import Trial

BASELINE = "prior"
BOTH_WAYS = 1
"""First configurations that learn a skewed number as it is and as its logarithm; the rest keep to the better way."""


def plan(
    learners: Mapping[str, Learner],
    problem: Problem,
    seconds: Callable[[Learner], float],
    logarithm: Logarithm | None = None,
) -> list[Trial]:
    """Trials in order; those of learners that do not support the problem come last, with the reason.

    The order was learned on public tables (`order.json`: learner and place in its portfolio). What it does not
    name follows: the first configuration of each other learner, the quickest first, then the second of each.
    """
    offered: dict[str, list[Configuration]] = {}
    refused: list[Trial] = []
    for name, learner in learners.items():
        if name == BASELINE:
            continue
        support = learner.supports(problem)
        asked = learner.portfolio(problem)
        listed = [Configuration(learner, options) for options in asked]
        lacking = learner.lacks(asked[0]) if isinstance(learner, Asks) and asked else ""
        if support and not lacking:
            offered[name] = listed
        elif listed:
            refused.append(Trial(listed[0], status="unsupported", reason=support.reason or lacking))
    ordered = [*_learned(offered, problem), *_rest(offered, problem, seconds)]
    trials = list(_both_ways(ordered, logarithm))
    for trial in trials:
        trial.reason = trial.configuration.learner.supports(problem).reason
    return [*trials, *refused]


def kind(problem: Problem) -> str:
    """Which of the orders applies."""
    if "image" in problem.types():
        return "images"
    if problem.labels:
        return "classes"
    return "number" if not problem.classes else "two_classes" if len(problem.classes) == 2 else "classes"


def _order(problem: Problem) -> list[tuple[str, int]]:
    listed = json.loads(files("volant.search").joinpath("order.json").read_bytes())
    return [(name, int(place)) for name, place in listed.get(kind(problem), [])]


def _learned(offered: Mapping[str, Sequence[Configuration]], problem: Problem) -> Iterator[Configuration]:
    for name, place in _order(problem):
        if place < len(offered.get(name, ())):
            yield offered[name][place]


def _rest(
    offered: Mapping[str, Sequence[Configuration]], problem: Problem, seconds: Callable[[Learner], float]
) -> Iterator[Configuration]:
    named = set(_order(problem))
    by_speed = sorted(offered, key=lambda name: (seconds(offered[name][0].learner), name))
    for place in range(max(map(len, offered.values()), default=0)):
        for name in by_speed:
            if place < len(offered[name]) and (name, place) not in named:
                yield offered[name][place]


def _both_ways(ordered: Sequence[Configuration], logarithm: Logarithm | None) -> Iterator[Trial]:
    for place, configuration in enumerate(ordered):
        yield Trial(configuration)
        if logarithm is not None and place < BOTH_WAYS:
            yield Trial(Configuration(configuration.learner, configuration.options, logarithm))
