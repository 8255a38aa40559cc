"""The closed vocabulary of pipeline steps. Each is compiled once, from its parameters, into a function.

A step takes arrays whose first dimension is the rows, and gives one such array. Adding a step raises no
version; changing what one means does. Nothing here executes anything that an artifact brings along.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volant.errors import BadInput
from volant.runtime.arrays import ARRAYS
from volant.runtime.decisions import DECISIONS
from volant.runtime.grams import grams
from volant.runtime.images import IMAGES
from volant.runtime.intervals import INTERVALS

Run = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Making:
    """What a step is made from: its parameters, its file, and how many threads it may use."""

    params: Mapping[str, Any]
    file: Path | None
    threads: int


Compile = Callable[[Making], Run]

CALENDAR = ("epoch_day", "year", "month", "day", "weekday", "day_of_year", "hour", "minute")
LARGEST = np.float64(np.finfo(np.float32).max)
LEAST = np.float64(1e-15)
"""A probability whose logarithm is taken instead of that of zero."""
STEEPEST = np.float64(700.0)
"""A power of e that still fits float64."""
TREES = b"TreeEnsemble"
"""The operators of trees, as ONNX files name them."""
LEAST_SPAN = 256
"""Rows below which a thread of their own is not worth starting."""


def cut(x: np.ndarray, low: np.float64, high: np.float64) -> np.ndarray:
    """What `np.clip` gives, which is slow for one row."""
    return np.asarray(np.minimum(np.maximum(x, low), high))


def _float(of: Making) -> Run:
    """Numbers (n,) to float32 (n, 1); infinities become the largest float32."""
    return floats


def floats(*columns: np.ndarray) -> np.ndarray:
    """What the step `float` gives for each of k columns, side by side: float32 (n, k)."""
    return _bounded(np.concatenate(columns, dtype=np.float64, casting="unsafe").reshape(len(columns), len(columns[0])))


def _bounded(columns: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(cut(columns, -LARGEST, LARGEST).astype(np.float32).T)


def floats_of(columns: Sequence[Sequence[Any]]) -> np.ndarray:
    """What `floats` gives for k columns of n numbers that are no arrays yet (None is a missing one): float32 (n, k)."""
    if len(columns[0]) == 1:
        row = [column[0] for column in columns]
        try:
            if max(row) <= LARGEST and min(row) >= -LARGEST:  # false for NaN, too
                return np.array([row], dtype=np.float32)
        except TypeError:
            pass
    return _bounded(np.array(columns, dtype=np.float64))


def _encode(of: Making) -> Run:
    """Categories (n,) to codes float32 (n, 1): the place in `vocabulary`, `other` if unseen, NaN if missing."""
    codes: dict[Any, float] = {value: float(i) for i, value in enumerate(of.params["vocabulary"])}
    codes[None] = np.nan
    other = np.nan if of.params.get("other") is None else float(of.params["other"])

    def run(x: np.ndarray) -> np.ndarray:
        return np.array([codes.get(v, other) for v in x], dtype=np.float32)[:, None]

    return run


def _place(x: np.ndarray, size: int) -> np.ndarray:
    """Codes (n, 1) as indices (n,); `size` for NaN and codes outside [0, `size`)."""
    code = x[:, 0]
    return np.where((code >= 0) & (code < size), code, size).astype(np.int64)


def _one_hot(of: Making) -> Run:
    """Codes (n, 1) to float32 (n, size); NaN and codes outside give zeros."""
    rows = np.vstack(
        [np.eye(int(of.params["size"]), dtype=np.float32), np.zeros((1, int(of.params["size"])), np.float32)]
    )
    size = int(of.params["size"])

    def run(x: np.ndarray) -> np.ndarray:
        return np.asarray(rows[_place(x, size)])

    return run


def _calendar(of: Making) -> Run:
    """Times (n,) datetime64[us] to float32 (n, 8): the parts named in `CALENDAR`, NaN if missing."""

    def run(x: np.ndarray) -> np.ndarray:
        days = x.astype("datetime64[D]")
        months = x.astype("datetime64[M]")
        years = x.astype("datetime64[Y]")
        minutes = (x - days).astype("timedelta64[m]").astype(np.float64)
        day = days.astype(np.int64)
        parts = [
            day,
            years.astype(np.int64) + 1970,
            months.astype(np.int64) % 12 + 1,
            (days - months.astype("datetime64[D]")).astype(np.int64) + 1,
            (day + 3) % 7,
            (days - years.astype("datetime64[D]")).astype(np.int64) + 1,
            minutes // 60,
            minutes % 60,
        ]
        out = np.stack([np.asarray(p, dtype=np.float32) for p in parts], axis=1)
        out[np.isnat(x)] = np.nan
        return out

    return run


def _text_statistics(of: Making) -> Run:
    """Texts (n,) to float32 (n, 4): characters, words, share of digits, share of capitals; NaN if missing."""

    def one(text: str | None) -> tuple[float, float, float, float]:
        if text is None:
            return (np.nan,) * 4
        size = max(len(text), 1)
        digits, capitals = sum(c.isdigit() for c in text), sum(c.isupper() for c in text)
        return (len(text), len(text.split()), digits / size, capitals / size)

    def run(x: np.ndarray) -> np.ndarray:
        return np.array([one(v) for v in x], dtype=np.float32).reshape(len(x), 4)

    return run


def _hash_ngrams(of: Making) -> Run:
    """Texts (n,) to float32 (n, size): hashed counts of words and character n-grams, scaled to length one.

    Words are runs of letters and digits; scripts without spaces are covered by the character n-grams.
    """
    size, low, high = int(of.params["size"]), int(of.params["low"]), int(of.params["high"])

    def grams(text: str) -> list[str]:
        folded = " ".join(text.lower().split())
        words = ["w " + word for word in folded.split(" ")]
        return words + [folded[i : i + k] for k in range(low, high + 1) for i in range(len(folded) - k + 1)]

    def run(x: np.ndarray) -> np.ndarray:
        out = np.zeros((len(x), size), dtype=np.float32)
        for row, text in enumerate(x):
            if text is not None:
                places = [zlib.crc32(gram.encode("utf-8", "replace")) % size for gram in grams(text)]
                np.add.at(out[row], places, 1.0)
        norm = np.sqrt((out**2).sum(axis=1, keepdims=True))
        np.divide(out, norm, out=out, where=norm > 0)
        return out

    return run


def _grams(of: Making) -> Run:
    """Texts (n,) to float32 (n, k): hashed words, pairs and character n-grams, those in `keep` alone.

    Each is 1 + log(count) times its `weight`; rows are scaled to length one.
    """
    size, low, high = int(of.params["size"]), int(of.params["low"]), int(of.params["high"])
    weight = np.asarray(of.params["weight"], dtype=np.float32)
    kept = len(weight)
    place = np.full(size, -1, dtype=np.int64)
    place[np.asarray(of.params["keep"], dtype=np.int64)] = np.arange(kept)

    def run(x: np.ndarray) -> np.ndarray:
        rows, buckets = grams(x, size, low, high)
        columns = place[buckets]
        known = columns >= 0
        counts = np.bincount(rows[known] * kept + columns[known], minlength=len(x) * kept).reshape(len(x), kept)
        out = np.where(counts > 0, (1 + np.log(np.maximum(counts, 1))), 0).astype(np.float32) * weight
        norm = np.sqrt((out**2).sum(axis=1, keepdims=True))
        np.divide(out, norm, out=out, where=norm > 0)
        return out

    return run


def _lookup(of: Making) -> Run:
    """Codes (n, 1) to float32 (n, k): the row of `table`, its last row for NaN and codes outside."""
    table = np.asarray(of.params["table"], dtype=np.float32)
    last = len(table) - 1

    def run(x: np.ndarray) -> np.ndarray:
        return np.asarray(table[_place(x, last)])

    return run


def _cross(of: Making) -> Run:
    """Two arrays of codes (n, 1) to codes of their pairs (n, 1): first times `size` plus second, NaN if one is."""
    size = float(of.params["size"])

    def run(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(a * np.float32(size) + b, dtype=np.float32)

    return run


def _days_between(of: Making) -> Run:
    """Two arrays of times (n,) to float32 (n, 1): days from the second to the first, NaN if one is missing."""

    def run(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        days = (a - b).astype("timedelta64[us]").astype(np.float64) / 86_400e6
        days[np.isnat(a) | np.isnat(b)] = np.nan
        return np.asarray(days.astype(np.float32)[:, None])

    return run


def _combine(of: Making) -> Run:
    """Columns of (n, k) combined: for each of `pairs` (i, j) both difference and ratio, float32 (n, 2 * pairs)."""
    left, right = np.asarray(of.params["pairs"], dtype=np.int64).reshape(-1, 2).T

    def run(x: np.ndarray) -> np.ndarray:
        a, b = x[:, left].astype(np.float64), x[:, right].astype(np.float64)
        ratio = a / np.where(np.abs(b) < 1e-9, np.nan, b)
        both = np.concatenate([a - b, ratio], axis=1)
        return cut(both, -LARGEST, LARGEST).astype(np.float32)

    return run


def _exp(of: Making) -> Run:
    """(n,) to exp(x) times `factor` minus `offset`, cut to [`low`, `high`]: undoes the logarithm of a target."""
    factor, offset = float(of.params["factor"]), float(of.params["offset"])
    low, high = np.float64(of.params["low"]), np.float64(of.params["high"])

    def run(x: np.ndarray) -> np.ndarray:
        return np.asarray(cut(np.exp(cut(x, -STEEPEST, STEEPEST)) * factor - offset, low, high))

    return run


def _stack(of: Making) -> Run:
    """Several (n, k) to one float32 (n, sum of k)."""

    def run(*parts: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.concatenate(parts, axis=1), dtype=np.float32)

    return run


def _impute(of: Making) -> Run:
    """NaN in (n, k) replaced by `fill`, one value per column; with `flag`, missingness columns are appended."""
    fill = np.asarray(of.params["fill"], dtype=np.float32)
    flags = np.asarray(of.params.get("flags", []), dtype=np.int64)

    def run(x: np.ndarray) -> np.ndarray:
        missing = np.isnan(x)
        filled = np.where(missing, fill, x)
        return np.concatenate([filled, missing[:, flags].astype(np.float32)], axis=1) if len(flags) else filled

    return run


def _scale(of: Making) -> Run:
    """(n, k) minus `center` over `spread`, one value per column, cut at ± `clip`."""
    center, spread = (
        np.asarray(of.params["center"], dtype=np.float64),
        np.asarray(of.params["spread"], dtype=np.float64),
    )
    clip = np.float64(of.params["clip"])

    def run(x: np.ndarray) -> np.ndarray:
        return cut((x - center) / spread, -clip, clip).astype(np.float32)

    return run


def _onnx(of: Making) -> Run:
    """Arrays, in the order of its inputs, through an ONNX model on the CPU; `params.output` names what is taken."""
    import onnxruntime as ort

    assert of.file is not None
    content = of.file.read_bytes()
    by_rows = of.threads if TREES in content else 1
    options = ort.SessionOptions()
    options.intra_op_num_threads = of.threads if by_rows == 1 else 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names, wanted = [one.name for one in session.get_inputs()], [str(of.params["output"])]
    inner = getattr(session, "_sess", session)  # without the checks of names, which take as long as a small model

    def run(*given: np.ndarray) -> np.ndarray:
        try:
            out: np.ndarray = inner.run(wanted, dict(zip(names, given, strict=True)), None)[0]
        except Exception as error:  # the library has no exception of its own for it
            if "alloc" in str(error):
                raise MemoryError from None
            raise
        return out

    return run if by_rows == 1 else _by_rows(run, by_rows)


def _by_rows(run: Run, threads: int) -> Run:
    """The same with the rows divided among threads: each row gives to the last bit what it gives alone.

    The library divides the trees where there is one row and adds up in another order then, so that the last bits would
    depend on threads and on the other rows.
    """

    def spans(*given: np.ndarray) -> np.ndarray:
        if len(given[0]) < threads * LEAST_SPAN:
            return run(*given)
        parts = zip(*(np.array_split(one, threads) for one in given), strict=True)
        with ThreadPoolExecutor(threads) as pool:
            return np.concatenate(list(pool.map(lambda part: run(*part), parts)))

    return spans


def _sigmoid_pair(of: Making) -> Run:
    """Margins (n, 1) of the second class to probabilities float64 (n, 2)."""

    def run(x: np.ndarray) -> np.ndarray:
        if len(x) == 1 and abs(margin := x.item()) <= STEEPEST:  # the same with fewer calls
            sure = 1.0 / (1.0 + float(np.exp(-margin)))
            return np.array([[1.0 - sure, sure]])
        positive = 1.0 / (1.0 + np.exp(-cut(x[:, 0].astype(np.float64), -STEEPEST, STEEPEST)))
        return np.stack([1.0 - positive, positive], axis=1)

    return run


def _sigmoid(of: Making) -> Run:
    """Margins (n, L) of labels to the probability float64 (n, L) of each."""
    return lambda x: np.asarray(1.0 / (1.0 + np.exp(-cut(x.astype(np.float64), -STEEPEST, STEEPEST))))


def softmax(x: np.ndarray) -> np.ndarray:
    """Margins (n, C) to probabilities float64 (n, C)."""
    e = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    out: np.ndarray = e / e.sum(axis=1, keepdims=True)
    return out


def _softmax(of: Making) -> Run:
    """Margins (n, C) to probabilities float64 (n, C)."""
    return softmax


def _first(of: Making) -> Run:
    """(n, 1) to float64 (n,): times `scale` plus `shift`, cut to [`low`, `high`] where given."""
    scale, shift = float(of.params.get("scale", 1.0)), float(of.params.get("shift", 0.0))
    low, high = of.params.get("low"), of.params.get("high")

    def run(x: np.ndarray) -> np.ndarray:
        out = x[:, 0].astype(np.float64) * scale + shift
        return np.clip(out, low, high) if low is not None or high is not None else out

    return run


def _constant(of: Making) -> Run:
    """The same `value` (a number or a list of them) for each row of its input."""
    value = np.asarray(of.params["value"], dtype=np.float64)

    def run(x: np.ndarray) -> np.ndarray:
        return np.broadcast_to(value, (len(x), *value.shape)).copy()

    return run


def _average(of: Making) -> Run:
    """The weighted mean of several arrays of one shape."""
    weights = [float(w) for w in of.params["weights"]]
    total = sum(weights)

    def run(*parts: np.ndarray) -> np.ndarray:
        return np.asarray(sum(w * p for w, p in zip(weights, parts, strict=True)) / total)

    return run


def warmed(p: np.ndarray, temperature: float, least: float = LEAST) -> np.ndarray:
    """Probabilities (n, C) proportional to p to the power 1 / `temperature`, none below `least`, about."""
    warm = softmax(np.log(cut(p, LEAST, np.float64(1.0))) / temperature)
    if least <= LEAST:
        return warm
    held = np.maximum(warm, least)
    return np.asarray(held / held.sum(axis=1, keepdims=True))


def _temperature(of: Making) -> Run:
    """Probabilities (n, C) made sharper or flatter, by the power 1 / `value`, and none below `least`."""
    value, least = float(of.params["value"]), float(of.params.get("least", LEAST))
    return lambda p: warmed(p, value, least)


def _temperatures(of: Making) -> Run:
    """Probabilities (n, L) of labels, the odds of each to the power 1 / one of `values`, none surer than `least`."""
    values, least = np.asarray(of.params["values"], dtype=np.float64), np.float64(of.params["least"])

    def run(p: np.ndarray) -> np.ndarray:
        inner = cut(p.astype(np.float64), LEAST, np.float64(1.0) - LEAST)
        warm = 1.0 / (1.0 + np.exp(-np.log(inner / (1.0 - inner)) / values))
        return cut(warm, least, np.float64(1.0) - least)

    return run


def _curves(of: Making) -> Run:
    """Probabilities (n, C) along one curve per class, each given by its points, and scaled to one again.

    With a single curve it is that of the second of two classes.
    """
    curves = [(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)) for x, y in of.params["curves"]]

    def run(p: np.ndarray) -> np.ndarray:
        if len(curves) == 1:
            positive = np.interp(p[:, 1], *curves[0])
            return np.stack([1.0 - positive, positive], axis=1)
        out = np.stack([np.interp(p[:, c], *curve) for c, curve in enumerate(curves)], axis=1)
        return np.asarray(out / out.sum(axis=1, keepdims=True))

    return run


def _decide(of: Making) -> Run:
    """Probabilities or utilities (n, C) to labels (n,): the largest, or the second of two from `threshold` on."""
    classes = np.array([*of.params["classes"], None], dtype=object)[:-1]
    threshold = of.params.get("threshold")

    def run(p: np.ndarray) -> np.ndarray:
        place = p.argmax(axis=1) if threshold is None else (p[:, 1] >= threshold).astype(np.int64)
        labels: np.ndarray = classes[place]
        return labels

    return run


def _mark(of: Making) -> Run:
    """Probabilities (n, L) of labels to bool (n, L): which are there, each from its one of `thresholds` on."""
    least = np.asarray(of.params["thresholds"], dtype=np.float64)
    return lambda p: np.asarray(p >= least)


STEPS: dict[str, Compile] = {
    "float": _float,
    "encode": _encode,
    "one_hot": _one_hot,
    "calendar": _calendar,
    "text_statistics": _text_statistics,
    "hash_ngrams": _hash_ngrams,
    "grams": _grams,
    "lookup": _lookup,
    "cross": _cross,
    "days_between": _days_between,
    "combine": _combine,
    "exp": _exp,
    "stack": _stack,
    "impute": _impute,
    "scale": _scale,
    "onnx": _onnx,
    "sigmoid": _sigmoid,
    "sigmoid_pair": _sigmoid_pair,
    "softmax": _softmax,
    "first": _first,
    "constant": _constant,
    "average": _average,
    "temperature": _temperature,
    "temperatures": _temperatures,
    "curves": _curves,
    "decide": _decide,
    "mark": _mark,
    **DECISIONS,
    **INTERVALS,
    **ARRAYS,
    **IMAGES,
}

HEAVY = frozenset(IMAGES)
"""Steps that hold much for each row."""


def compile_step(op: str, params: Mapping[str, Any], file: Path | None, threads: int) -> Run:
    """The function of a step.

    Raises:
        BadInput: code `artifact-unknown-step`.
    """
    if op not in STEPS:
        raise BadInput(
            f"this version of volant knows no pipeline step {op!r}",
            code="artifact-unknown-step",
            got=op,
            choices=list(STEPS),
            fix="upgrade volant, or train again",
        )
    return STEPS[op](Making(params, file, threads))
