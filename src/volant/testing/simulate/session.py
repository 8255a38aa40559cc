"""One sitting: rows are predicted, users see them and say something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from volant.testing.simulate.service import Desk, Service
from volant.testing.simulate.users import User, says, shown


@dataclass(frozen=True)
class Said:
    """What one user said about one prediction. `wrong` tells that it is not the truth."""

    prediction: str
    user: str
    habit: str
    predicted: Any
    truth: Any
    value: Any
    wrong: bool

    def item(self) -> dict[str, Any]:
        """It as the service takes it."""
        return {
            "prediction_id": self.prediction,
            "kind": "correction",
            "value": self.value,
            "actor": self.user,
            "idempotency_key": f"{self.prediction} {self.user}",
        }


@dataclass(frozen=True)
class Session:
    """What all users did. `pending` are answers not sent yet."""

    said: tuple[Said, ...]
    pending: tuple[Said, ...] = ()

    @property
    def wrong(self) -> int:
        """How many answers were not the truth."""
        return sum(one.wrong for one in self.said)

    @property
    def corrections(self) -> int:
        """How many answers contradicted the prediction."""
        return sum(one.value != one.predicted for one in self.said)

    def record(self) -> dict[str, Any]:
        """The session as plain JSON data."""
        return asdict(self)


def simulate(
    desk: str | Desk,
    rows: Sequence[Mapping[str, Any]],
    truths: Sequence[Any],
    users: Sequence[User],
    *,
    seed: int = 0,
    batch: int = 100,
    voices: int = 1,
    send_late: bool = True,
) -> Session:
    """Have every row predicted, each seen by users drawn at random, who answer.

    Args:
        desk: where the service listens, or something that answers like one.
        rows: what is sent, as JSON objects.
        truths: the true label or number of each row.
        users: who answers.
        seed: of who sees what, and of every slip.
        batch: rows per request.
        voices: users who see each row.
        send_late: whether late users answer before this returns; else see `Session.pending`.
    """
    chance = Random(seed)
    place: Desk = Service(desk) if isinstance(desk, str) else desk
    known = sorted(set(truths))
    said: list[Said] = []
    late: list[Said] = []
    given: Counter[str] = Counter()
    for start in range(0, len(rows), batch):
        answers = place.predict(rows[start : start + batch])
        pairs = list(zip(answers, truths[start:], strict=False))
        seen = [
            reply(user, answer, truth, known, chance, given)
            for answer, truth in pairs
            for user in ([chance.choice(users)] if voices == 1 else chance.sample(list(users), voices))
        ]
        prompt = [one for one in seen if one.habit != "late"]
        late += [one for one in seen if one.habit == "late"]
        send(place, prompt)
        said += prompt
    if send_late and late:
        send(place, reversed(late))
        said, late = said + late, []
    return Session(tuple(said), tuple(late))


def reply(
    user: User, answer: Mapping[str, Any], truth: Any, known: Sequence[Any], chance: Random, given: Counter[str]
) -> Said:
    """What a user says to one answer; `given` counts what each user has said, and is brought up to date."""
    predicted = shown(answer)
    value = says(user, answer, truth, known, chance, given[user.name])
    given[user.name] += 1
    return Said(answer["id"], user.name, user.habit, predicted, truth, value, value != truth)


def send(desk: Desk, said: Iterable[Said]) -> None:
    """Hand in what users said."""
    items = [one.item() for one in said]
    if items:
        desk.send(items)
