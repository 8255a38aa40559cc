"""From columns to what networks take: scaled numbers, one column per category, and codes for embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from volant.core.protocols import Rows
from volant.core.records import Batch, Pipeline, Problem, Step
from volant.learners.tabular.features import RARE, usable, vocabulary
from volant.learners.tabular.matrix import Features
from volant.learners.tabular.pairs import compared, pairs_for
from volant.learners.tabular.selection import chosen_grams
from volant.neural.architecture import Inputs
from volant.runtime.load import Runner

LIMIT = 100.0
"""Scaled numbers are cut here; the network squashes them smoothly before that."""
MOST_GRAMS = 256
"""n-grams that are kept per column of text."""


@dataclass(frozen=True)
class Layout:
    """Fitted steps, and what lies where in their matrix."""

    features: Features
    inputs: Inputs


def network_features(data: Rows, problem: Problem, seed: int = 0) -> Layout:
    """Fit the steps: numbers, pairs of them that pay, flags of missing ones, n-grams of texts, codes of categories."""
    columns = usable(problem)
    features = Features(columns=tuple(c.name for c in columns))
    batch = data.batch(features.columns)
    values = [
        features.through("calendar" if c.type == "timestamp" else "float", c.name)
        for c in columns
        if c.type not in ("category", "text")
    ]
    values += compared(features, data, pairs_for(features, data, problem, columns, seed))[0]
    numbers = _add_numbers(features, batch, values)
    for column in columns:
        if column.type == "text":
            chosen = chosen_grams(data, problem, column.name, MOST_GRAMS)
            if chosen["keep"]:
                features.add("grams", column.name, len(chosen["keep"]), **chosen)
    plain = features.width - numbers
    sizes = _add_codes(features, data, batch, [c.name for c in columns if c.type == "category"])
    return Layout(features.finish(), Inputs(numbers, plain, sizes))


def _add_codes(features: Features, data: Rows, batch: Batch, names: list[str]) -> tuple[int, ...]:
    """One code per category; gives how many each has: its values, one for rare ones, one for missing ones.

    Unseen ones share the code of the rare, or count as missing where none was rare: nothing would be known of them.
    """
    if not names:
        return ()
    codes, words = [], [vocabulary(data, name) for name in names]
    for name, known in zip(names, words, strict=True):
        rare = set(batch[name]) - {None, *known}
        codes.append(features.through("encode", name, vocabulary=known, other=len(known) if rare else None))
    features.steps.append(Step("stack", tuple(codes), "codes"))
    features.add("impute", "codes", len(names), fill=[float(len(known) + 1) for known in words])
    return tuple(len(known) + 2 for known in words)


def _add_numbers(features: Features, batch: Batch, values: list[str]) -> int:
    """Fill, scale and cut numbers; gives how many there are. Flags of missing ones follow as plain columns."""
    if not values:
        return 0
    features.steps.append(Step("stack", tuple(values), "numbers"))
    x = Runner(Pipeline(tuple(features.steps), {"x": "numbers"}), Path()).predict(batch)["x"].astype(np.float64)
    missing = np.isnan(x)
    flags = np.flatnonzero((missing.sum(axis=0) >= min(RARE, len(x))) & ~missing.all(axis=0))
    center, spread = _robust(x)
    source = features.through("impute", "numbers", fill=center.tolist(), flags=flags.tolist())
    features.add(
        "scale",
        source,
        x.shape[1] + len(flags),
        center=[*center.tolist(), *[0.0] * len(flags)],
        spread=[*spread.tolist(), *[1.0] * len(flags)],
        clip=LIMIT,
    )
    return int(x.shape[1])


def _robust(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The median and the quartile distance of each column (n, k), or half its range where that is zero.

    Source: Holzmüller et al., Better by Default (NeurIPS 2024), section 3.1.
    """
    center, spread = np.zeros(x.shape[1]), np.ones(x.shape[1])
    for i, column in enumerate(x.T):
        known = column[~np.isnan(column)]
        if len(known):
            low, center[i], high = np.quantile(known, [0.25, 0.5, 0.75])
            wide = high - low or (known.max() - known.min()) / 2
            spread[i] = wide if np.isfinite(wide) and wide > 0 else 1.0
    return center, spread
