"""Training a network for pictures by torch, from the beginning or from what another one ended with."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from volant.core.protocols import RunContext
from volant.core.records import Problem
from volant.learners.image.fitting import Fitting, Learned
from volant.learners.tabular.boosting import Hours
from volant.neural.image.design import Augmentation, Design, Recipe

if TYPE_CHECKING:
    from volant.neural.image.network import ImageNetwork
    from volant.neural.image.rows import ImageRows

TRAINING, AFTER = 0.88, 20.0
"""Share of a fit's time that is left after decoding which goes into training; the rest exports and tries it.

However long the training was, that takes no more than so many seconds.
"""
FINDING = 0.15
"""Share of the time at hand that looking for a rate may take."""
COMPARED, COMPARED_LAST = 64, 1_024
"""Rows that an export is compared on, and those of a last fit, which serves, where there is time."""
RESUMED, SLOWER = 0.7, 0.3
"""Shares of the epochs and of the rates with which a network goes on from what it learned before."""


def time_to_train(hours: Hours) -> float:
    """Seconds for the training itself, of those that a fit has left."""
    return max(hours.left(TRAINING), hours.left(1.0) - AFTER)


def trained(
    rows: ImageRows,
    judges: ImageRows | None,
    fitting: Fitting,
    problem: Problem,
    context: RunContext,
    hours: Hours,
    earlier: Learned | None = None,
) -> tuple[bytes, dict[str, Any], Learned]:
    """The exported network, facts about its training, and what another may go on from."""
    from volant.neural.image.export import exported_network
    from volant.neural.loop import torch_threads

    outputs = max(len(problem.classes), len(problem.labels), 1)
    with torch_threads(context.threads):
        begin = _fresh if earlier is None else partial(_begun, earlier)
        network, design, recipe = begin(rows, outputs, fitting, context, hours)
        fitting = replace(fitting, recipe=recipe)
        found = _taught(network, rows, judges, design, fitting, context, hours, earlier)
        epochs = found.epochs if earlier is None else earlier.epochs
        names = recipe.augmentation.names
        rate = recipe.rate if earlier is None else earlier.rate
        learned = Learned(design, recipe.batch, rate, epochs, names, _state(network, fitting))
        count = COMPARED if judges is not None else _compared(found.rows_per_second, hours)
        some = rows.batch(np.linspace(0, len(rows) - 1, min(count, max(2, len(rows)))).astype(np.int64))
        model = exported_network(network, some[0], *some[3:])
    facts = {"epochs": found.epochs, "best": round(found.best, 4), "falls": found.falls, "weights": network.size()}
    facts["rate"] = recipe.rate
    return model, {**facts, "widths": list(design.widths), "flip": "flip" in names}, learned


def _fresh(
    rows: ImageRows, outputs: int, fitting: Fitting, context: RunContext, hours: Hours
) -> tuple[ImageNetwork, Design, Recipe]:
    """A network that knows nothing, of the largest design that there is time for, and how it learns."""
    from volant.neural.image.building import build, largest, with_batch
    from volant.neural.image.optimising import with_rate

    recipe, design = fitting.recipe, fitting.designs[-1]
    epochs = recipe.epochs
    if hours.left(1.0) != float("inf") and len(fitting.designs) > 1:
        seconds = time_to_train(hours)
        design, epochs = largest(fitting.designs, rows, outputs, recipe, seconds, fitting.least)
    recipe = with_batch(recipe, len(rows), min(epochs, recipe.epochs))
    network = build(design, rows, outputs, context.seed)
    return network, design, with_rate(network, rows, fitting.kind, recipe, hours.left(FINDING))


def _begun(
    earlier: Learned, rows: ImageRows, outputs: int, fitting: Fitting, context: RunContext, hours: Hours
) -> tuple[ImageNetwork, Design, Recipe]:
    """The network of an earlier fit with its weights, which learns as it did, more slowly and not as long."""
    from volant.neural.image.building import build

    recipe = replace(
        fitting.recipe,
        epochs=max(1.0, RESUMED * earlier.epochs),
        batch=earlier.batch,
        rate=earlier.rate,
        slower=SLOWER,
        augmentation=Augmentation(earlier.augmented),
    )
    return build(earlier.design, rows, outputs, context.seed, earlier.state), earlier.design, recipe


def _state(network: ImageNetwork, fitting: Fitting) -> dict[str, np.ndarray]:
    """All numbers of a network; without its body where that stays as its source has it."""
    frozen = fitting.tune == "frozen"
    held = {name: value.detach().cpu() for name, value in network.state_dict().items()}
    return {name: value.numpy().copy() for name, value in held.items() if not (frozen and name.startswith("body."))}


def _compared(rows_per_second: float, hours: Hours) -> int:
    """Rows that a last fit's export is compared on; answering takes less time than training did."""
    if hours.left() == float("inf"):
        return COMPARED_LAST
    return min(max(int(rows_per_second * hours.left(0.5)), COMPARED), COMPARED_LAST)


def _taught(
    network: Any,
    rows: ImageRows,
    judges: ImageRows | None,
    design: Design,
    fitting: Fitting,
    context: RunContext,
    hours: Hours,
    earlier: Learned | None,
) -> Any:
    """Train a network, by one process or by several; a pretrained one by its head first."""
    from volant.neural.image.crewed import processes, train_together
    from volant.neural.image.training import Circumstances, train

    kind = fitting.kind
    if fitting.tune:
        return _tuned(network, rows, judges, kind, fitting, context, hours, begun=earlier is not None)
    if processes() > 1:
        job = {"design": design, "recipe": fitting.recipe, "outputs": rows.targets.shape[1], "kind": kind}
        job |= {"seed": context.seed, "seconds": time_to_train(hours), "threads": context.threads}
        with tempfile.TemporaryDirectory(prefix="volant-crew-") as place:
            folder = context.folder / "crew" if context.folder is not None else Path(place)
            begun = None if earlier is None else earlier.state
            return train_together(network, rows, judges, job, folder, context.progress, begun)
    at = Circumstances(time_to_train(hours), context.progress, context.folder)
    return train(network, rows, judges, kind, fitting.recipe, at)


def _tuned(
    network: Any,
    rows: ImageRows,
    judges: ImageRows | None,
    kind: str,
    fitting: Fitting,
    context: RunContext,
    hours: Hours,
    *,
    begun: bool,
) -> Any:
    """Train the head of a pretrained network, then, where that is asked for, the rest of it too.

    One that was `begun` has a head: it settles again from where it was, and the rest goes on with it.
    """
    from volant.neural.image.backbone import fine_tune, train_head
    from volant.neural.image.training import Circumstances

    if fitting.tune == "frozen" or not begun:
        found = train_head(network, rows, judges, kind, hours.left(0.5), context.progress, begun=begun)
        if fitting.tune == "frozen":
            return found
    at = Circumstances(time_to_train(hours), context.progress, context.folder)
    return fine_tune(network, rows, judges, kind, fitting.recipe, at, fitting.rank if fitting.tune == "lora" else 0)
