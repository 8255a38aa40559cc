"""Personal: offsets of a product's segments, learned on what the search held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from volant.core.protocols import Rows
from volant.core.records import Problem
from volant.errors import BadInput
from volant.search.segments import Told, learn_offsets
from volant.search.trials import Found
from volant.wheel.context import Context


def with_offsets(context: Context, rows: Rows, problem: Problem, found: Found) -> Found:
    """What was found, with an offset for each value of the column that the product file names, where they are proved.

    Raises:
        BadInput: code `product-file-invalid`: the column is no input of categories.
    """
    name = context.product.file.train.personal
    if name is None:
        return found
    known = {column.name: column.type for column in problem.inputs}
    if known.get(name) != "category":
        raise BadInput(
            "answers are personal by an input of categories alone",
            code="product-file-invalid",
            where="volant.toml, train.personal",
            got=f"{name!r}, {known.get(name, 'no input')}",
            choices=[column for column, kind in known.items() if kind == "category"],
        )
    if found.held_out is None:
        return found
    held = rows.take(found.held_out.positions)
    truth, predicted = context.task.encode(held, problem), found.held_out.predicted
    group, keep = (
        np.asarray(held.batch([name])[name]),
        np.flatnonzero(truth >= 0 if problem.classes else truth == truth),
    )
    told = Told(predicted, truth, held.weights(), group, held.keys()).some(keep)
    offsets = learn_offsets(told, name)
    if offsets is None:
        context.progress.say(f"no value of {name} proves an offset of its own")
        return found
    return replace(found, offsets=offsets, held_out=replace(found.held_out, predicted=offsets.apply(predicted, group)))
