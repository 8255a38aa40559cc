"""Explain: what each column adds to one prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from volant.core.records import Batch
from volant.data.dataset import Dataset, open_dataset
from volant.errors import BadInput
from volant.evaluate.explain import explain as contributions
from volant.runtime.load import Release
from volant.runtime.rows import rows_to_batch
from volant.wheel.context import Context
from volant.wheel.predict import need_champion
from volant.wheel.results import Contribution, Explanation
from volant.wheel.succession import refuse_unfit_rows

BACKGROUND = 64
SAMPLES = 48


def explain(context: Context, *, row: int | None = None, values: Mapping[str, Any] | None = None) -> Explanation:
    """Explain the champion's answer to a row of the newest dataset, or to given values.

    Raises:
        BadInput: codes `no-release`, `no-dataset`, `row-missing`, `input-invalid`, `column-missing`, `column-type`.
    """
    release = need_champion(context)
    latest = context.store.latest_dataset()
    if latest is None:
        raise BadInput("the product has no dataset yet", code="no-dataset", fix="run `volant train` first")
    dataset = open_dataset(context.folder("datasets") / latest.digest)
    refuse_unfit_rows(release.signature, dataset.schema)
    one = _row(dataset, release, row) if values is None else rows_to_batch([values], release.signature)[0]
    rows = dataset.part("train")
    rng = np.random.default_rng(context.product.file.train.seed)
    picked = rng.choice(len(rows), min(BACKGROUND, len(rows)), replace=False)
    names = [f.name for f in release.signature.inputs]
    background = rows.take(np.sort(picked)).batch(names)
    return _explained(release, one, background, row, context.product.file.train.seed)


def _row(dataset: Dataset, release: Release, row: int | None) -> Batch:
    if row is None:
        raise BadInput("a row or values are needed", code="usage", fix="give --row N or --values '{…}'")
    places = np.flatnonzero(dataset.numbers() == row)
    if not len(places):
        raise BadInput(
            f"there is no row {row}", code="row-missing", got=str(row), fix=f"rows go from 0 to {len(dataset) - 1}"
        )
    return dataset.take(places[:1]).batch([f.name for f in release.signature.inputs])


def _explained(release: Release, one: Batch, background: Batch, row: int | None, seed: int) -> Explanation:
    outputs = release.predict(one)
    by_class = "probability" in outputs
    place = int(outputs["probability"][0].argmax()) if by_class else None
    label = release.signature.classes[place] if place is not None else None
    names = list(one)

    def output(batch: Batch) -> np.ndarray:
        found = release.predict(batch)
        return np.asarray(found["probability"][:, place] if by_class else found["value"])

    base, parts, total = contributions(output, one, background, columns=names, samples=SAMPLES, seed=seed)
    listed = [
        Contribution(name, "" if one[name][0] is None else str(one[name][0]), float(part))
        for name, part in zip(names, parts, strict=True)
    ]
    listed.sort(key=lambda c: -abs(c.contribution))
    return Explanation(release.digest, row, label, float(base), float(total), tuple(listed))
