"""Which fits make the release: the best ensemble there is, and the best within what a release may weigh and take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from volant.columns.media import in_hand
from volant.core.protocols import Rows
from volant.search.ensemble import ROUNDS, greedy_weights
from volant.search.fits import Fit
from volant.search.lasts import MOST, SLIGHT, Spare
from volant.search.trials import Rules, Trial

CANDIDATES = 12
"""Trials, the best ones, that are combined."""
MARGIN = 0.8
"""Share of a limit that the fits on folds may reach: the last fits, on all rows, are larger."""
EXTRA = 0.9
"""Share of that which further fits of the same members may fill as well."""
STUDENTS = 2
BETWEEN = 1 << 20
"""Numbers that are read between two rows when a fit is timed: as much memory as a release of some size takes."""
LEADERS, LOOKED_AT = 6, 4_000
"""Trials, and about how many of their rows, that tell what would be combined now."""
HEAVY = 0.5
"""Weight from which time is kept for a second last fit, at another seed, of what gains by it."""

Loss = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Choice:
    """Weights of the trials, one each: `full` of the best ensemble, `small` of the best within the limits.

    `bagged` are the places of those that make the small one as they are, by the mean of their fits on folds: for the
    rest there is time to be fitted once more, on all rows. `rows` were held out, and the losses speak of them.
    `spare` is what the limits leave beside the small one.
    """

    done: Sequence[Trial]
    full: list[float]
    small: list[float]
    bagged: frozenset[int]
    full_loss: float
    loss: float
    rows: np.ndarray
    spare: Spare

    def mixed(self, weights: Sequence[float]) -> np.ndarray:
        """The weighted mean of the trials' predictions for `rows`."""
        return _mixed([_held(t, self.rows) for t in self.done], weights)


def held_out(done: Sequence[Trial]) -> np.ndarray:
    """The places (n,) of the rows that the trials predicted without having seen them."""
    first = done[0].predicted
    assert first is not None
    return np.flatnonzero(~np.isnan(first.reshape(len(first), -1)).any(axis=1))


def choose(
    done: Sequence[Trial],
    rows: np.ndarray,
    loss: Loss,
    rules: Rules,
    sample: Rows | None,
    seconds: float = float("inf"),
) -> Choice:
    """Combine the best trials; `loss` takes predictions for `rows`.

    `sample` is a row to measure how long one takes. Without it no clock is read: that limit is left to the gate.
    `seconds` is what the last fits of the chosen may take, side by side.
    """
    losses = [loss(_held(t, rows)) for t in done]
    places = sorted(range(len(done)), key=lambda i: losses[i])[:CANDIDATES]
    arrays = [_held(done[i], rows) for i in places]
    rounds = ROUNDS if rules.ensemble else 1
    full = greedy_weights(arrays, loss, rounds=rounds)
    room = np.array([MARGIN * rules.most_bytes, MARGIN * rules.most_milliseconds, seconds * rules.threads])
    weighed = cache(lambda i: size_of(done[i], sample))  # it is measured: once for each, and only if need be
    once = {i: min(done[i].again, seconds) if MOST * done[i].again <= seconds else np.inf for i in places}
    small, bagged = full, frozenset[int]()
    used = [i for i, weight in zip(places, full, strict=True) if weight]
    if (sum(np.append(weighed(i), once[i]) for i in used) > room).any():
        lasts = [np.append(weighed(i), once[i]) for i in places]
        bags = [np.append(len(done[i].fits) * weighed(i), 0.0) for i in places]
        sizes = np.stack(lasts + bags)
        both = greedy_weights([*arrays, *arrays], loss, sizes=sizes, room=room, rounds=rounds)
        by_last, by_bag = both[: len(places)], both[len(places) :]
        small = [a + b for a, b in zip(by_last, by_bag, strict=True)]
        bagged = frozenset(i for i, weight in zip(places, by_bag, strict=True) if weight)
    members = {i: weighed(i) for i, weight in zip(places, small, strict=True) if weight}
    taken = [(len(done[i].fits) if i in bagged else 1) * size for i, size in members.items()]
    spare = Spare(
        EXTRA * room[:2] - np.sum(taken, axis=0), {done[i].configuration.key: size for i, size in members.items()}
    )
    return Choice(
        done,
        _spread(full, places, len(done)),
        _spread(small, places, len(done)),
        bagged,
        loss(_mixed(arrays, full)),
        loss(_mixed(arrays, small)),
        rows,
        spare,
    )


def leaders(
    done: Sequence[Trial],
    loss: Callable[[np.ndarray, np.ndarray], float],
    rules: Rules,
    sizes: Callable[[Trial], np.ndarray],
) -> list[Trial]:
    """Which trials would be combined within the limits and need a last fit, judged in haste.

    Those whose fits on folds would fit in together need none; one that makes most of the ensemble and is better by the
    mean of two is named twice. `loss` takes predictions for rows and their places, `sizes` gives bytes and
    milliseconds (2,) of a trial.
    """
    rows = held_out(done) if done else np.empty(0, dtype=np.int64)
    rows = rows[:: max(len(rows) // LOOKED_AT, 1)]
    ranked = sorted(done, key=lambda t: loss(_held(t, rows), rows))[:LEADERS]
    if not ranked:
        return []
    room = MARGIN * np.array([rules.most_bytes, rules.most_milliseconds])
    weighed = np.stack([sizes(t) for t in ranked])
    arrays = [_held(t, rows) for t in ranked]
    weights = greedy_weights(arrays, lambda p: loss(p, rows), sizes=weighed, room=room)
    combined = [i for i, weight in enumerate(weights) if weight]
    room = room - weighed[combined].sum(axis=0)
    last = []
    for i in sorted((i for i in combined if weights[i] >= SLIGHT), key=lambda i: -ranked[i].again):
        more = (len(ranked[i].fits) - 1) * weighed[i]
        if len(ranked[i].fits) > 1 and (more <= room).all():
            room = room - more
        else:
            last += [ranked[i]] * (2 if weights[i] >= HEAVY and ranked[i].restarts else 1)
    return last


def students(done: Sequence[Trial], loss: Callable[[Trial], float], most_bytes: float) -> list[Trial]:
    """The best trials that are small enough to be taught, of different learners."""
    found: dict[str, Trial] = {}
    for trial in sorted(done, key=loss):
        if trial.bytes <= most_bytes and trial.configuration.lesson is None:
            found.setdefault(trial.learner, trial)
    return list(found.values())[:STUDENTS]


def _held(trial: Trial, rows: np.ndarray) -> np.ndarray:
    assert trial.predicted is not None
    held: np.ndarray = trial.predicted[rows]
    return held


def _mixed(arrays: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    return np.asarray(sum(w * p for w, p in zip(weights, arrays, strict=True) if w))


def _spread(weights: Sequence[float], places: Sequence[int], size: int) -> list[float]:
    """Weights of some trials as weights of all."""
    out = [0.0] * size
    for place, weight in zip(places, weights, strict=True):
        out[place] = weight
    return out


def size_of(trial: Trial, sample: Rows | None) -> np.ndarray:
    """What a trial would weigh and take: bytes, and milliseconds for one row (0 where there is none)."""
    return np.array([trial.bytes, _milliseconds(trial.fits[0], sample)])


def _milliseconds(fit: Fit, sample: Rows | None) -> float:
    """What one row takes, the median of a few; 0 without a row.

    Between two of them other memory is read: beside other members, no fit finds its own in the cache.
    """
    if sample is None:
        return 0.0
    run = fit.runner(1)
    batch = {name: in_hand(values) for name, values in sample.batch(fit.inputs(sample)).items()}
    times, besides = [], np.ones(BETWEEN)
    for _ in range(12):
        besides.sum()
        started = time.perf_counter()
        run.predict(batch)
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times)
