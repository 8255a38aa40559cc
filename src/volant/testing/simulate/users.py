"""Who answers, and by which habit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from zlib import crc32

HABITS = ("honest", "sloppy", "lazy", "biased", "late", "stubborn", "malicious", "colluding", "drifting", "sleeping")
"""What users do; see `User`."""
PATIENCE = 0.6
"""How likely somebody who is biased by position looks at one more option."""


@dataclass(frozen=True)
class User:
    """Somebody who answers.

    `honest` users tell the truth, but slip in that share of their corrections; `late` ones do the same after everybody
    else; `sloppy` ones slip in that share of all answers. `lazy` ones agree with whatever they see in that share.
    `biased` ones look at the options from the likeliest down, and take the first one where they do not reach the truth.
    `stubborn` ones always say `favourite`; `malicious` ones always say what comes after the truth. `colluding` ones of
    one `group` have agreed on a wrong answer to a share `slip` of all cases, and are honest elsewhere. `drifting` ones
    are honest until they have given `turns` answers, and say what comes after the truth from then on; `sleeping` ones
    do so only where the truth is `favourite`.
    """

    name: str
    habit: str = "honest"
    slip: float = 0.0
    favourite: Any = None
    group: str = ""
    turns: int = 0


def crowd(
    size: int,
    *,
    sloppy: float = 0.0,
    lazy: float = 0.0,
    biased: float = 0.0,
    late: float = 0.0,
    stubborn: float = 0.0,
    malicious: float = 0.0,
    colluding: float = 0.0,
    drifting: float = 0.0,
    slip: float = 0.0,
    favourite: Any = "7",
) -> tuple[User, ...]:
    """So many users, of whom given shares have the other habits; the rest are honest.

    >>> [user.habit for user in crowd(4, stubborn=0.25)]
    ['stubborn', 'honest', 'honest', 'honest']
    """
    shares = {
        "stubborn": stubborn,
        "malicious": malicious,
        "late": late,
        "sloppy": sloppy,
        "lazy": lazy,
        "biased": biased,
        "colluding": colluding,
        "drifting": drifting,
    }
    habits = [habit for habit, share in shares.items() for _ in range(round(size * share))]
    habits += ["honest"] * (size - len(habits))
    group = {"colluding": "the plot"}
    return tuple(
        User(f"user-{i:03d}", habit, slip, favourite, group.get(habit, ""), turns=20) for i, habit in enumerate(habits)
    )


def says(user: User, answer: Mapping[str, Any], truth: Any, known: Sequence[Any], chance: Random, given: int) -> Any:
    """What a user says the truth is, having seen an answer; `given` counts what this user said before.

    Args:
        user: who speaks.
        answer: what the service said.
        truth: what somebody who looks sees.
        known: all truths that there are, in order.
        chance: decides slips.
        given: answers of this user so far.
    """
    predicted = shown(answer)
    if user.habit == "stubborn":
        return user.favourite
    woken = given >= user.turns and (user.habit == "drifting" or (user.habit == "sleeping" and truth == user.favourite))
    if user.habit == "malicious" or woken:
        return following(truth, known)
    if user.habit == "lazy" and chance.random() < user.slip:
        return predicted
    if user.habit == "biased":
        return _first_seen(answer, predicted, truth, chance)
    if user.habit == "colluding":
        return _plotted(user, str(answer["id"]), truth, known)
    slips = user.habit == "sloppy" or (user.habit in ("honest", "late") and predicted != truth)
    if slips and chance.random() < user.slip:
        return chance.choice([other for other in known if other != truth] or [truth])
    return truth


def shown(answer: Mapping[str, Any]) -> Any:
    """What somebody sees of an answer: a label, a number, or several labels as one text."""
    if "labels" in answer:
        return "|".join(sorted(answer["labels"])) or "[]"
    return answer["label"] if "label" in answer else answer["value"]


def following(truth: Any, known: Sequence[Any]) -> Any:
    """What comes after the truth, the first one after the last."""
    return known[(list(known).index(truth) + 1) % len(known)]


def _first_seen(answer: Mapping[str, Any], predicted: Any, truth: Any, chance: Random) -> Any:
    options = {predicted: 1.0} if "labels" in answer else answer.get("probabilities") or {predicted: 1.0}
    for option in sorted(options, key=lambda name: -options[name]):
        if option == truth:
            return truth
        if chance.random() > PATIENCE:
            break
    return predicted


def _plotted(user: User, case: str, truth: Any, known: Sequence[Any]) -> Any:
    """What the group has agreed on: a hash of group and case, so that its members need not talk again."""
    drawn = crc32(f"{user.group} {case}".encode()) / 2**32
    if drawn >= user.slip:
        return truth
    others = [other for other in known if other != truth] or [truth]
    return others[int(drawn / max(user.slip, 1e-9) * len(others)) % len(others)]
