"""Runs an exported release with numpy and onnxruntime alone.

    python predict.py                       predicts for the example
    python predict.py '[{"age": 41}]'       predicts for rows
    echo '[{"age": 41}]' | python predict.py -

In a program: `Model(folder).predict(rows)`. Cells are read strictly: numbers as numbers, truth as true or false,
times as ISO 8601, missing ones as null. What volant does beyond that (other spellings, flags, the log) is left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[..., np.ndarray]
Made = Callable[[dict[str, Any], Path | None], Run]

LARGEST = np.finfo(np.float32).max
LEAST = 1e-15


def column(rows: Sequence[dict[str, Any]], field: dict[str, Any]) -> np.ndarray:
    """The cells of one field as the array that the steps take."""
    if field.get("required") and any(field["name"] not in row for row in rows):
        raise ValueError(f"the field {field['name']} is missing")
    cells = [row.get(field["name"]) for row in rows]
    if field["type"] in ("number", "boolean"):
        return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)
    if field["type"] == "timestamp":
        return np.array([_time(cell) for cell in cells], dtype="datetime64[us]")
    made = np.empty(len(cells), dtype=object)
    made[:] = [None if cell is None else str(cell) for cell in cells]
    return made


def _time(cell: str | None) -> datetime | None:
    if cell is None:
        return None
    found = datetime.fromisoformat(cell)
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)


def _float(_: dict[str, Any], __: Path | None) -> Run:
    return lambda x: np.clip(x.astype(np.float64), -LARGEST, LARGEST).astype(np.float32)[:, None]


def _encode(params: dict[str, Any], _: Path | None) -> Run:
    codes: dict[Any, float] = {value: float(i) for i, value in enumerate(params["vocabulary"])}
    codes[None] = np.nan
    other = np.nan if params.get("other") is None else float(params["other"])
    return lambda x: np.array([codes.get(value, other) for value in x], dtype=np.float32)[:, None]


def _places(x: np.ndarray, size: int) -> np.ndarray:
    code = x[:, 0]
    return np.where((code >= 0) & (code < size), code, size).astype(np.int64)


def _one_hot(params: dict[str, Any], _: Path | None) -> Run:
    size = int(params["size"])
    rows = np.vstack([np.eye(size, dtype=np.float32), np.zeros((1, size), np.float32)])
    return lambda x: rows[_places(x, size)]


def _lookup(params: dict[str, Any], _: Path | None) -> Run:
    table = np.asarray(params["table"], dtype=np.float32)
    return lambda x: table[_places(x, len(table) - 1)]


def _cross(params: dict[str, Any], _: Path | None) -> Run:
    size = np.float32(params["size"])
    return lambda a, b: (a * size + b).astype(np.float32)


def _calendar(_: dict[str, Any], __: Path | None) -> Run:
    def run(x: np.ndarray) -> np.ndarray:
        days, months, years = (x.astype(f"datetime64[{unit}]") for unit in "DMY")
        minutes, day = (x - days).astype("timedelta64[m]").astype(np.float64), days.astype(np.int64)
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
        out = np.stack([np.asarray(part, dtype=np.float32) for part in parts], axis=1)
        out[np.isnat(x)] = np.nan
        return out

    return run


def _days_between(_: dict[str, Any], __: Path | None) -> Run:
    def run(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        days = (a - b).astype("timedelta64[us]").astype(np.float64) / 86_400e6
        days[np.isnat(a) | np.isnat(b)] = np.nan
        return np.asarray(days.astype(np.float32)[:, None])

    return run


def _combine(params: dict[str, Any], _: Path | None) -> Run:
    left, right = np.asarray(params["pairs"], dtype=np.int64).reshape(-1, 2).T

    def run(x: np.ndarray) -> np.ndarray:
        a, b = x[:, left].astype(np.float64), x[:, right].astype(np.float64)
        both = np.concatenate([a - b, a / np.where(np.abs(b) < 1e-9, np.nan, b)], axis=1)
        return np.asarray(np.clip(both, -LARGEST, LARGEST).astype(np.float32))

    return run


def _stack(_: dict[str, Any], __: Path | None) -> Run:
    return lambda *parts: np.ascontiguousarray(np.concatenate(parts, axis=1), dtype=np.float32)


def _impute(params: dict[str, Any], _: Path | None) -> Run:
    fill, flags = np.asarray(params["fill"], np.float32), np.asarray(params.get("flags", []), dtype=np.int64)

    def run(x: np.ndarray) -> np.ndarray:
        missing = np.isnan(x)
        return np.concatenate([np.where(missing, fill, x), missing[:, flags].astype(np.float32)], axis=1)

    return run


def _scale(params: dict[str, Any], _: Path | None) -> Run:
    center, spread, clip = (np.asarray(params[name], dtype=np.float64) for name in ("center", "spread", "clip"))
    return lambda x: np.clip((x - center) / spread, -clip, clip).astype(np.float32)


def _onnx(params: dict[str, Any], file: Path | None) -> Run:
    import onnxruntime

    assert file is not None
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    name, output = session.get_inputs()[0].name, [str(params["output"])]
    return lambda x: np.asarray(session.run(output, {name: x})[0])


def _sigmoid_pair(_: dict[str, Any], __: Path | None) -> Run:
    def run(x: np.ndarray) -> np.ndarray:
        positive = 1.0 / (1.0 + np.exp(-np.clip(x[:, 0].astype(np.float64), -700, 700)))
        return np.stack([1.0 - positive, positive], axis=1)

    return run


def _sigmoid(_: dict[str, Any], __: Path | None) -> Run:
    return lambda x: 1.0 / (1.0 + np.exp(-np.clip(x.astype(np.float64), -700.0, 700.0)))


def softmax(x: np.ndarray) -> np.ndarray:
    """Margins to probabilities."""
    e = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _first(params: dict[str, Any], _: Path | None) -> Run:
    scale, shift = float(params.get("scale", 1.0)), float(params.get("shift", 0.0))
    low, high = (np.inf * sign if params.get(n) is None else params[n] for n, sign in (("low", -1), ("high", 1)))
    return lambda x: np.clip(x[:, 0].astype(np.float64) * scale + shift, low, high)


def _constant(params: dict[str, Any], _: Path | None) -> Run:
    value = np.asarray(params["value"], dtype=np.float64)
    return lambda x: np.broadcast_to(value, (len(x), *value.shape)).copy()


def _average(params: dict[str, Any], _: Path | None) -> Run:
    weights = [float(weight) for weight in params["weights"]]
    return lambda *parts: np.asarray(sum(w * p for w, p in zip(weights, parts, strict=True)) / sum(weights))


def _temperature(params: dict[str, Any], _: Path | None) -> Run:
    value, least = float(params["value"]), float(params.get("least", LEAST))

    def run(p: np.ndarray) -> np.ndarray:
        warm = softmax(np.log(np.clip(p, LEAST, 1.0)) / value)
        held = np.maximum(warm, least) if least > LEAST else warm
        return np.asarray(held / held.sum(axis=1, keepdims=True))

    return run


def _temperatures(params: dict[str, Any], _: Path | None) -> Run:
    values, least = np.asarray(params["values"], np.float64), params["least"]

    def run(p: np.ndarray) -> np.ndarray:
        inner = np.clip(p.astype(np.float64), LEAST, 1.0 - LEAST)
        return np.clip(1.0 / (1.0 + np.exp(-np.log(inner / (1.0 - inner)) / values)), least, 1.0 - least)

    return run


def _mark(params: dict[str, Any], _: Path | None) -> Run:
    least = np.asarray(params["thresholds"], np.float64)
    return lambda p: p >= least


def _curves(params: dict[str, Any], _: Path | None) -> Run:
    curves = [(np.asarray(x, np.float64), np.asarray(y, np.float64)) for x, y in params["curves"]]

    def run(p: np.ndarray) -> np.ndarray:
        if len(curves) == 1:
            positive = np.interp(p[:, 1], *curves[0])
            return np.stack([1.0 - positive, positive], axis=1)
        out = np.stack([np.interp(p[:, c], *curve) for c, curve in enumerate(curves)], axis=1)
        return np.asarray(out / out.sum(axis=1, keepdims=True))

    return run


def _reweigh(params: dict[str, Any], _: Path | None) -> Run:
    factors = np.asarray(params["factors"], dtype=np.float64)
    return lambda p: (p * factors) / (p * factors).sum(axis=1, keepdims=True)


def _offset_by_group(params: dict[str, Any], _: Path | None) -> Run:
    place = {value: i for i, value in enumerate(params["values"])}
    offsets = np.asarray(params["offsets"], dtype=np.float64)
    table = np.vstack([offsets, np.zeros((1, offsets.shape[1]))])
    salt = str(params.get("salt", "")).encode()[:64]

    def named(one: Any) -> Any:
        return blake2b(str(one).encode(), key=salt, digest_size=8).hexdigest() if salt and one is not None else one

    def run(answer: np.ndarray, group: np.ndarray) -> np.ndarray:
        shift = table[[place.get(named(one), len(place)) for one in group]]
        if answer.ndim == 1:
            return np.asarray(answer + shift[:, 0])
        scaled = answer * np.exp(shift)
        return np.asarray(scaled / scaled.sum(axis=1, keepdims=True))

    return run


def _utility(params: dict[str, Any], _: Path | None) -> Run:
    costs = np.asarray(params["costs"], dtype=np.float64)
    return lambda p: -(p.astype(np.float64) @ costs)


def _decide(params: dict[str, Any], _: Path | None) -> Run:
    classes, threshold = np.array([*params["classes"], None], dtype=object)[:-1], params.get("threshold")
    return lambda p: classes[p.argmax(axis=1) if threshold is None else (p[:, 1] >= threshold).astype(np.int64)]


def _exp(params: dict[str, Any], _: Path | None) -> Run:
    factor, offset, low, high = (float(params[name]) for name in ("factor", "offset", "low", "high"))
    return lambda x: np.clip(np.exp(np.clip(x, -700.0, 700.0)) * factor - offset, low, high)


def _interval_end(params: dict[str, Any], _: Path | None) -> Run:
    def run(value: np.ndarray, *margins: np.ndarray) -> np.ndarray:
        end = value.astype(np.float64) + params["shift"]
        if margins:
            margin = margins[0][:, params["column"]].astype(np.float64)
            end = end + params["factor"] * (np.exp(margin) if params["exponential"] else margin)
        if params["side"] != "low":
            return np.asarray(np.maximum(end, value))
        end = end if params.get("floor") is None else np.maximum(end, params["floor"])
        return np.asarray(np.minimum(end, value))

    return run


STEPS: dict[str, Made] = {
    "float": _float,
    "encode": _encode,
    "one_hot": _one_hot,
    "lookup": _lookup,
    "cross": _cross,
    "calendar": _calendar,
    "days_between": _days_between,
    "combine": _combine,
    "stack": _stack,
    "impute": _impute,
    "scale": _scale,
    "onnx": _onnx,
    "sigmoid": _sigmoid,
    "sigmoid_pair": _sigmoid_pair,
    "softmax": lambda _, __: softmax,
    "first": _first,
    "constant": _constant,
    "average": _average,
    "temperature": _temperature,
    "temperatures": _temperatures,
    "curves": _curves,
    "reweigh": _reweigh,
    "utility": _utility,
    "offset_by_group": _offset_by_group,
    "decide": _decide,
    "mark": _mark,
    "exp": _exp,
    "interval_end": _interval_end,
}


class Model:
    """An exported release."""

    def __init__(self, folder: Path) -> None:
        pipeline = json.loads((folder / "pipeline.json").read_text(encoding="utf-8"))
        self.signature = json.loads((folder / "signature.json").read_text(encoding="utf-8"))
        self._outputs: dict[str, str] = pipeline["outputs"]
        self._steps = [
            (STEPS[step["op"]](step.get("params", {}), self._file(folder, step)), step["inputs"], step["output"])
            for step in pipeline["steps"]
        ]

    @staticmethod
    def _file(folder: Path, step: dict[str, Any]) -> Path | None:
        return folder / Path(step["file"]).name if step.get("file") else None

    def predict(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """One answer per row: `label` or `labels` with `probabilities`, or `value`, with `low` and `high` if any."""
        values: dict[str, np.ndarray] = {field["name"]: column(rows, field) for field in self.signature["inputs"]}
        for run, inputs, output in self._steps:
            values[output] = run(*[values[name] for name in inputs])
        found = {name: values[source].tolist() for name, source in self._outputs.items()}
        if "probability" not in found:
            return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
        if names := self.signature.get("labels"):
            return [
                {
                    "labels": [name for name, there in zip(names, marks, strict=True) if there],
                    "probabilities": dict(zip(names, row, strict=True)),
                }
                for marks, row in zip(found["labels"], found["probability"], strict=True)
            ]
        classes = self.signature["classes"]
        return [
            {"label": label, "probabilities": dict(zip(classes, row, strict=True))}
            for label, row in zip(found["label"], found["probability"], strict=True)
        ]


if __name__ == "__main__":
    here = Path(__file__).parent
    given = sys.argv[1] if len(sys.argv) > 1 else (here / "example.json").read_text(encoding="utf-8")
    asked = json.loads(sys.stdin.read() if given == "-" else given)
    sys.stdout.write(json.dumps(Model(here / "model").predict(asked), indent=2) + "\n")
