"""Several columns of yes and no as one column of labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from volant.columns.missing import with_missing
from volant.core.plugins import column_type
from volant.data.sources.source import Source
from volant.errors import BadInput, Trouble, nearest

PLACE = "volant.toml, task.labels"


def joined(source: Source, target: str, labels: Sequence[str]) -> Source:
    """The source with the columns `labels` taken together as the column `target`.

    A row carries the labels whose columns say yes. Where a column is empty nothing is said of its label.

    Raises:
        BadInput: codes `column-missing`, `product-file-invalid`; when it is read `column-type`.
    """
    _refuse_unfit(source, target, labels)
    rest = [name for name in source.names if name not in labels]
    fields = [source.schema.field(name) for name in rest]
    schema = pa.schema([*fields, pa.field(target, pa.string())])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in source.batches():
            cells = _cells(batch, labels, source)
            yield pa.RecordBatch.from_arrays([*(batch.column(name) for name in rest), cells], schema=schema)

    def shown() -> pa.Table:
        assert source.shown is not None
        return pa.Table.from_batches(
            [
                pa.RecordBatch.from_arrays([*(b.column(n) for n in rest), _cells(b, labels, source)], schema=schema)
                for b in source.shown().to_batches()
            ],
            schema=schema,
        )

    return replace(source, schema=schema, batches=batches, shown=None if source.shown is None else shown)


def _refuse_unfit(source: Source, target: str, labels: Sequence[str]) -> None:
    unknown = [
        Trouble(f"there is no column {name!r}", PLACE, name, source.names, None, nearest(name, source.names))
        for name in labels
        if name not in source.names
    ]
    if unknown:
        raise BadInput("columns of the product file are not in the data", code="column-missing", troubles=unknown)
    if target in source.names or len(set(labels)) < len(labels):
        what = "labels are joined into a column of their own" if target in source.names else "a label is named twice"
        fix = "give task.target a name that no column has, and each label once"
        raise BadInput(what, code="product-file-invalid", where=PLACE, got=target, fix=fix)


def _cells(batch: pa.RecordBatch, labels: Sequence[str], source: Source) -> pa.Array:
    kind, cell = with_missing(column_type("boolean"), source.missing), column_type("labels").parse_cell
    told = np.empty((len(batch), len(labels)))
    for place, name in enumerate(labels):
        parsed = kind.parse(batch.column(name))
        if len(parsed.unreadable):
            fix = "write yes or no, true or false, 1 or 0; leave empty what nobody has said"
            what = f"the column {name!r} is no column of yes and no"
            raise BadInput(what, code="column-type", where=PLACE, got=f"{len(parsed.unreadable)} other cells", fix=fix)
        told[:, place] = kind.to_numpy(parsed.values)
    patterns, of_row = np.unique(np.where(np.isnan(told), -1, told), axis=0, return_inverse=True)
    texts = [_text(row, labels, cell) for row in patterns.tolist()]
    return pa.array(texts, pa.string()).take(pa.array(of_row.reshape(-1)))


def _text(row: Sequence[float], labels: Sequence[str], cell: object) -> str | None:
    assert callable(cell)
    said = {name: bool(value) for name, value in zip(labels, row, strict=True) if value >= 0}
    if not said:
        return None
    text: str | None = cell([name for name, there in said.items() if there] if len(said) == len(labels) else said)
    return text
