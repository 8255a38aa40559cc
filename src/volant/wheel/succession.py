"""Succession: whether what the product file asks for now can still be compared with the champion."""

from __future__ import annotations

from collections.abc import Iterator

from volant.core.records import Schema, Signature
from volant.errors import BadInput, Trouble, nearest
from volant.wheel.context import Context
from volant.wheel.history import rival_release


def refuse_another_problem(context: Context, schema: Schema) -> None:
    """A challenger is judged against the champion on the same rows, so the champion must be able to answer them.

    Raises:
        BadInput: codes `product-file-invalid` (another task or target), `column-missing`, `column-type`.
    """
    champion = rival_release(context)
    if champion is None:
        return
    _refuse_another_question(context, champion.signature)
    refuse_unfit_rows(champion.signature, schema)


def refuse_unfit_rows(signature: Signature, schema: Schema) -> None:
    """Rows of `schema` must have what a release with `signature` takes.

    Raises:
        BadInput: codes `column-missing`, `column-type`.
    """
    absent = list(_absent(signature, schema))
    if absent:
        what = "the champion cannot answer the data: columns that it needs are gone"
        raise BadInput(what, code="column-missing", troubles=absent)
    turned = list(_turned(signature, schema))
    if turned:
        what = "the champion cannot answer the data: columns have other types than it was trained with"
        raise BadInput(what, code="column-type", troubles=turned)


def _refuse_another_question(context: Context, signature: Signature) -> None:
    task = context.product.file.task
    pairs = (("type", task.type, signature.task), ("target", task.target, signature.target))
    fix = "put it back, or begin another product with `volant new`"
    troubles = [
        Trouble(f"the champion was trained with {before!r}", f"volant.toml, task.{name}", now, (before,), fix)
        for name, now, before in pairs
        if now != before
    ]
    if troubles:
        what = "the product file asks another question than the champion answers"
        raise BadInput(what, code="product-file-invalid", troubles=troubles)


def _absent(signature: Signature, schema: Schema) -> Iterator[Trouble]:
    fix = "bring the column back (empty cells will do), or begin another product with `volant new`"
    for field in signature.inputs:
        if field.name not in schema.names:
            meant = nearest(field.name, schema.names)
            yield Trouble(f"the column {field.name!r} is missing", "the data", None, (), fix, meant)


def _turned(signature: Signature, schema: Schema) -> Iterator[Trouble]:
    for field in signature.inputs:
        now = schema[field.name].type
        if now != field.type:
            fix = f'write type = "{field.type}" for it in volant.toml, or begin another product with `volant new`'
            yield Trouble("the type has changed", f"column {field.name}", now, (field.type,), fix)
