"""The portfolio: the configurations of all learners in the order in which they are worth trying."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from importlib.resources import files
from typing import Any

from volant.core.protocols import Asks, Learner
from volant.core.records import Problem
from volant.errors import BadInput, Trouble, nearest
from volant.search.fits import Configuration
from volant.search.logarithm import Logarithm
from volant.search.trials import Trial

BASELINE = "prior"
BOTH_WAYS = 2
"""First configurations that learn a skewed number both as it is and as its logarithm; the better way is kept."""


def plan(
    learners: Mapping[str, Learner],
    problem: Problem,
    seconds: Callable[[Learner], float],
    logarithm: Logarithm | None = None,
    given: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Trial]:
    """Trials in order, with the options that are `given`.

    Those of learners that do not support the problem come last, with the reason.

    The order was learned on public tables (`order.json`: learner and place in its portfolio). What it does not
    name follows: the first configuration of each other learner, the quickest first, then the second of each.
    """
    offered: dict[str, list[Configuration]] = {}
    refused: list[Trial] = []
    for name, learner in learners.items():
        if name == BASELINE:
            continue
        support = learner.supports(problem)
        asked = with_given(learner.portfolio(problem), name, (given or {}).get(name, {}))
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


def with_given(portfolio: Sequence[Any], learner: str, given: Mapping[str, Any]) -> list[Any]:
    """The options of a portfolio with those that the product file sets; what is then the same is tried once.

    Raises:
        BadInput: code `product-file-invalid`: the learner has no such option, or it is of another kind.
    """
    troubles = []
    for name, value in given.items() if portfolio else ():
        known = [field.name for field in fields(portfolio[0])]
        where = f"volant.toml, train.options.{learner}.{name}"
        if name not in known:
            what = f"the learner {learner} has no option {name!r}"
            troubles.append(Trouble(what, where, name, tuple(known), None, nearest(name, known)))
        elif not _is_like(value, getattr(portfolio[0], name)):
            kind = type(getattr(portfolio[0], name)).__name__
            troubles.append(
                Trouble(f"the option is of the kind {kind}", where, type(value).__name__, fix=f"give a {kind}")
            )
    if troubles:
        raise BadInput("options of learners do not fit", code="product-file-invalid", troubles=troubles)
    return list(dict.fromkeys(replace(options, **given) for options in portfolio))


def _is_like(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    return isinstance(value, int | float if isinstance(default, float) else type(default))


def kind(problem: Problem) -> str:
    """Which of the orders applies."""
    if "image" in problem.types():
        return "images"
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
