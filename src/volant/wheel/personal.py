"""Personal: offsets of a product's segments or of its people, learned on what the search held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from volant.core.ids import digest
from volant.core.protocols import Rows
from volant.core.records import Batch, Column, Problem, Schema
from volant.errors import BadInput
from volant.runtime.load import Release
from volant.search.segments import Told, learn_offsets
from volant.search.trials import Found
from volant.wheel.context import Context
from volant.wheel.traffic import owner_of


def person_of(context: Context, schema: Schema) -> Column | None:
    """The column that says whose row it is, where answers are personal by it."""
    name = context.product.file.train.personal
    return schema[name] if name is not None and name == owner_of(schema) else None


def with_offsets(context: Context, rows: Rows, problem: Problem, found: Found) -> Found:
    """What was found, with an offset for each value of the column that the product file names, where they are proved.

    Raises:
        BadInput: code `product-file-invalid`: the column is no input of categories, nor that of the subjects.
    """
    name = context.product.file.train.personal
    if name is None:
        return found
    person = person_of(context, rows.schema)
    if person is None:
        _refuse_unfit(name, problem)
    if found.held_out is None:
        return found
    held = rows.take(found.held_out.positions)
    truth, predicted = context.task.encode(held, problem), found.held_out.predicted
    group, keep = (
        np.asarray(held.batch([name])[name]),
        np.flatnonzero(truth >= 0 if problem.classes else truth == truth),
    )
    told = Told(predicted, truth, held.weights(), group, held.keys()).some(keep)
    salt = (
        None if person is None else digest(["people", context.product.name, context.product.file.data.split.key])[:32]
    )
    offsets = learn_offsets(told, name, salt)
    if offsets is None:
        context.progress.say(f"no value of {name} proves an offset of its own")
        return found
    return replace(found, offsets=offsets, held_out=replace(found.held_out, predicted=offsets.apply(predicted, group)))


def to_strangers(release: Release, problem: Problem) -> Callable[[Batch], Batch]:
    """What a release answers to people whom it does not know, as those are on whose rows it is evaluated."""
    known = {column.name for column in problem.inputs}
    more = [field.name for field in release.signature.inputs if field.name not in known]
    if not more:
        return release.predict

    def predict(batch: Batch) -> Batch:
        nobody = np.full(len(next(iter(batch.values()))), None, dtype=object)
        return release.predict({**batch, **dict.fromkeys(more, nobody)})

    return predict


def _refuse_unfit(name: str, problem: Problem) -> None:
    known = {column.name: column.type for column in problem.inputs}
    if known.get(name) != "category":
        raise BadInput(
            "answers are personal by an input of categories, or by the column that names the subjects",
            code="product-file-invalid",
            where="volant.toml, train.personal",
            got=f"{name!r}, {known.get(name, 'no input')}",
            choices=[column for column, kind in known.items() if kind == "category"],
        )
