"""Simulated users: they see a prediction of a running service and answer it, each by a habit of their own.

They know the service only by its HTTP interface, and the truth only as somebody in front of a case
would. Everything random follows from a seed.
"""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

HABITS = ("honest", "stubborn", "malicious", "late")


@dataclass(frozen=True)
class User:
    """Somebody who answers.

    `honest` users tell the truth, but slip in that share of their corrections; `late` ones do the same
    after everybody else; `stubborn` ones always say `favourite`; `malicious` ones always say what comes
    after the truth.
    """

    name: str
    habit: str = "honest"
    slip: float = 0.0
    favourite: Any = None


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


def crowd(
    size: int,
    *,
    stubborn: float = 0.0,
    malicious: float = 0.0,
    late: float = 0.0,
    slip: float = 0.0,
    favourite: Any = "7",
) -> tuple[User, ...]:
    """So many users, of whom given shares are stubborn, malicious and late; the others are honest.

    >>> [user.habit for user in crowd(4, stubborn=0.25)]
    ['stubborn', 'honest', 'honest', 'honest']
    """
    counts = {"stubborn": round(size * stubborn), "malicious": round(size * malicious), "late": round(size * late)}
    habits = [habit for habit, count in counts.items() for _ in range(count)]
    habits += ["honest"] * (size - len(habits))
    return tuple(User(f"user-{i:03d}", habit, slip, favourite) for i, habit in enumerate(habits))


def simulate(
    url: str,
    rows: Sequence[Mapping[str, Any]],
    truths: Sequence[Any],
    users: Sequence[User],
    *,
    seed: int = 0,
    batch: int = 100,
    send_late: bool = True,
) -> Session:
    """Have every row predicted, each seen by one user drawn at random, who answers.

    Args:
        url: where the service listens.
        rows: what is sent, as JSON objects.
        truths: the true label or number of each row.
        users: who answers.
        seed: of who sees what, and of every slip.
        batch: rows per request.
        send_late: whether late users answer before this returns; else see `Session.pending`.
    """
    chance = random.Random(seed)
    service = Service(url)
    known = sorted(set(truths))
    said: list[Said] = []
    late: list[Said] = []
    for start in range(0, len(rows), batch):
        answers = service.predict(rows[start : start + batch])
        seen = [
            _answer(chance.choice(users), a, t, known, chance) for a, t in zip(answers, truths[start:], strict=False)
        ]
        prompt = [one for one in seen if one.habit != "late"]
        late += [one for one in seen if one.habit == "late"]
        service.feedback(prompt)
        said += prompt
    if send_late and late:
        service.feedback(reversed(late))
        said, late = said + late, []
    return Session(tuple(said), tuple(late))


def _answer(user: User, answer: Mapping[str, Any], truth: Any, known: Sequence[Any], chance: random.Random) -> Said:
    predicted = answer["label"] if "label" in answer else answer["value"]
    value = _value(user, predicted, truth, known, chance)
    return Said(answer["id"], user.name, user.habit, predicted, truth, value, value != truth)


def _value(user: User, predicted: Any, truth: Any, known: Sequence[Any], chance: random.Random) -> Any:
    if user.habit == "stubborn":
        return user.favourite
    if user.habit == "malicious":
        return known[(known.index(truth) + 1) % len(known)]
    if predicted != truth and chance.random() < user.slip:
        return chance.choice([other for other in known if other != truth] or [truth])
    return truth


class Service:
    """A running service, as its callers see it."""

    def __init__(self, url: str, *, key: str | None = None, timeout: float = 30.0) -> None:
        self._place = urlsplit(url)
        self._timeout = timeout
        self._headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The answers to some rows, in their order, each with the id of its prediction."""
        answered = self.call("POST", "/v1/predict", {"rows": list(rows)})
        return list(answered["predictions"])

    def feedback(self, said: Iterable[Said]) -> Any:
        """Send what users said."""
        items = [
            {"prediction_id": s.prediction, "kind": "correction", "value": s.value, "actor": s.user,
             "idempotency_key": f"{s.prediction} {s.user}"}
            for s in said
        ]  # fmt: skip
        return self.call("POST", "/v1/feedback", {"feedback": items}) if items else None

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request; the decoded answer.

        Raises:
            ConnectionError: the service answered with an error, or not at all.
        """
        line = http.client.HTTPConnection(self._place.hostname or "", self._place.port, timeout=self._timeout)
        try:
            line.request(method, path, None if body is None else json.dumps(body), self._headers)
            reply = line.getresponse()
            text = reply.read()
        finally:
            line.close()
        if reply.status >= 300:
            raise ConnectionError(f"{method} {path} was answered with {reply.status}: {text[:500]!r}")
        return json.loads(text) if text else None
