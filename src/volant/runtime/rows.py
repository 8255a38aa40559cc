"""Rows as callers send them (JSON objects) to the arrays that pipelines take, and answers back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from volant.columns.media import Unfit
from volant.columns.missing import with_missing
from volant.core.plugins import column_type
from volant.core.records import Batch, Field, Signature
from volant.errors import BadInput, Trouble, nearest

MOST_TROUBLES = 20


def rows_to_batch(
    rows: Sequence[Mapping[str, Any]],
    signature: Signature,
    *,
    unknown_category: str = "flag",
    most_pixels: int | None = None,
) -> tuple[Batch, list[dict[str, str]]]:
    """Convert rows by the same rules as training; gives the batch and, per row, flags by field.

    A flag is `unknown category` or `missing`. A field that training always had must be there (it may be null). Fields
    that no model sees may be sent too: they are checked and left out of the batch. Pictures may have at most
    `most_pixels`.

    Raises:
        BadInput: code `input-invalid`, with one trouble per wrong field; `media-type` and `request-too-large` where all
            that is wrong is the kind or the size of a file.
    """
    columns, flags = parse_rows(rows, signature, unknown_category=unknown_category, most_pixels=most_pixels)
    return {f.name: to_array(columns[f.name], type_of(f, signature)) for f in signature.inputs}, flags


def parse_rows(
    rows: Sequence[Mapping[str, Any]],
    signature: Signature,
    *,
    unknown_category: str = "flag",
    most_pixels: int | None = None,
) -> tuple[dict[str, list[Any]], list[dict[str, str]]]:
    """The same with canonical cells, a list per field, in the place of arrays.

    Raises:
        BadInput: as for `rows_to_batch`.
    """
    troubles: list[Trouble | _Refused] = [*_misshapen(rows, signature)]
    flags: list[dict[str, str]] = [{} for _ in rows]
    columns: dict[str, list[Any]] = {}
    for field in signature.inputs if not troubles else ():
        kind = type_of(field, signature)
        if most_pixels is not None and hasattr(kind, "most_pixels"):
            kind = replace(kind, most_pixels=min(kind.most_pixels, most_pixels))
        columns[field.name] = [_cell(row, field, kind, i, flags, troubles) for i, row in enumerate(rows)]
        if field.choices:
            _flag_unknown(columns[field.name], field, unknown_category, flags, troubles)
    for field in signature.beside:
        _check_beside(rows, field, signature, troubles)
    if troubles:
        number = "one field" if len(troubles) == 1 else f"{len(troubles)} fields"
        told = [one.trouble if isinstance(one, _Refused) else one for one in troubles[:MOST_TROUBLES]]
        raise BadInput(f"the input is not valid: {number}", code=_code(troubles), troubles=told)
    return columns, flags


@dataclass(frozen=True)
class _Refused:
    """A trouble with a file, and the code of its kind."""

    trouble: Trouble
    code: str


def _code(troubles: Sequence[Trouble | _Refused]) -> str:
    """The code that all troubles have, or the one that fits any."""
    codes = {one.code if isinstance(one, _Refused) else "input-invalid" for one in troubles}
    return codes.pop() if len(codes) == 1 else "input-invalid"


def type_of(field: Field, signature: Signature) -> Any:
    """The column type of a field, with the product's own list of texts that mean missing."""
    return with_missing(column_type(field.type), signature.missing)


def to_array(cells: Sequence[Any], kind: Any) -> np.ndarray:
    """Canonical cells as the array that pipelines take: what `kind.to_numpy` gives, shape (n,).

    The usual storages do without Arrow, whose conversion of Python values costs more than the rest of a
    prediction and imports pandas where it is installed.
    """
    if kind.storage in (pa.float64(), pa.bool_()):
        return np.array([math.nan if cell is None else cell for cell in cells], dtype=np.float64)
    if kind.storage == pa.timestamp("us"):
        return np.array(cells, dtype="datetime64[us]")
    if kind.storage == pa.string():
        texts = np.empty(len(cells), dtype=object)
        texts[:] = cells
        return texts
    array: np.ndarray = kind.to_numpy(pa.array(cells, type=kind.storage))
    return array


def _misshapen(rows: Sequence[Any], signature: Signature) -> list[Trouble]:
    if not rows:
        return [Trouble("there are no rows", "rows", "an empty list", fix="send at least one row")]
    known = {field.name: field for field in (*signature.inputs, *signature.beside)}
    troubles: list[Trouble] = []
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            troubles.append(Trouble("a row must be an object", f"rows[{i}]", type(row).__name__))
            continue
        for name in row:
            if name not in known and name != signature.target:
                meant = nearest(str(name), known)
                troubles.append(Trouble("unknown field", f"rows[{i}].{name}", str(name), tuple(known), None, meant))
        for name, field in known.items():
            if field.required and name not in row:
                troubles.append(Trouble("the field is missing", f"rows[{i}].{name}", fix="send it, or send null"))
        if len(troubles) >= MOST_TROUBLES:
            break
    return troubles


def _cell(
    row: Mapping[str, Any],
    field: Field,
    kind: Any,
    i: int,
    flags: list[dict[str, str]],
    troubles: list[Trouble | _Refused],
) -> Any:
    try:
        value = kind.parse_cell(row.get(field.name))
        if isinstance(value, float) and math.isinf(value):
            raise ValueError("a finite number was expected")
    except Unfit as cause:
        where = f"rows[{i}].{field.name}"
        trouble = Trouble(str(cause), where, fix=f"send an {field.type} that can be read")
        troubles.append(_Refused(trouble, cause.code))
        return None
    except (ValueError, OverflowError, TypeError) as cause:
        got = type(row.get(field.name)).__name__
        troubles.append(Trouble(str(cause), f"rows[{i}].{field.name}", got, fix=f"send a {field.type}"))
        return None
    if value is None and field.required:
        flags[i][field.name] = "missing"
    return value


def _check_beside(
    rows: Sequence[Mapping[str, Any]], field: Field, signature: Signature, troubles: list[Trouble | _Refused]
) -> None:
    kind = type_of(field, signature)
    for i, row in enumerate(rows):
        if isinstance(row, Mapping) and field.name in row:
            _cell(row, field, kind, i, [], troubles)


def _flag_unknown(
    cells: Sequence[Any], field: Field, policy: str, flags: list[dict[str, str]], troubles: list[Trouble | _Refused]
) -> None:
    known = set(field.choices)
    for i, value in enumerate(cells):
        if value is None or value in known:
            continue
        if policy == "refuse":
            what = "the category was never seen in training"
            troubles.append(Trouble(what, f"rows[{i}].{field.name}", field.type, field.choices[:20]))
        else:
            flags[i][field.name] = "unknown category"


def answers(outputs: Batch, signature: Signature) -> list[dict[str, Any]]:
    """The pipeline's outputs as one plain object per row.

    `classify` gives `label` and `probabilities`, `tag` gives `labels` and `probabilities`, `regress` gives `value`,
    with `low` and `high` where promised.
    """
    if signature.labels:
        return _labelled(outputs, signature.labels)
    if "probability" in outputs:
        table = outputs["probability"].tolist()
        labels = outputs["label"].tolist()
        return [
            {"label": label, "probabilities": dict(zip(signature.classes, row, strict=True))}
            for label, row in zip(labels, table, strict=True)
        ]
    names = [name for name in ("value", "low", "high") if name in outputs]
    listed = zip(*(outputs[name].tolist() for name in names), strict=True)
    return [dict(zip(names, row, strict=True)) for row in listed]


def _labelled(outputs: Batch, names: Sequence[str]) -> list[dict[str, Any]]:
    """The labels of each row, in their order, and how probable each one is."""
    return [
        {
            "labels": [name for name, there in zip(names, marked, strict=True) if there],
            "probabilities": dict(zip(names, row, strict=True)),
        }
        for marked, row in zip(outputs["labels"].tolist(), outputs["probability"].tolist(), strict=True)
    ]
