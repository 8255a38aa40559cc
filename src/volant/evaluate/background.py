"""The rows that a prediction is compared with: typical ones, of which none is a person's.

Training rows are put into groups of similar rows with similar answers. Each group gives one row, made of the
values of different members; numbers are means of several. So the rows spread as the training rows do and keep what
goes together, yet no cell of a number and no combination was anybody's.

Source: microaggregation as in Domingo-Ferrer and Mateo-Sanz, Practical Data-Oriented Microaggregation for
Statistical Disclosure Control, 2002; values of members are swapped rather than averaged, which keeps their spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from volant.core.protocols import Rows
from volant.core.records import Batch, Signature
from volant.runtime.load import Release, inside, read_json
from volant.runtime.rows import to_array, type_of

FILE = "background.json"
MOST = 64
"""Rows of a background at the most."""

LARGEST = 1e300
FEWEST = 5
"""Rows that stand behind a number or a category at the least; the same as in reference profiles."""

LEAST_GROUP = 4 * FEWEST
"""Rows of a group at the least."""

MOST_ROWS = 2_560
"""Training rows that groups are made of at the most."""

_STRATA = 8
"""Parts by answer that are cut first, so that the background's answers spread as those of the training rows."""

_DRAWN = {"number", "boolean", "timestamp", "category"}


def typical_rows(rows: Batch, outputs: np.ndarray, kinds: Mapping[str, str], *, seed: int = 0) -> dict[str, list[Any]]:
    """Up to `MOST` typical rows of training rows, as plain JSON by column.

    Args:
        rows: canonical columns, n rows each.
        outputs: the model's answers to them, (n,).
        kinds: the type of each column. Columns of types that cannot be averaged or drawn from are missing.
        seed: what chance follows from.
    """
    if len(outputs) < LEAST_GROUP:
        return {name: [None] for name in kinds}
    rng = np.random.default_rng(seed)
    if len(outputs) > MOST_ROWS:
        chosen = np.sort(rng.choice(len(outputs), MOST_ROWS, replace=False))
        rows, outputs = {name: values[chosen] for name, values in rows.items()}, outputs[chosen]
    groups = list(_groups(_space(rows, outputs, kinds), outputs))
    return {name: _drawn(rows[name], kind, groups, rng) for name, kind in kinds.items()}


def _space(rows: Batch, outputs: np.ndarray, kinds: Mapping[str, str]) -> np.ndarray:
    """The columns as ranks in [0, 1], categories by the mean answer to them: (n, columns)."""
    parts = [_place(rows[name], kind, outputs) for name, kind in kinds.items() if kind in _DRAWN]
    return np.stack(parts, axis=1) if parts else np.zeros((len(outputs), 1))


def _place(values: np.ndarray, kind: str, outputs: np.ndarray) -> np.ndarray:
    """A column as ranks in [0, 1], missing cells below them."""
    if kind == "category":
        _, place = np.unique([str(v) for v in values], return_inverse=True)
        return _ranks((np.bincount(place, outputs) / np.bincount(place))[place])
    numbers = _as_numbers(values)
    known = ~np.isnan(numbers)
    out = np.full(len(numbers), -0.5)
    out[known] = _ranks(numbers[known])
    return out


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks in [0, 1]; equal values share the middle of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    out: np.ndarray = middle[place] / max(len(values) - 1, 1)
    return out


def _as_numbers(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "M":
        numbers = values.astype("datetime64[us]").astype(np.int64).astype(np.float64)
        return np.where(np.isnat(values), np.nan, numbers)
    return values.astype(np.float64)


def _groups(space: np.ndarray, outputs: np.ndarray) -> Iterator[np.ndarray]:
    """Places of similar rows: cut by answer first, then each part in halves across its widest direction."""
    n = len(outputs)
    count = 1
    while count < MOST and n // (2 * count) >= LEAST_GROUP:
        count *= 2
    strata = min(_STRATA, count)
    order = np.argsort(outputs, kind="stable")
    for part in np.array_split(order, strata):
        yield from _halved(space, part, count // strata)


def _halved(space: np.ndarray, part: np.ndarray, count: int) -> Iterator[np.ndarray]:
    if count == 1:
        yield np.sort(part)
        return
    inner = space[part] - space[part].mean(axis=0)
    direction = np.linalg.eigh(inner.T @ inner)[1][:, -1]
    along = inner @ (direction * (1 if direction[np.abs(direction).argmax()] > 0 else -1))
    order = part[np.argsort(np.round(along, 9), kind="stable")]
    yield from _halved(space, order[: len(order) // 2], count // 2)
    yield from _halved(space, order[len(order) // 2 :], count // 2)


def _drawn(values: np.ndarray, kind: str, groups: list[np.ndarray], rng: np.random.Generator) -> list[Any]:
    if kind not in _DRAWN:
        return [None] * len(groups)
    if kind == "category":
        names, counts = np.unique([v for v in values if v is not None], return_counts=True)
        known = {str(v) for v, n in zip(names, counts, strict=True) if n >= FEWEST}
        return [_category(values[group], known, rng) for group in groups]
    numbers = _as_numbers(values)
    found = [_number(numbers[group], kind, rng) for group in groups]
    if kind == "timestamp":
        return [None if v is None else str(np.datetime64(round(v), "us")) for v in found]
    return found


def _category(values: np.ndarray, known: set[str], rng: np.random.Generator) -> str | None:
    usable = [v for v in values if v is None or v in known]
    return usable[rng.integers(len(usable))] if usable else None


def _number(values: np.ndarray, kind: str, rng: np.random.Generator) -> float | None:
    """The mean of neighbours of a random member; missing as often as members are. Absurd ones have no mean."""
    missing = np.isnan(values)
    known = np.sort(values[np.abs(values) < LARGEST])
    if rng.random() < missing.mean() or len(known) < FEWEST:
        return None
    place = int(rng.integers(len(known)))
    if kind == "boolean":
        return float(known[place])
    start = min(max(place - FEWEST // 2, 0), len(known) - FEWEST)
    near = known[start : start + FEWEST]
    return float(near[0] + np.mean(near - near[0]))


def background_of(release: Release) -> Batch:
    """The typical rows that lie in a release; else rows drawn from its profile, column by column."""
    signature = release.signature
    if inside(release.folder, FILE).is_file():
        return as_batch(read_json(release.folder, FILE)["columns"], signature)
    return as_batch(_from_profile(release.profile, signature), signature)


def left_out(signature: Signature) -> list[str]:
    """Columns of which a release keeps no cells, such as texts: they could name persons."""
    return [field.name for field in signature.inputs if field.type not in _DRAWN]


def with_texts(background: Batch, names: Sequence[str], rows: Rows, seed: int = 0) -> Batch:
    """A background whose columns `names` hold cells of `rows`, of which there is at least one."""
    size = len(next(iter(background.values())))
    places = np.resize(np.random.default_rng(seed).permutation(len(rows))[:size], size)
    return {**background, **rows.take(places).batch(names)}


def as_batch(columns: Mapping[str, list[Any]], signature: Signature) -> Batch:
    """Typical rows as the arrays that pipelines take; columns that are not there are missing."""
    size = max([len(cells) for cells in columns.values()], default=1)
    return {
        field.name: to_array(columns.get(field.name, [None] * size), type_of(field, signature))
        for field in signature.inputs
    }


def _from_profile(profile: Mapping[str, Any], signature: Signature) -> dict[str, list[Any]]:
    """Independent draws from the quantiles and shares of a release that has no typical rows of its own."""
    rng = np.random.default_rng(0)
    listed = profile.get("columns", {})
    return {field.name: _profiled(listed.get(field.name, {}), rng) for field in signature.inputs}


def _profiled(facts: Mapping[str, Any], rng: np.random.Generator) -> list[Any]:
    missing = rng.random(MOST) < facts.get("missing", 0.0)
    cells: list[Any] = [None] * MOST
    if facts.get("shares"):
        names = list(facts["shares"])
        share = np.array([facts["shares"][name] for name in names])
        cells = [names[i] for i in rng.choice(len(names), MOST, p=share / share.sum())]
    elif facts.get("quantiles") and facts.get("type") in _DRAWN:
        cells = list(rng.permutation(np.resize(np.array(facts["quantiles"], dtype=object), MOST)))
    return [None if absent else cell for absent, cell in zip(missing, cells, strict=True)]
