"""Explain: what each column adds to one prediction, and the reasons in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from volant.core.protocols import Rows
from volant.core.records import Batch
from volant.data.dataset import Dataset, open_dataset
from volant.errors import BadInput
from volant.evaluate.background import MOST_ROWS, background_of, left_out, typical_rows, with_texts
from volant.evaluate.explainer import Explained, Explainer
from volant.evaluate.reasons import MOST, cell, reasons
from volant.runtime.load import Release
from volant.runtime.rows import rows_to_batch
from volant.wheel.context import Context
from volant.wheel.predict import need_champion
from volant.wheel.results import Contribution, Explanation
from volant.wheel.succession import refuse_unfit_rows


def explain(
    context: Context,
    *,
    row: int | None = None,
    values: Mapping[str, Any] | None = None,
    method: str = "shap",
    label: str | None = None,
    most_reasons: int = MOST,
) -> Explanation:
    """Explain the champion's answer to a row of the newest dataset, or to given values.

    Args:
        context: the product.
        row: the number of a row of the data.
        values: a row of one's own, instead.
        method: `shap`, or `lime` for a local surrogate.
        label: the class to explain; by default that of the answer.
        most_reasons: how many reasons are put in words.

    Raises:
        BadInput: codes `no-release`, `no-dataset`, `row-missing`, `input-invalid`, `column-missing`, `column-type`.
    """
    release = need_champion(context)
    one = _row(context, release, row) if values is None else rows_to_batch([values], release.signature)[0]
    seed = context.product.file.train.seed
    found = Explainer(release, _background(context, release)).explain(one, method=method, label=label, seed=seed)
    return _told(release, found, one, row, method, most_reasons)


def background_file(release: Release, rows: Rows, output: str, seed: int) -> bytes:
    """What is kept in a release to compare answers with: typical rows, made of training rows, that are nobody's.

    `output` names what the task's pipelines give.
    """
    if len(rows) > MOST_ROWS:
        rows = rows.take(np.sort(np.random.default_rng(seed).choice(len(rows), MOST_ROWS, replace=False)))
    kinds = {field.name: field.type for field in release.signature.inputs}
    batch = rows.batch(list(kinds))
    answers = np.asarray(release.predict(batch)[output], dtype=np.float64)
    leading = answers if answers.ndim == 1 else answers[:, answers.var(axis=0).argmax()]
    columns = typical_rows(batch, leading, kinds, seed=seed)
    return json.dumps({"version": 1, "columns": columns}, ensure_ascii=False, allow_nan=False).encode()


def background_with_texts(release: Release, dataset: Dataset, seed: int) -> Batch:
    """The release's typical rows, with texts of the dataset's training rows, of which the release keeps none."""
    typical, names = background_of(release), left_out(release.signature)
    rows = dataset.part("train")
    known = names and set(names) <= set(dataset.schema.names) and len(rows)
    return with_texts(typical, names, rows, seed) if known else typical


def _background(context: Context, release: Release) -> Batch:
    if not left_out(release.signature) or context.store.latest_dataset() is None:
        return background_of(release)
    return background_with_texts(release, _newest(context), context.product.file.train.seed)


def _row(context: Context, release: Release, row: int | None) -> Batch:
    if row is None:
        raise BadInput("a row or values are needed", code="usage", fix="give --row N or --values '{…}'")
    dataset = _newest(context)
    refuse_unfit_rows(release.signature, dataset.schema)
    places = np.flatnonzero(dataset.numbers() == row)
    if not len(places):
        raise BadInput(
            f"there is no row {row}", code="row-missing", got=str(row), fix=f"rows go from 0 to {len(dataset) - 1}"
        )
    return dataset.take(places[:1]).batch([f.name for f in release.signature.inputs])


def _newest(context: Context) -> Dataset:
    latest = context.store.latest_dataset()
    if latest is None:
        raise BadInput("the product has no dataset yet", code="no-dataset", fix="run `volant train` first")
    return open_dataset(context.folder("datasets") / latest.digest)


def _told(release: Release, found: Explained, one: Batch, row: int | None, method: str, most: int) -> Explanation:
    fields = release.signature.inputs
    said = reasons(
        fields,
        [one[field.name][0] for field in fields],
        found.parts,
        found.errors,
        profile=release.profile,
        towards=found.label is not None,
        most=most,
    )
    listed = [
        Contribution(field.name, cell(one[field.name][0], field.type), float(part), float(error))
        for field, part, error in zip(fields, found.parts, found.errors, strict=True)
    ]
    listed.sort(key=lambda c: -abs(c.contribution))
    return Explanation(
        release=release.digest,
        row=row,
        label=found.label,
        base=found.base,
        output=found.output,
        contributions=tuple(listed),
        answer=found.answer,
        scale=found.scale,
        method=method,
        how=found.how,
        reasons=tuple(reason.text for reason in said),
        background=found.background,
        fit=found.fit,
    )
