"""What the columns of a table are, and what task its target poses: each answer with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from volant.columns.media import is_media
from volant.columns.missing import TOKENS
from volant.columns.number import Number
from volant.columns.sample import Sample
from volant.core import plugins
from volant.core.protocols import ColumnType, Recognition
from volant.core.records import Column, Schema
from volant.data.sources.beside import Beside
from volant.data.sources.source import Source
from volant.errors import BadInput, Trouble, nearest

SAMPLE = 10_000
"""Cells that a column type is shown."""

FEW, LARGE = 500, 20_000_000
"""Cells that it is shown where all of them hold more than so many bytes, as pictures do."""

MOST_CODES = 30
ROWS_PER_CODE = 5
_NOT_LEARNED = ("list", "json")
_TYPES_OF_ROLES = {"weight": ("number",), "time": ("timestamp", "number")}

Override = Mapping[str, str | None]
_LOST = "they end like pictures: data.files names their folder, if that is not the table's"


def infer_schema(
    sample: pa.Table,
    target: str | None,
    overrides: Mapping[str, Override] | None = None,
    *,
    task: str | None = None,
    source: Source | None = None,
) -> Schema:
    """The columns of a table with types, roles and reasons.

    Every installed column type judges every column; the surest one wins. Identifiers, columns without
    values, lists and JSON get the role `ignored`. The target is a `category` or a `number`, as its task asks.

    Args:
        sample: raw rows as a source gives them; the more, the surer.
        target: the column that is predicted.
        overrides: per column, the `type` and the `role` that the user wants; either may be None.
        task: the task, when it is known; otherwise the target tells it.
        source: where the sample comes from, if that knows more of its columns or if they may name files beside it.

    Raises:
        BadInput: codes `target-missing`, `column-missing`, `column-type` (nothing can be predicted from dates).
    """
    chosen = {name: dict(wanted) for name, wanted in (overrides or {}).items()}
    _refuse_unknown(sample, target, chosen)
    columns = []
    for name in sample.column_names:
        wanted = chosen.get(name, {})
        column = _target(sample, name, wanted, task) if name == target else _column(sample, name, wanted, source)
        columns.append(column)
    _refuse_types(columns)
    return Schema(tuple(columns))


def _refuse_types(columns: Sequence[Column]) -> None:
    """Roles whose values are reckoned with need numbers or dates."""
    wrong = [c for c in columns if c.type not in _TYPES_OF_ROLES.get(c.role, (c.type,))]
    if wrong:
        fix = "give it another role; or the right type, if volant took it for the wrong one"
        troubles = [
            Trouble(f"the role {c.role} does not go with the type {c.type}", f"columns.{c.name}", c.type,
                    _TYPES_OF_ROLES[c.role], fix) for c in wrong
        ]  # fmt: skip
        raise BadInput("columns do not have the type that their role needs", code="column-type", troubles=troubles)


def _refuse_unknown(sample: pa.Table, target: str | None, overrides: Mapping[str, Override]) -> None:
    names = sample.column_names
    if target is not None and target not in names:
        raise BadInput(
            f"there is no column {target!r} to predict",
            code="target-missing",
            where="task.target",
            got=target,
            choices=names,
            fix="name one of the columns of the data",
        )
    unknown = [
        Trouble(f"there is no column {name!r}", f"columns.{name}", name, tuple(names), None, nearest(name, names))
        for name in overrides
        if name not in names
    ]
    if unknown:
        raise BadInput("columns of the product file are not in the data", code="column-missing", troubles=unknown)


def _target(sample: pa.Table, name: str, wanted: Override, task: str | None) -> Column:
    if wanted.get("type"):
        return Column(name, str(wanted["type"]), "target", "as the product file says")
    if task is not None:
        return Column(name, str(plugins.load("tasks", task).target_type), "target", f"what {task} predicts")
    task, reason = infer_task(sample.column(name), name)
    return Column(name, str(plugins.load("tasks", task).target_type), "target", reason)


def _column(sample: pa.Table, name: str, wanted: Override, source: Source | None) -> Column:
    if wanted.get("type"):
        kind, reason = str(wanted["type"]), "as the product file says"
        return Column(name, kind, wanted.get("role") or "input", reason)
    if source is not None and name in source.hints:
        hint = source.hints[name]
        return Column(name, hint.type, wanted.get("role") or hint.role, hint.reason)
    kind, role, reason = _recognised(name, sample.column(name), source)
    return Column(name, kind, wanted.get("role") or role, reason)


def _recognised(name: str, values: pa.ChunkedArray, source: Source | None) -> tuple[str, str, str]:
    """Type, role and reason of a column by its values."""
    beside = None if source is None or source.beside is None else Beside(source.beside)
    if beside is not None and beside.names_files(values):
        kind, role, reason = _recognised(name, pa.chunked_array([beside.sample(values)]), None)
        if is_media(kind):
            return kind, role, f"paths of files beside the table; {reason}"
    lost = beside is not None and beside.names_pictures(values)
    shown = _shown(values)
    if not len(shown):
        return "category", "ignored", f"no values in {len(values):,} rows"
    judged = {kind: one.recognise(name, shown) for kind, one in plugins.load_all("columns").items()}
    for kind in sorted(judged, key=lambda kind: -judged[kind].confidence):
        if judged[kind].confidence == 0.0:
            break
        if kind != "boolean" or _reads_all(plugins.column_type(kind), values):
            reason = _explained(kind, judged[kind])
            return kind, _role(kind), f"{reason}; {_LOST}" if lost else reason
    return "text", "ignored", f"cells of type {values.type}, which no column type reads"


def _shown(values: pa.ChunkedArray) -> pa.Array:
    """At most 10,000 cells that are not missing, evenly spread over the column."""
    array = Sample.of(values, TOKENS).cells
    most = SAMPLE if array.nbytes <= LARGE else FEW
    if len(array) <= most:
        return array
    return array.take(pa.array(np.linspace(0, len(array) - 1, most).astype(np.int64)))


def _reads_all(kind: ColumnType, values: pa.ChunkedArray) -> bool:
    """Whether a type reads every cell: a count that is mostly 0 and 1 is no truth value."""
    return not any(len(kind.parse(chunk).unreadable) for chunk in values.chunks)


def _role(kind: str) -> str:
    return "ignored" if kind == "id" or kind in _NOT_LEARNED else "input"


def _explained(kind: str, judged: Recognition) -> str:
    if kind == "id":
        return f"{judged.reason}; identifiers tell nothing about new rows"
    return f"{judged.reason}; nothing is learned from {kind} columns" if kind in _NOT_LEARNED else judged.reason


def infer_task(values: pa.Array | pa.ChunkedArray, name: str) -> tuple[str, str]:
    """The task that a target poses, `classify`, `regress` or `tag`, and why.

    Lists are labels, of which a row may carry several. Texts and truth values are classes. Whole numbers are classes
    where there are only two of them, or where they are few (at most 30, with 5 rows each on average) and numbered from
    0 or 1 without large gaps, as codes are. Whole numbers that begin elsewhere, such as marks from 3 to 9, and numbers
    with decimals are measurements.

    Raises:
        BadInput: code `target-missing` when there are no values; `column-type` for dates, lists and bytes.
    """
    sample = Sample.of(values, TOKENS)
    if not sample.rows:
        fix = "choose a target that has values, or mend data.missing"
        raise BadInput(f"the target {name!r} has no values", code="target-missing", where=name, fix=fix)
    if sample.kind == "truth":
        return "classify", "the target is true or false"
    if pa.types.is_list(sample.cells.type) or pa.types.is_large_list(sample.cells.type):
        return "tag", "the target is a list of labels"
    if sample.kind not in ("text", "number"):
        fix = "derive a number or a category from it, and predict that"
        raise BadInput(
            "the target is neither numbers nor classes",
            code="column-type",
            where=name,
            got=str(values.type),
            choices=["number", "category", "boolean"],
            fix=fix,
        )
    number: Any = Number()
    if sample.kind == "text" and number.recognise("", _shown(pa.chunked_array([sample.cells]))).confidence < 0.5:
        return "classify", f"the target is one of {sample.distinct:,} texts"
    return _of_numbers(number.parse(sample.cells).values.drop_null())


def _of_numbers(values: pa.Array) -> tuple[str, str]:
    codes = np.unique(values.to_numpy(zero_copy_only=False))
    rows, count = len(values), len(codes)
    whole = bool(np.isfinite(codes).all() and (codes == np.floor(codes)).all())
    if not whole:
        return "regress", f"the target is a number with decimals, {count:,} distinct in {rows:,} rows"
    if count <= 2:
        return "classify", f"the target has {count} distinct number{'s' if count > 1 else ''}"
    if codes[0] not in (0.0, 1.0):
        return "regress", f"the target is a whole number that is not numbered from 0 or 1, {count:,} distinct"
    few = count <= MOST_CODES and count * ROWS_PER_CODE <= rows
    dense = codes[-1] - codes[0] < 2 * count
    if few and dense:
        return "classify", f"the target is one of {count} codes, numbered from {codes[0]:.0f}"
    return "regress", f"the target is a whole number, {count:,} distinct in {rows:,} rows"


__all__ = ["infer_schema", "infer_task"]
