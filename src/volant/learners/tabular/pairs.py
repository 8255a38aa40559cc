"""Which pairs of columns are worth features of their own: crosses, differences and ratios, and group statistics.

A pair pays where it tells something of the target, out of fold, that its columns do not tell one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from volant.core.protocols import Rows
from volant.core.records import Column, Problem, Step
from volant.learners.tabular.matrix import Features
from volant.learners.tabular.statistics import FOLDS, folds_of, targets_of
from volant.runtime.steps import LARGEST, floats

LEAST_ROWS, MOST_ROWS = 500, 10_000
"""Rows below which chance would choose, and rows that the choice is made on."""
MOST_COLUMNS = 12
"""Columns of a kind that are paired, those that tell most by themselves."""
MOST_CELLS = 2_000
"""Pairs of categories that a cross may have."""
MOST_CHOSEN = 6
"""Pairs of each kind that are kept."""
BINS, FINE = 24, 64
"""Bins of what a pair gives, and of a number by itself: coarse ones would leave to a pair what is the number's own."""
SMOOTHING, RIDGE, TAIL = 10.0, 1e-3, 1.0
LEAST_GAIN, NOISE = 0.004, 15.0
"""Share of what the single columns leave unexplained that a pair must explain: this, and so many rows' worth."""


@dataclass(frozen=True)
class Pairs:
    """Names of columns, two at a time.

    `crossed` are categories taken together, `combined` numbers whose difference and ratio are taken, `grouped` a
    category and a number that is compared with its mean within the category.
    """

    crossed: tuple[tuple[str, str], ...] = ()
    combined: tuple[tuple[str, str], ...] = ()
    grouped: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Sample:
    """Codes (n,) of each column, numbers as they are, targets (n, k) and folds (n,)."""

    codes: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]
    targets: np.ndarray
    folds: np.ndarray


def chosen_pairs(
    data: Rows, problem: Problem, columns: Sequence[Column], categories: Mapping[str, np.ndarray], seed: int
) -> Pairs:
    """The pairs that pay. `categories` are the codes (n,) of the category columns, NaN where missing.

    Columns that predictions must be monotone in are left alone.
    """
    if len(data) < LEAST_ROWS:
        return Pairs()
    free = [c for c in columns if not c.monotone]
    sample = _sample(data, problem, free, categories, seed)
    told = {name: _out_of_fold(code, sample.targets, sample.folds) for name, code in sample.codes.items()}
    left = _left_over(sample.targets, list(told.values()))
    if not left.any():
        return Pairs()
    best = sorted(told, key=lambda name: -_gain(told[name], sample.targets - sample.targets.mean(axis=0)))
    words = [n for n in best if n in categories][:MOST_COLUMNS]
    numbers = [n for n in best if n in sample.numbers][:MOST_COLUMNS]
    return Pairs(
        _best(_crosses(words, sample), left, sample),
        _best(_combinations(numbers, sample), left, sample),
        _best(_groups(words, numbers, sample), left, sample),
    )


def _sample(
    data: Rows, problem: Problem, columns: Sequence[Column], categories: Mapping[str, np.ndarray], seed: int
) -> _Sample:
    rows = np.arange(len(data))
    if len(rows) > MOST_ROWS:
        rows = np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.int64)
    few = data.take(rows)
    batch = few.batch([c.name for c in columns if c.type == "number"])
    numbers = {name: served(values) for name, values in batch.items()}
    codes = {c.name: _whole(categories[c.name][rows]) for c in columns if c.name in categories}
    codes |= {name: _binned(values, FINE) for name, values in numbers.items()}
    return _Sample(codes, numbers, targets_of(few, problem), folds_of(few.keys(), seed))


def served(values: np.ndarray) -> np.ndarray:
    """Numbers (n,) as the step `float` gives them, the largest in the place of infinite ones."""
    return floats(values)[:, 0].astype(np.float64)


def _whole(codes: np.ndarray) -> np.ndarray:
    """Codes as indices; what is missing is a code of its own."""
    most = np.nanmax(codes, initial=0.0)
    return np.where(np.isnan(codes), most + 1, codes).astype(np.int64)


def _binned(values: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Numbers as the indices of about equally frequent bins, missing ones last."""
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else np.empty(0)
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values)).astype(np.int64)


def _out_of_fold(codes: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The smoothed mean (n, k) of targets that share a code, learned on the other folds."""
    size = int(codes.max()) + 1
    cells = folds * size + codes
    counts = np.bincount(cells, minlength=FOLDS * size).reshape(FOLDS, size).astype(np.float64)
    out = np.empty_like(targets)
    others = counts.sum(axis=0) - counts
    for k, target in enumerate(targets.T):
        sums = np.bincount(cells, weights=target, minlength=FOLDS * size).reshape(FOLDS, size)
        rest = sums.sum(axis=0) - sums
        mean = rest.sum(axis=1, keepdims=True) / np.maximum(others.sum(axis=1, keepdims=True), 1.0)
        out[:, k] = ((rest + SMOOTHING * mean) / (others + SMOOTHING))[folds, codes]
    return out


def _left_over(targets: np.ndarray, told: Sequence[np.ndarray]) -> np.ndarray:
    """What the single columns together leave unexplained of targets (n, k), without its tails."""
    left = np.empty_like(targets)
    for k, target in enumerate(targets.T):
        x = np.stack([t[:, k] for t in told] + [np.ones(len(target))], axis=1)
        square = x.T @ x + RIDGE * len(target) * np.diag(np.append(x[:, :-1].var(axis=0) + 1e-12, 0.0))
        left[:, k] = target - x @ np.linalg.lstsq(square, x.T @ target, rcond=None)[0]
    return np.clip(left, *np.percentile(left, [TAIL, 100 - TAIL], axis=0))


def _gain(guess: np.ndarray, truth: np.ndarray) -> float:
    """The share of the squares of `truth` (n, k) that a guess explains."""
    return float(1.0 - ((truth - guess) ** 2).sum() / max((truth**2).sum(), 1e-12))


def _best(
    candidates: Iterator[tuple[tuple[str, str], np.ndarray]], left: np.ndarray, sample: _Sample
) -> tuple[tuple[str, str], ...]:
    """The pairs whose codes explain most of what is left, where that is more than chance would."""
    least = max(LEAST_GAIN, NOISE / len(left))
    gains: dict[tuple[str, str], float] = {}
    for pair, codes in candidates:
        gains[pair] = max(gains.get(pair, 0.0), _gain(_out_of_fold(codes, left, sample.folds), left))
    return tuple(pair for pair in sorted(gains, key=lambda p: (-gains[p], p))[:MOST_CHOSEN] if gains[pair] > least)


def _crosses(words: Sequence[str], sample: _Sample) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    for a, b in combinations(words, 2):
        size = int(sample.codes[b].max()) + 1
        if (int(sample.codes[a].max()) + 1) * size <= MOST_CELLS:
            yield (a, b), sample.codes[a] * size + sample.codes[b]


def _combinations(numbers: Sequence[str], sample: _Sample) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    for a, b in combinations(numbers, 2):
        x, y = sample.numbers[a], sample.numbers[b]
        yield (a, b), _binned(x - y)
        yield (a, b), _binned(ratio(x, y))


def ratio(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x / y, NaN where y is about zero, as the step `combine` has it."""
    return np.asarray(x / np.where(np.abs(y) < 1e-9, np.nan, y))


def _groups(
    words: Sequence[str], numbers: Sequence[str], sample: _Sample
) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    for word in words:
        for number in numbers:
            mean = group_means(sample.codes[word], sample.numbers[number], int(sample.codes[word].max()) + 1)
            yield (word, number), _binned(sample.numbers[number] - mean[sample.codes[word]])


def group_means(codes: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """The mean (size,) of the values that share a code in [0, size); of few values it is drawn to that of all.

    The largest that there is stands for infinity, and would be all that a mean tells.
    """
    known = np.abs(values) < LARGEST  # not so of NaN
    counts = np.bincount(codes[known], minlength=size)
    sums = np.bincount(codes[known], weights=values[known], minlength=size)
    whole = float(values[known].mean()) if known.any() else 0.0
    return np.asarray((sums + SMOOTHING * whole) / (counts + SMOOTHING))


def pairs_for(features: Features, data: Rows, problem: Problem, columns: tuple[Column, ...], seed: int) -> Pairs:
    """The pairs of columns that are worth features of their own."""
    codes = {name: features.codes_of(data, f"encode:{name}") for name in features.codes}
    return chosen_pairs(data, problem, columns, codes, seed)


def crossed(features: Features, a: str, b: str) -> str:
    """The codes of two category columns taken together."""
    return features.through("cross", f"encode:{a}", f"encode:{b}", size=features.codes[b])


def add_compared(features: Features, data: Rows, pairs: Pairs) -> None:
    """Append what `compared` gives to the matrix."""
    names, width = compared(features, data, pairs)
    features.parts += names
    features.width += width


def compared(features: Features, data: Rows, pairs: Pairs) -> tuple[list[str], int]:
    """Numbers' differences from others, or from the mean of their group, and their ratios.

    Gives the names of values, one or none, and how many columns they have.
    """
    sides = [(f"float:{a}", f"float:{b}") for a, b in pairs.combined]
    for word, number in pairs.grouped:
        codes, size = features.codes_of(data, f"encode:{word}"), features.codes[word]
        values = served(data.batch([number])[number])
        means = group_means(np.where(np.isnan(codes), size, codes).astype(np.int64), values, size + 1)
        of_group = f"mean of {number} by {word}"
        table = means[:, None].astype(np.float32).tolist()
        features.steps.append(Step("lookup", (f"encode:{word}",), of_group, {"table": table}))
        sides.append((f"float:{number}", of_group))
    if not sides:
        return [], 0
    names = list(dict.fromkeys(name for both in sides for name in both))
    places = [[names.index(a), names.index(b)] for a, b in sides]
    return [features.through("combine", features.through("stack", *names), pairs=places)], 2 * len(sides)
