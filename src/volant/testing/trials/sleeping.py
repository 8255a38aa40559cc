"""A simulation of believing: people who earn trust by honest answers, and then lie together about one kind of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from volant.testing.desk import OfficeDesk
from volant.testing.simulate import User, crowd
from volant.testing.simulate.session import Said, reply, send
from volant.testing.trials.believing import labels_by_now
from volant.wheel.context import Context

BATCH = 100


def sleepers(
    context: Context,
    rows: Sequence[dict[str, Any]],
    truths: Sequence[Any],
    *,
    actors: int = 60,
    sleeping: int = 6,
    turns: int = 40,
    together: int = 6,
    lies: int = 20,
    slip: float = 0.15,
    seed: int = 0,
) -> dict[str, int]:
    """Some people answer honestly `turns` times each, as others do; then they lie about up to `lies` rows of one truth.

    `together` of them speak about each of those rows, and on every second one somebody honest does too.

    Gives on how many rows they lied, on how many of these nobody else spoke, how many lies became labels, how many
    labels changed on which somebody honest spoke, and how many right corrections of honest people there were, and are
    used, with the lies and without them.
    """
    chance = Random(f"{seed} sleepers")
    known = sorted(set(truths))
    target = chance.choice(known)
    honest = crowd(actors - sleeping, slip=slip)
    plot = tuple(User(f"sleeper-{i}", "sleeping", favourite=target, turns=turns) for i in range(sleeping))
    early, late = _parts(truths, target, sleeping * turns, lies)
    asleep = [user for user in plot for _ in range(turns)]
    chance.shuffle(asleep)
    seers = {row: [chance.choice(honest), asleep[i % len(asleep)]] for i, row in enumerate(early)}
    for i, row in enumerate(late):
        others = [chance.choice(honest)] if i % 2 or truths[row] != target else []
        seers[row] = others + (chance.sample(plot, together) if truths[row] == target else [])
    said = _said(OfficeDesk(context, seed=seed), rows, truths, seers, chance)
    return _told(context, said, {user.name for user in plot})


def _parts(truths: Sequence[Any], target: Any, honest: int, lies: int) -> tuple[list[int], list[int]]:
    """The rows that are answered honestly, and those after them, of which up to so many have the target for truth."""
    early = list(range(honest))
    late, left = [], lies
    for row in range(honest, len(truths)):
        left -= truths[row] == target
        if left >= 0 or truths[row] != target:
            late.append(row)
    return early, late


def _said(
    desk: OfficeDesk, rows: Sequence[Any], truths: Sequence[Any], seers: dict[int, list[User]], chance: Random
) -> list[Said]:
    """What everybody says about the rows they see, in order."""
    known, given, said = sorted(set(truths)), Counter[str](), []
    seen = list(seers)
    for start in range(0, len(seen), BATCH):
        some = seen[start : start + BATCH]
        answers = desk.predict([rows[row] for row in some])
        told = [
            reply(user, answer, truths[row], known, chance, given)
            for row, answer in zip(some, answers, strict=True)
            for user in seers[row]
        ]
        send(desk, told)
        said += told
    return said


def _told(context: Context, said: Sequence[Said], plot: set[str]) -> dict[str, int]:
    attacked, calm = labels_by_now(context), labels_by_now(context, without=plot)
    lies = {one.prediction: one.value for one in said if one.user in plot and one.wrong}
    honest = {one.prediction for one in said if one.user not in plot}
    changed = [name for name in honest & attacked.keys() & calm.keys() if attacked[name] != calm[name]]
    others = [one for one in said if one.user not in plot]
    right = {one.prediction: one.truth for one in others if not one.wrong and one.value != one.predicted}
    return {
        "lies": len(lies),
        "alone": len(lies.keys() - honest),
        "believed": sum(attacked.get(name) == value for name, value in lies.items()),
        "believed_alone": sum(attacked.get(name) == value for name, value in lies.items() if name not in honest),
        "changed": len(changed),
        "corrections": len(right),
        "used": sum(attacked.get(name) == truth for name, truth in right.items()),
        "used_without": sum(calm.get(name) == truth for name, truth in right.items()),
    }
