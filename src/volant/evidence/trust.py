"""Whom to believe: for each actor, a posterior of being right, earned by agreement with evidence.

An actor is right with an unknown rate θ. An answer that is right is distributed as what is believed of the
truth says (the champion's probabilities, what others said, a reviewer's word); one that is not has nothing to
do with the input: it follows the actor's own habit (always the same label) or blind chance. So what counts is
not whether somebody agrees with the champion, but whether the answers depend on the inputs as truth does.

People who correct more often than they confirm are not suspicious by that alone. Each actor has an unknown
rate ρ of passing over predictions that are right; how common each rate is among all actors is learned from
all of them, and so is how common people are who do not even try. Audited predictions are asked for whatever
they say, so there ρ is 1.

Source: a one-coin model of annotators (Dawid & Skene, Applied Statistics 28, 1979), integrated over a grid
instead of maximised.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

RIGHT = (np.arange(40) + 0.5) / 40
"""The grid over θ, the rate of right answers."""
CONFIRMING = np.array([1.0, 0.3, 0.1, 0.03, 0.0])
"""The grid over ρ, the rate at which an actor confirms what is right instead of passing it over."""
CONFIRMING_COUNTS = np.array([9.0, 0.25, 0.25, 0.25, 0.25])
"""How common each ρ is before anything is seen, as a count of actors."""
HONEST, HONEST_SHAPE, LIAR_SHAPE = 0.85, (9.0, 1.5), (1.0, 6.0)
"""Before anything is seen: most people are right but slip, few are not even trying."""
HONEST_COUNT, MOST_HONEST = 40.0, 0.98
"""Actors that it takes to unsettle the belief that most people are honest, and how far it can be raised.

A crowd of liars makes everybody suspect. A crowd of honest people gives each word more weight, but nobody's lies pass
for slips the sooner: whether somebody is trusted at all is judged as if most people were not better than at first."""
FLOOR = 0.02
"""Share of what is believed of the truth that is spread over all classes, for champions that are too sure."""
HABIT_STRENGTH = 2.0
"""Weight, in answers, of the usual frequencies in the estimate of an actor's habit."""
LOW = 0.05
_ROUNDS = 12
_SAMPLE = 20_000
_BLOCK = 8192


@dataclass(frozen=True)
class Answer:
    """One answer as trust sees it.

    `chosen` is the index of the label given, `expected` the champion's probability of each class (C,).
    `gold` is what a reviewer found, if one looked. `audit` tells that the label was asked for whatever
    the prediction was.
    """

    actor: str
    chosen: int
    expected: tuple[float, ...]
    gold: int | None = None
    audit: bool = False


@dataclass(frozen=True)
class Answered:
    """Answers as columns of shape (n,), those of one actor together.

    `actor` are rising codes. `truth` is how far the label given is believed to be true, `shown` the same of the label
    that the actor saw, and `agrees` whether they are one. `asked` tells that there was no passing over. `blind` is how
    likely somebody who does not look gives that label.
    """

    actor: np.ndarray
    truth: np.ndarray
    shown: np.ndarray
    agrees: np.ndarray
    asked: np.ndarray
    blind: np.ndarray

    def __len__(self) -> int:
        return len(self.actor)


@dataclass(frozen=True)
class Trust:
    """Beta posterior of being right, with its mean and its 5 % quantile; `answers` is what it rests on."""

    alpha: float
    beta: float
    mean: float
    low: float
    answers: int = 0


class Earned(Mapping[str, Trust]):
    """The trust of many actors, by name; `mean` and `low` hold the same as arrays (A,), in the order of `names`.

    `hope` (A,) is the mean where the honesty of the whole crowd counts in an actor's favour too, `hope_of_new` that of
    somebody who has not said anything yet.
    """

    def __init__(
        self,
        names: Sequence[str],
        density: np.ndarray,
        answers: np.ndarray,
        hope: np.ndarray | None = None,
        hope_of_new: float | None = None,
    ) -> None:
        self.names = list(names)
        self.mean = density @ RIGHT
        self.hope = self.mean if hope is None else hope
        self.hope_of_new = float(_prior(HONEST) @ RIGHT) if hope_of_new is None else hope_of_new
        variance = np.einsum("at,at->a", density, (RIGHT[None, :] - self.mean[:, None]) ** 2)
        self.strength = np.maximum(self.mean * (1 - self.mean) / np.maximum(variance, 1e-9) - 1, 1e-3)
        cumulated = np.cumsum(density, axis=1)
        self.low = RIGHT[np.minimum((cumulated < LOW).sum(axis=1), len(RIGHT) - 1)]
        self.answers = answers
        self._place = {name: i for i, name in enumerate(self.names)}

    def __getitem__(self, name: str) -> Trust:
        i = self._place[name]
        mean, strength = float(self.mean[i]), float(self.strength[i])
        return Trust(strength * mean, strength * (1 - mean), mean, float(self.low[i]), int(self.answers[i]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def actor_trust(answers: Iterable[Answer]) -> Mapping[str, Trust]:
    """The trust that each actor has earned. Neither order nor grouping of the answers matters.

    >>> sure = (0.97, 0.01, 0.01, 0.01), (0.01, 0.97, 0.01, 0.01), (0.01, 0.01, 0.97, 0.01)
    >>> careful = [Answer("ann", i % 3, sure[i % 3]) for i in range(9)]
    >>> stubborn = [Answer("bob", 3, sure[i % 3]) for i in range(9)]
    >>> earned = actor_trust(careful + stubborn)
    >>> earned["ann"].mean > 0.85, earned["bob"].mean < 0.2
    (True, True)
    """
    ordered = sorted(answers, key=lambda a: (a.actor, a.chosen, a.expected, a.gold is None, a.gold or 0, a.audit))
    names = sorted({a.actor for a in ordered})
    if not names:
        return {}
    place = {name: i for i, name in enumerate(names)}
    actor = np.array([place[a.actor] for a in ordered], dtype=np.int64)
    return dict(earned(_columns(ordered, actor), names))


def _columns(ordered: Sequence[Answer], actor: np.ndarray) -> Answered:
    chosen = np.array([a.chosen for a in ordered], dtype=np.int64)
    gold = np.array([-1 if a.gold is None else a.gold for a in ordered], dtype=np.int64)
    audit = np.array([a.audit for a in ordered], dtype=bool)
    truth = believed(np.array([a.expected for a in ordered], dtype=np.float64), gold)
    rows, top = np.arange(len(chosen)), truth.argmax(axis=1)
    starts = np.flatnonzero(np.diff(actor, prepend=-1))
    usual = np.add.reduceat(truth, starts, axis=0) / np.diff(np.append(starts, len(actor)))[:, None]
    blind = blind_chance(actor, chosen, usual[actor, chosen], truth.shape[1])
    return Answered(actor, truth[rows, chosen], truth[rows, top], chosen == top, audit | (gold >= 0), blind)


def believed(expected: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """What is believed of each row's true class, shape (n, C): a reviewer's word, else what is expected."""
    found = expected / np.maximum(expected.sum(axis=1, keepdims=True), 1e-12)
    seen = np.flatnonzero(gold >= 0)
    found[seen] = 0.0
    found[seen, gold[seen]] = 1.0
    return np.asarray((1 - FLOOR) * found + FLOOR / expected.shape[1])


def blind_chance(actor: np.ndarray, chosen: np.ndarray, usual: np.ndarray, classes: int) -> np.ndarray:
    """Probability of each label from somebody who does not look, shape (n,).

    Half habit (the actor's other answers), half chance (what is usual among the rows that the actor saw, and uniform).

    Args:
        actor: rising codes, shape (n,).
        chosen: the label given, shape (n,).
        usual: the mean belief in that label over the actor's rows, shape (n,).
        classes: how many labels there are.
    """
    pair = actor * np.int64(max(int(chosen.max(initial=0)) + 1, classes)) + chosen
    _, place, counts = np.unique(pair, return_inverse=True, return_counts=True)
    total = np.bincount(actor)[actor]
    habit = (counts[place] - 1 + HABIT_STRENGTH * usual) / (total - 1 + HABIT_STRENGTH)
    return np.asarray(0.5 * habit + 0.25 * usual + 0.25 / classes)


def earned(given: Answered, names: Sequence[str]) -> Earned:
    """The trust that each actor has earned; `names` by the codes of `given.actor`, all of which occur."""
    starts = np.flatnonzero(np.diff(given.actor, prepend=-1))
    scores = _scores(given, starts)  # (A, θ, ρ)
    honest, frequency = _learn(scores)
    density = _density(scores, min(honest, HONEST), frequency)
    hope = _density(scores, max(honest, HONEST), frequency) @ RIGHT
    hope = hope if honest > HONEST else density @ RIGHT
    return Earned(names, density, np.diff(np.append(starts, len(given))), hope, float(_prior(honest) @ RIGHT))


def _density(scores: np.ndarray, honest: float, frequency: np.ndarray) -> np.ndarray:
    """Posterior of θ per actor, shape (A, θ)."""
    blocks = (scores[i : i + _BLOCK] for i in range(0, len(scores), _BLOCK))
    return np.concatenate([_joint(block, honest, frequency).sum(axis=2) for block in blocks])


@cache
def newcomer() -> Trust:
    """The trust of somebody about whom nothing is known."""
    return Earned([""], _prior(HONEST)[None, :], np.zeros(1, dtype=np.int64))[""]


def _prior(honest: float) -> np.ndarray:
    def beta(shape: tuple[float, float]) -> np.ndarray:
        density = RIGHT ** (shape[0] - 1) * (1 - RIGHT) ** (shape[1] - 1)
        return np.asarray(density / density.sum())

    return honest * beta(HONEST_SHAPE) + (1 - honest) * beta(LIAR_SHAPE)


def _scores(given: Answered, starts: np.ndarray) -> np.ndarray:
    """Log likelihood of each actor's answers, shape (A, θ, ρ)."""
    scores = np.empty((len(starts), len(RIGHT), len(CONFIRMING)), dtype=np.float32)
    passed = given.agrees & ~given.asked
    for r, confirming in enumerate(CONFIRMING):
        rate = np.where(given.asked, 1.0, confirming)
        spoken = np.maximum(1.0 - given.shown + rate * given.shown, 1e-12)
        right = given.truth * np.where(passed, confirming, 1.0) / spoken
        for t, theta in enumerate(RIGHT):
            likely = np.log(np.maximum(theta * right + (1 - theta) * given.blind, 1e-300))
            scores[:, t, r] = np.add.reduceat(likely, starts)
    return scores


def _learn(scores: np.ndarray) -> tuple[float, np.ndarray]:
    """How common honest people are, and how common each ρ is among them, by EM on at most so many actors."""
    some = scores[:: max(len(scores) // _SAMPLE, 1)]
    likely = np.exp(some - some.max(axis=(1, 2), keepdims=True)).reshape(len(some), -1).astype(np.float64)
    honest, frequency = HONEST, CONFIRMING_COUNTS / CONFIRMING_COUNTS.sum()
    for _ in range(_ROUNDS):
        weight = (_prior(honest)[:, None] * frequency).ravel()
        joint = (weight * ((1 / (likely @ weight)) @ likely)).reshape(len(RIGHT), -1)  # (θ, ρ), summed over actors
        tries = RIGHT @ joint
        frequency = (CONFIRMING_COUNTS + tries) / (CONFIRMING_COUNTS + tries).sum()
        share = honest * _prior(1.0) / _prior(honest)  # (θ,): how likely somebody of that rate is an honest one
        believed_honest = float(share @ joint.sum(axis=1))
        honest = min((HONEST_COUNT * HONEST + believed_honest) / (HONEST_COUNT + len(some)), MOST_HONEST)
    return honest, frequency


def _joint(scores: np.ndarray, honest: float, frequency: np.ndarray) -> np.ndarray:
    """Posterior of θ and ρ per actor, shape (A, θ, ρ)."""
    raised = scores + np.log(_prior(honest))[None, :, None] + np.log(frequency)
    joint = np.exp(raised - raised.max(axis=(1, 2), keepdims=True))
    return np.asarray(joint / joint.sum(axis=(1, 2), keepdims=True))
