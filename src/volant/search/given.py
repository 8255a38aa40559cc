"""Options of learners that the product file sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

from volant.core.protocols import Asks, Earlier, Learner, Model, Range, Rows, RunContext, Wakes
from volant.core.records import Problem
from volant.errors import BadInput, Trouble, nearest


class Given:
    """A learner some of whose options are settled: they stand in its whole portfolio, and are not tuned.

    An option whose field says `place` may name a file or folder beside the product file. It keeps the words of the
    product file, so that a product that was moved trains alike, and is looked up in `folder` when a fit begins.
    """

    def __init__(self, learner: Learner, options: Mapping[str, Any], folder: Path | None = None) -> None:
        self._learner, self._given, self._folder = learner, dict(options), folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)

    def fit(self, data: Rows, problem: Problem, options: Any, context: RunContext) -> Model:
        """As the learner fits, with places as they are found from the product file."""
        return self._learner.fit(data, problem, _placed(options, self._folder), context)

    def resume(self, earlier: Earlier, data: Rows, problem: Problem, options: Any, context: RunContext) -> Model:
        """As the learner goes on from an earlier fit, likewise."""
        learner: Any = self._learner
        made: Model = learner.resume(earlier, data, problem, _placed(options, self._folder), context)
        return made

    def portfolio(self, problem: Problem) -> Sequence[Any]:
        return with_given(self._learner.portfolio(problem), self._learner.name, self._given)

    def space(self, problem: Problem) -> Mapping[str, Range]:
        """What may be tuned."""
        space = getattr(self._learner, "space", None)
        return {} if space is None else {n: r for n, r in space(problem).items() if n not in self._given}

    def lacks(self, options: Any) -> str:
        """What these options lack, as the learner says."""
        return self._learner.lacks(options) if isinstance(self._learner, Asks) else ""

    def wake(self) -> None:
        """Import what its fits need, where that is much."""
        if isinstance(self._learner, Wakes):
            self._learner.wake()

    def example(self, folder: Path) -> Any:
        """Options that lack nothing, as the learner gives them."""
        return self._learner.example(folder) if isinstance(self._learner, Asks) else None


def settled(
    learners: Mapping[str, Learner], options: Mapping[str, Mapping[str, Any]], folder: Path | None = None
) -> dict[str, Learner]:
    """The learners, those with options in the product file, which lies in `folder`, with these settled."""
    found = dict(learners)
    for name, given in options.items():
        if given and name in found:
            found[name] = cast("Learner", Given(found[name], given, folder))
    return found


def _placed(options: Any, folder: Path | None) -> Any:
    """Options whose places are whole paths where something lies there beside the product file."""
    if folder is None:
        return options
    named = [field.name for field in fields(options) if field.metadata.get("place")]
    found = {name: folder / getattr(options, name) for name in named if getattr(options, name)}
    return replace(options, **{name: str(path) for name, path in found.items() if path.exists()})


def with_given(portfolio: Sequence[Any], learner: str, given: Mapping[str, Any]) -> list[Any]:
    """The options of a portfolio with those that the product file sets; what is then the same is tried once.

    Raises:
        BadInput: code `product-file-invalid`: the learner has no such option, or it is of another kind.
    """
    troubles = []
    for name, value in given.items() if portfolio else ():
        constraints = {field.name: field.metadata for field in fields(portfolio[0])}
        known = list(constraints)
        where = f"volant.toml, train.options.{learner}.{name}"
        if name not in known:
            what = f"the learner {learner} has no option {name!r}"
            troubles.append(Trouble(what, where, name, tuple(known), None, nearest(name, known)))
        elif not _is_like(value, getattr(portfolio[0], name)):
            kind = type(getattr(portfolio[0], name)).__name__
            troubles.append(
                Trouble(f"the option is of the kind {kind}", where, type(value).__name__, fix=f"give a {kind}")
            )
        else:
            troubles += _outside(where, value, constraints[name])
    if troubles:
        raise BadInput("options of learners do not fit", code="product-file-invalid", troubles=troubles)
    return list(dict.fromkeys(replace(options, **given) for options in portfolio))


def _outside(where: str, value: Any, constraints: Mapping[str, Any]) -> Iterator[Trouble]:
    """What an option's field says against a value: `choices`, `least`, `most`, or a `complaint` about it."""
    choices = constraints.get("choices")
    if choices is not None and value not in choices:
        named = tuple(choice for choice in choices if choice)
        yield Trouble("the option knows no such value", where, str(value), named, None, nearest(str(value), named))
    least, most = constraints.get("least", value), constraints.get("most", value)
    if not least <= value <= most:
        bounds = [f"at least {constraints['least']}"] if "least" in constraints else []
        bounds += [f"at most {constraints['most']}"] if "most" in constraints else []
        yield Trouble("the option is out of its range", where, str(value), fix=f"give {' and '.join(bounds)}")
    complaint = constraints["complaint"](value) if "complaint" in constraints else ""
    if complaint:
        yield Trouble(complaint, where, str(value))


def _is_like(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    return isinstance(value, int | float if isinstance(default, float) else type(default))
