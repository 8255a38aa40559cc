"""Whom to believe: for each actor, a posterior of being right, earned by agreement with evidence.

An actor is right with an unknown rate θ. An answer that is right is distributed as the champion's
probabilities say; one that is not has nothing to do with the input: it follows the actor's own habit
(always the same label) or blind chance. So what counts is not whether somebody agrees with the
champion, but whether the answers depend on the inputs in the way that truth does.

People who correct more often than they confirm are not suspicious by that alone. Each actor has an
unknown rate ρ of passing over predictions that are right; how common each rate is among all actors is
learned from all of them. Audited predictions are asked for whatever they say, so there ρ is 1.

Source: a one-coin model of annotators (Dawid & Skene, Applied Statistics 28, 1979) with the champion in
place of the annotators' consensus, integrated over a grid instead of maximised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
FLOOR = 0.02
"""Share of the champion's probability that is spread over all classes, for champions that are too sure."""
HABIT_STRENGTH = 2.0
"""Weight, in answers, of the champion's frequencies in the estimate of an actor's habit."""
LOW = 0.05
_ROUNDS = 20
_BLOCK = 2048


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
class Trust:
    """Beta posterior of being right, with its mean and its 5 % quantile; `answers` is what it rests on."""

    alpha: float
    beta: float
    mean: float
    low: float
    answers: int = 0


def actor_trust(answers: Iterable[Answer]) -> dict[str, Trust]:
    """The trust that each actor has earned. Neither order nor grouping of the answers matters.

    >>> sure = (0.97, 0.01, 0.01, 0.01), (0.01, 0.97, 0.01, 0.01), (0.01, 0.01, 0.97, 0.01)
    >>> careful = [Answer("ann", i % 3, sure[i % 3]) for i in range(9)]
    >>> stubborn = [Answer("bob", 3, sure[i % 3]) for i in range(9)]
    >>> earned = actor_trust(careful + stubborn)
    >>> earned["ann"].mean > 0.85, earned["bob"].mean < 0.2
    (True, True)
    """
    by_actor: dict[str, list[Answer]] = {}
    for answer in answers:
        by_actor.setdefault(answer.actor, []).append(answer)
    if not by_actor:
        return {}
    actors = sorted(by_actor)
    scores = np.stack([_log_likelihood(by_actor[actor]) for actor in actors])  # (A, θ, ρ)
    posterior = _posterior(scores + np.log(_prior())[None, :, None])
    return {actor: _trust(density, len(by_actor[actor])) for actor, density in zip(actors, posterior, strict=True)}


@cache
def newcomer() -> Trust:
    """The trust of somebody about whom nothing is known."""
    return _trust(_prior(), 0)


def _prior() -> np.ndarray:
    def beta(shape: tuple[float, float]) -> np.ndarray:
        density = RIGHT ** (shape[0] - 1) * (1 - RIGHT) ** (shape[1] - 1)
        return np.asarray(density / density.sum())

    return HONEST * beta(HONEST_SHAPE) + (1 - HONEST) * beta(LIAR_SHAPE)


def _log_likelihood(answers: Sequence[Answer]) -> np.ndarray:
    """Log likelihood of one actor's answers, shape (θ, ρ)."""
    ordered = sorted(answers, key=lambda a: (a.chosen, a.expected, a.gold is None, a.gold or 0, a.audit))
    expected = np.array([a.expected for a in ordered], dtype=np.float64)  # (n, C)
    chosen = np.array([a.chosen for a in ordered], dtype=np.int64)
    gold = np.array([-1 if a.gold is None else a.gold for a in ordered], dtype=np.int64)
    audit = np.array([a.audit for a in ordered], dtype=bool)
    truth = _truth(expected, gold)
    right = _if_right(truth, chosen, audit | (gold >= 0))  # (n, ρ)
    blind = _if_blind(truth, chosen)  # (n,)
    total = np.zeros((len(RIGHT), len(CONFIRMING)))
    for start in range(0, len(chosen), _BLOCK):
        some = slice(start, start + _BLOCK)
        mixed = RIGHT[None, :, None] * right[some, None, :] + (1 - RIGHT)[None, :, None] * blind[some, None, None]
        total += np.log(mixed).sum(axis=0)
    return total


def _truth(expected: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """What is believed of each row's true class, shape (n, C): a reviewer's word, else the champion's."""
    believed = expected / np.maximum(expected.sum(axis=1, keepdims=True), 1e-12)
    seen = np.flatnonzero(gold >= 0)
    believed[seen] = 0.0
    believed[seen, gold[seen]] = 1.0
    return np.asarray((1 - FLOOR) * believed + FLOOR / expected.shape[1])


def _if_right(truth: np.ndarray, chosen: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Probability of the chosen label given that one was given and is right, per ρ, shape (n, ρ)."""
    rows = np.arange(len(chosen))
    top = truth.max(axis=1)[:, None]
    confirming = np.where(asked[:, None], 1.0, CONFIRMING[None, :])
    agrees = (chosen == truth.argmax(axis=1))[:, None]
    spoken = 1.0 - top + confirming * top
    return np.asarray(truth[rows, chosen][:, None] * np.where(agrees, confirming, 1.0) / np.maximum(spoken, 1e-12))


def _if_blind(truth: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Probability of the chosen label from somebody who does not look, shape (n,).

    Half habit (the actor's other answers), half chance (the champion's frequencies and uniform).
    """
    rows, classes = truth.shape
    usual = truth.mean(axis=0)
    counts = np.bincount(chosen, minlength=classes)
    habit = (counts[chosen] - 1 + HABIT_STRENGTH * usual[chosen]) / (rows - 1 + HABIT_STRENGTH)
    return np.asarray(0.5 * habit + 0.25 * usual[chosen] + 0.25 / classes)


def _posterior(scores: np.ndarray) -> np.ndarray:
    """Posterior of θ per actor, shape (A, θ), with the frequencies of ρ fitted to all actors (EM)."""
    frequency = CONFIRMING_COUNTS / CONFIRMING_COUNTS.sum()
    joint = _normalised(scores, frequency)
    for _ in range(_ROUNDS):
        honest = np.einsum("atr,t->r", joint, RIGHT)
        frequency = (CONFIRMING_COUNTS + honest) / (CONFIRMING_COUNTS + honest).sum()
        joint = _normalised(scores, frequency)
    return np.asarray(joint.sum(axis=2))


def _normalised(scores: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    raised = scores + np.log(frequency)
    joint = np.exp(raised - raised.max(axis=(1, 2), keepdims=True))
    return np.asarray(joint / joint.sum(axis=(1, 2), keepdims=True))


def _trust(density: np.ndarray, answers: int) -> Trust:
    """A density over θ as the Beta distribution of the same mean and variance."""
    mean = float(density @ RIGHT)
    variance = float(density @ (RIGHT - mean) ** 2)
    strength = max(mean * (1 - mean) / max(variance, 1e-9) - 1, 1e-3)
    low = float(RIGHT[int(np.searchsorted(np.cumsum(density), LOW))])
    return Trust(strength * mean, strength * (1 - mean), mean, low, answers)
