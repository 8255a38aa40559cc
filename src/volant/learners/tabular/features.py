"""From columns to one float32 matrix: the steps are fitted here and run by the runtime, in training as in serving."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from volant.columns.media import is_media
from volant.core.protocols import Rows
from volant.core.records import Batch, Column, Pipeline, Problem, Step, Support
from volant.learners.tabular.matrix import Features
from volant.learners.tabular.pairs import Pairs, add_compared, compared, crossed, pairs_for
from volant.learners.tabular.selection import chosen_grams
from volant.learners.tabular.statistics import statistics
from volant.runtime.load import Runner
from volant.runtime.steps import CALENDAR

RARE = 5
"""Categories with fewer rows are folded together: they teach little, and a vocabulary must not name a person."""
MOST_CATEGORIES = 1_000
FEW_CATEGORIES = 6
"""Categories up to which a column of statistics is joined by one column per category."""
MOST_TIMES = 4
"""Columns of times whose differences are taken, two at a time."""
MOST_CROSSED = 256
"""Pairs of categories up to which a cross becomes one column per pair."""
TREE_GRAMS, LINEAR_GRAMS = 128, 768
"""n-grams that are kept per column of text: trees look at each one, a line adds up many."""
CLIP = 8.0
USABLE = frozenset({"number", "boolean", "category", "timestamp", "text"})


def usable(problem: Problem) -> tuple[Column, ...]:
    """The input columns that learners for tables can use."""
    return tuple(c for c in problem.inputs if c.type in USABLE)


SIGNS = {"increasing": 1, "decreasing": -1, "": 0}
"""What a column's `monotone` asks of predictions, as libraries take it."""


def support(problem: Problem, *, monotone: bool = False, labels: bool = False, missing: str = "") -> Support:
    """Whether a learner of classes and numbers can take the problem; `monotone` if it can keep to directions.

    `labels` tells that it learns several labels per row, too; `missing` is the extra that it needs and does not find.
    """
    if missing:
        return Support(False, f"it needs more to be installed: {missing}")
    if problem.task not in (("classify", "regress", "tag") if labels else ("classify", "regress")):
        return Support(False, f"it does not learn the task {problem.task}")
    if not monotone and any(column.monotone for column in problem.inputs):
        return Support(False, "it cannot promise that predictions are monotone in a column")
    files = sorted(kind for kind in problem.types() - USABLE if is_media(kind))
    if usable(problem):
        return Support(True, f"it sees no {' or '.join(files)} columns" if files else "")
    if files:
        return Support(False, f"{', '.join(files)}: it learns from numbers, categories, times and texts alone")
    return Support(False, "none of the input columns is a number, category, time or text")


def answer(
    features: Features,
    file: str,
    margins: int,
    *,
    classes: int,
    scale: float,
    shift: float,
    labels: bool = False,
) -> Pipeline:
    """The pipeline of a model that gives margins (n, `margins`): probabilities of classes or of labels, or a number."""
    steps = [*features.steps, Step("onnx", ("matrix",), "margin", {"output": "y"}, file)]
    if labels:
        steps.append(Step("sigmoid", ("margin",), "probability"))
        return Pipeline(tuple(steps), {"probability": "probability"})
    if classes:
        steps.append(Step("sigmoid_pair" if margins == 1 else "softmax", ("margin",), "probability"))
        return Pipeline(tuple(steps), {"probability": "probability"})
    steps.append(Step("first", ("margin",), "value", {"scale": scale, "shift": shift}))
    return Pipeline(tuple(steps), {"value": "value"})


def vocabulary(data: Rows, name: str) -> list[str]:
    """The categories of a column with at least `RARE` rows (two in tiny data), most frequent first."""
    counted = data.table([name]).column(0).drop_null().value_counts()
    least = min(RARE, max(2, len(data) // 20))
    kept = [(pair["values"], pair["counts"]) for pair in counted.to_pylist() if pair["counts"] >= least]
    return [v for v, _ in sorted(kept, key=lambda pair: (-pair[1], pair[0]))[:MOST_CATEGORIES]]


def tree_features(data: Rows, problem: Problem, seed: int = 0, *, paired: bool = True) -> Features:
    """Codes of categories as they are, numbers as they are, missing values as NaN.

    With `paired`, differences and ratios that pay are features of their own.
    """
    columns = usable(problem)
    features = Features(columns=tuple(c.name for c in columns))
    for column in columns:
        if column.type == "category":
            features.categorical.append(features.width)
            features.parts.append(features.encoded(column.name, vocabulary(data, column.name)))
            features.width += 1
        else:
            _add_plain(features, data, problem, column)
    _add_days_between(features, columns)
    if paired:
        add_compared(features, data, pairs_for(features, data, problem, columns, seed))
    return features.finish()


def encoded_features(data: Rows, problem: Problem, seed: int = 0) -> Features:
    """Numbers alone, for learners that know no categories: a category becomes what is known of its rows' targets.

    Use `train` for the rows that it was fitted on: there the statistics of targets are out of fold.
    """
    columns = usable(problem)
    features = Features(columns=tuple(c.name for c in columns))
    for column in columns:
        if column.type == "category":
            _add_statistics(features, data, problem, column, seed)
        else:
            _add_plain(features, data, problem, column)
    _add_days_between(features, columns)
    pairs = pairs_for(features, data, problem, columns, seed)
    for a, b in pairs.crossed:
        _add_learned(features, data, problem, crossed(features, a, b), features.codes[a] * features.codes[b], seed)
    add_compared(features, data, pairs)
    return features.finish()


def _add_plain(features: Features, data: Rows, problem: Problem, column: Column) -> None:
    """The parts of a column that is no category, for learners that split on one number at a time."""
    if column.type == "timestamp":
        features.add("calendar", column.name, len(CALENDAR))
    elif column.type == "text":
        features.add("text_statistics", column.name, 4)
        _add_grams(features, data, problem, column.name, TREE_GRAMS)
    else:
        if column.monotone:
            features.signs[features.width] = SIGNS[column.monotone]
        features.add("float", column.name, 1)


def _add_grams(features: Features, data: Rows, problem: Problem, name: str, most: int) -> None:
    chosen = chosen_grams(data, problem, name, most)
    if chosen["keep"]:
        features.add("grams", name, len(chosen["keep"]), **chosen)


def _add_days_between(features: Features, columns: tuple[Column, ...]) -> None:
    times = [c.name for c in columns if c.type == "timestamp"][:MOST_TIMES]
    for i, later in enumerate(times):
        for earlier in times[:i]:
            features.parts.append(features.through("days_between", later, earlier))
            features.width += 1


def _add_statistics(features: Features, data: Rows, problem: Problem, column: Column, seed: int) -> None:
    words = vocabulary(data, column.name)
    code = features.encoded(column.name, words)
    if len(words) <= FEW_CATEGORIES:
        features.add("one_hot", code, len(words) + 1, size=len(words) + 1)
    if len(words) > 2:
        _add_learned(features, data, problem, code, len(words) + 1, seed)


def _add_learned(features: Features, data: Rows, problem: Problem, code: str, size: int, seed: int) -> None:
    """What is known of the targets of rows that share a code in [0, size)."""
    learned = statistics(features.codes_of(data, code), size, data, problem, seed)
    features.learned.append((features.width, learned))
    features.add("lookup", code, learned.table.shape[1], table=learned.table.tolist())


def linear_features(data: Rows, problem: Problem, seed: int = 0, *, paired: bool = True) -> Features:
    """One column per category, numbers centred and scaled robustly, missing values filled and flagged.

    With `paired`, pairs of columns that pay have features of their own.
    """
    return unfinished_linear(data, problem, seed, paired=paired).finish()


def unfinished_linear(data: Rows, problem: Problem, seed: int = 0, *, paired: bool = True) -> Features:
    """The same, to which more can be added before it is finished."""
    columns = usable(problem)
    features = Features(columns=tuple(c.name for c in columns))
    batch = data.batch(features.columns)
    numeric: list[str] = []
    signs: list[int] = []
    for column in columns:
        if column.type == "category":
            words = vocabulary(data, column.name)
            features.add("one_hot", features.encoded(column.name, words), len(words) + 1, size=len(words) + 1)
        elif column.type == "text":
            _add_grams(features, data, problem, column.name, LINEAR_GRAMS)
        else:
            op = "calendar" if column.type == "timestamp" else "float"
            numeric.append(features.through(op, column.name))
            signs += [0] * len(CALENDAR) if column.type == "timestamp" else [SIGNS[column.monotone]]
    pairs = pairs_for(features, data, problem, columns, seed) if paired else Pairs()
    for a, b in pairs.crossed:
        size = features.codes[a] * features.codes[b]
        if size > MOST_CROSSED:
            continue
        features.add("one_hot", crossed(features, a, b), size, size=size)
    sides, width = compared(features, data, pairs)
    numeric += sides
    signs += [0] * width
    features.signs = {features.width + i: sign for i, sign in enumerate(signs) if sign}
    if numeric:
        _add_numbers(features, batch, numeric)
    return features


def _add_numbers(features: Features, batch: Batch, numeric: list[str]) -> None:
    features.steps.append(Step("stack", tuple(numeric), "numbers"))
    x = Runner(Pipeline(tuple(features.steps), {"x": "numbers"}), Path()).predict(batch)["x"].astype(np.float64)
    missing = np.isnan(x)
    some = missing.any(axis=0) & ~missing.all(axis=0)
    center = np.array([np.median(c[~m]) if not m.all() else 0.0 for c, m in zip(x.T, missing.T, strict=True)])
    filled = np.where(missing, center, x)
    spread = _spread(filled)
    flags = np.flatnonzero(some)
    source = features.through("impute", "numbers", fill=center.tolist(), flags=flags.tolist())
    extra = len(flags)
    features.add(
        "scale",
        source,
        x.shape[1] + extra,
        center=[*center.tolist(), *missing[:, flags].mean(axis=0).tolist()],
        spread=[*spread.tolist(), *[0.5] * extra],
        clip=CLIP,
    )


def _spread(x: np.ndarray) -> np.ndarray:
    """A scale per column: the standard deviation of the values between the 1st and the 99th percentile."""
    low, high = np.percentile(x, [1, 99], axis=0)
    spread = np.clip(x, low, high).std(axis=0)
    out: np.ndarray = np.where(spread > 0, spread, 1.0)
    return out
