"""What tasks share: reading the target, choosing the metric, and refusing what does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from volant.core.protocols import Metric, Rows
from volant.core.records import Column, FeedbackKind
from volant.errors import BadInput


def inputs_of(data: Rows, target: str) -> tuple[Column, ...]:
    """The columns a model may see: inputs, never the target."""
    return tuple(column for column in data.schema.inputs if column.name != target)


def metric_of(metric: str, metrics: Mapping[str, Metric], default: str, task: str) -> str:
    """`metric`, or the default where it is empty.

    Raises:
        BadInput: code `product-file-invalid`, for a metric that the task does not have.
    """
    if metric and metric not in metrics:
        raise BadInput(
            f"the task {task} has no such metric",
            code="product-file-invalid",
            where="quality.metric",
            got=metric,
            choices=tuple(metrics),
        )
    return metric or default


def target_values(data: Rows, target: str) -> pa.Array:
    """The target's canonical values as one array.

    Raises:
        BadInput: code `target-missing`.
    """
    if target not in data.schema.names:
        raise BadInput(
            "the target column is not in the data",
            code="target-missing",
            where="task.target",
            got=target,
            choices=data.schema.names,
        )
    values = data.table([target]).column(target).combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    if values.null_count == len(values):
        raise BadInput(
            "the target column has no values",
            code="target-missing",
            where=f"column {target}",
            got=f"{len(values)} rows without a value",
            fix="fill the column in, or name another target in volant.toml",
        )
    return values


def unfit(what: str, target: str, got: str, fix: str) -> BadInput:
    """The error for a target that has values of the wrong kind."""
    return BadInput(what, code="target-unfit", where=f"column {target}", got=got, fix=fix)


def refuse_kind(kind: str, kinds: Sequence[FeedbackKind]) -> BadInput:
    """The error for a kind of feedback that the task does not take."""
    return BadInput(
        "the task does not take this kind of feedback",
        code="feedback-invalid",
        where="kind",
        got=str(kind)[:40],
        choices=[k.name for k in kinds],
    )


def feedback_choice(value: Any, choices: tuple[str, ...]) -> str:
    """`value` as one of `choices`, whatever its case.

    Raises:
        BadInput: code `feedback-invalid`.
    """
    word = value.strip().casefold() if isinstance(value, str) else ""
    if word not in choices:
        raise BadInput(
            "the value of this feedback is one of a few words",
            code="feedback-invalid",
            where="value",
            got=type(value).__name__,
            choices=choices,
            fix=f"send {' or '.join(repr(c) for c in choices)}",
        )
    return word
