"""A rehearsal: simulated users work with a product's own service for some rounds, and the wheel turns if asked to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from volant.columns.labels import Labels, presences
from volant.core.progress import Progress, Silent
from volant.data.sources import read_source
from volant.data.sources.joined import joined
from volant.errors import BadInput, nearest
from volant.testing.served import Served, served, wait_for_release
from volant.testing.simulate import Session, User, simulate
from volant.wheel.context import work_on
from volant.wheel.handle import ProductHandle
from volant.wheel.predict import need_champion
from volant.wheel.results import Result


@dataclass(frozen=True)
class RehearsedRound(Result):
    """One round: what users said, how often the service was right, and what a turn made of it, if there was one."""

    number: int
    answers: int
    wrong: int
    right: float
    outcome: str | None
    release: str


@dataclass(frozen=True)
class Rehearsal(Result):
    """`volant simulate`: the rounds. `right` of a round is the share of rows that were answered with the truth."""

    rounds: tuple[RehearsedRound, ...]


@dataclass(frozen=True)
class Cases:
    """Rows as a service is sent them, and the truth of each."""

    rows: tuple[dict[str, Any], ...]
    truths: tuple[Any, ...]

    def part(self, number: int, of: int) -> Cases:
        """One of so many equal parts, counted from 0."""
        return Cases(self.rows[number::of], self.truths[number::of])


def rehearse(
    handle: ProductHandle,
    data: Path,
    users: Sequence[User],
    *,
    rounds: int = 1,
    improve: bool = False,
    url: str | None = None,
    voices: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Rehearsal:
    """Let users see the rows of a file that holds the truth, a part of them in each round.

    Args:
        handle: the product.
        data: rows with the target column, any format that a source may have.
        users: who answers.
        rounds: into how many parts the rows are divided.
        improve: whether the wheel turns after each round.
        url: where the product is served; by default it is served for the time of the rehearsal.
        voices: users who see each row.
        seed: of everything that users do.
        progress: is told what happens.

    Raises:
        BadInput: codes `no-release`, `column-missing`, `source-…`.
    """
    told, cases = progress or Silent(), cases_of(handle, data)
    place: AbstractContextManager[Any] = nullcontext(_At(url)) if url else served(handle.product.folder)
    found = []
    with place as service:
        for number in range(rounds):
            told.stage(f"round {number + 1}")
            part = cases.part(number, rounds)
            session = simulate(service.url, part.rows, part.truths, users, seed=seed * 1000 + number, voices=voices)
            found.append(_round(handle, service, number + 1, session, improve))
            told.say(f"{found[-1].answers} answers, {found[-1].right:.1%} of the predictions right")
    return Rehearsal(tuple(found))


@dataclass(frozen=True)
class _At:
    """A service that somebody else runs."""

    url: str


def _round(
    handle: ProductHandle, service: Served | _At, number: int, session: Session, improve: bool
) -> RehearsedRound:
    seen = {one.prediction: _same(one.predicted, one.truth) for one in session.said}
    turn = handle.improve() if improve else None
    if turn is not None:
        wait_for_release(service.url, turn.champion_after)
    release = turn.champion_after if turn else handle.status().champion
    right = sum(seen.values()) / max(len(seen), 1)
    outcome = None if turn is None else turn.outcome
    return RehearsedRound(number, len(session.said), session.wrong, round(right, 4), outcome, release or "")


def _same(predicted: Any, truth: Any) -> bool:
    """Whether an answer is the truth; a number, within a hundredth of it."""
    if isinstance(predicted, float) and not isinstance(truth, str):
        return math.isclose(predicted, truth, rel_tol=0.01)
    return bool(predicted == truth)


def cases_of(handle: ProductHandle, data: Path) -> Cases:
    """The rows of a file, with what the product's release takes and the truth apart.

    Raises:
        BadInput: codes `no-release`, `column-missing`, `source-…`.
    """
    with work_on(handle.product) as context:
        signature, target_type = need_champion(context).signature, context.task.target_type
    source, several = read_source(str(data), folder=Path.cwd()), handle.product.file.task.labels
    if several and set(several) & set(source.names):
        source = joined(source, signature.target, several)
    if signature.target not in source.names:
        raise BadInput(
            "the file does not hold the truth",
            code="column-missing",
            where=data.name,
            got=nearest(signature.target, source.names),
            fix=f"give rows with the column {signature.target!r}",
        )
    listed = [row for chunk in source.chunks() for row in chunk.to_pylist() if row[signature.target] is not None]
    names = [field.name for field in (*signature.inputs, *signature.beside) if field.name in source.names]
    read = _READERS.get(target_type, _label)
    rows = tuple({name: _plain(row[name]) for name in names} for row in listed)
    return Cases(rows, tuple(read(row[signature.target]) for row in listed))


def _label(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _labels(value: Any) -> str:
    """Several labels as one text, as `volant.testing.simulate` shows those of an answer."""
    told, _ = presences(Labels().parse_cell(value) or "[]")
    return "|".join(sorted(name for name, there in told.items() if there)) or "[]"


_READERS: Mapping[str, Callable[[Any], Any]] = {"number": float, "labels": _labels}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str | list | Mapping):
        return value
    return str(value)
