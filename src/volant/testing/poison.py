"""Spoilt training data: what the gate is there to refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from volant.data.dataset import Dataset, Extra, SplitRule, Writer


def flip_labels(dataset: Dataset, root: Path, share: float, *, seed: int = 0) -> Dataset:
    """A dataset version in which that share of the training rows has another row's target.

    The rows that judge and test stay as they are, and so do all inputs, weights and sides.

    Args:
        dataset: the version to spoil; it is not changed.
        root: the folder of all dataset versions.
        share: of the training rows, in [0, 1].
        seed: of who is flipped, and to what.
    """
    table, target = dataset.stored(), dataset.schema.of_role("target")[0].name
    spoilt = _flipped(table.column(target).to_pylist(), np.flatnonzero(dataset.sides() == "train"), share, seed)
    place = table.schema.get_field_index(target)
    table = table.set_column(place, target, pa.array(spoilt, table.schema.field(target).type))
    sides = ["" if side == "unlabelled" else str(side) for side in dataset.sides()]
    writer = Writer(root, dataset.schema, SplitRule(**dataset.facts["split"]), dataset.facts["cuts"])
    writer.add(table, Extra("poison", references=list(dataset.references()), weights=dataset.weights(), sides=sides))
    return writer.finish(dataset.facts["notes"])


def _flipped(values: list[object], train: np.ndarray, share: float, seed: int) -> list[object]:
    chance = np.random.default_rng(seed)
    known = sorted({str(values[i]): values[i] for i in train}.items())
    spoilt = list(values)
    for i in chance.choice(train, round(share * len(train)), replace=False):
        others = [value for name, value in known if name != str(values[i])]
        spoilt[i] = others[int(chance.integers(len(others)))]
    return spoilt
