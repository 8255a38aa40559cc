"""Collect: from the source that the product file names to an immutable dataset version."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from volant.columns.media import is_media, media_columns
from volant.columns.missing import with_missing
from volant.core.ids import digest
from volant.core.plugins import column_type
from volant.core.product import Product
from volant.core.progress import Progress
from volant.core.records import Schema
from volant.data.dataset import Dataset, SplitRule, open_dataset, write_dataset
from volant.data.infer import infer_schema
from volant.data.sources import Source, read_source
from volant.data.sources.beside import with_files
from volant.data.sources.joined import joined
from volant.errors import BadInput, Trouble, nearest
from volant.store.erasure import Tombstones
from volant.store.records import DatasetRow
from volant.wheel.context import Context


def open_source(product: Product, progress: Progress) -> Source:
    """The product's source, opened."""
    data, task = product.file.data, product.file.task
    source = read_source(
        data.source,
        folder=product.folder,
        query=data.query,
        missing=data.missing,
        progress=progress,
        files=data.files,
    )
    return joined(source, task.target, task.labels) if task.labels else source


def overrides(product: Product) -> dict[str, dict[str, str | None]]:
    """Types and roles that the product file gives to columns."""
    return {name: {"type": s.type, "role": s.role} for name, s in product.file.columns.items()}


def collect(context: Context) -> Dataset:
    """The dataset version of the source as it is now; the last one is used again when nothing changed.

    Raises:
        BadInput: codes `source-…`, `column-missing`, `target-missing`.
    """
    context.progress.stage("collect")
    source = open_source(context.product, context.progress)
    file = context.product.file
    given = overrides(context.product)
    schema = infer_schema(source.sample(), file.task.target, given, task=file.task.type, source=source)
    gone = context.store.tombstones()
    if len(gone):
        source = without_erased(source, schema, gone, file.data.missing)
        schema = infer_schema(source.sample(), file.task.target, given, task=file.task.type, source=source)
    _check_columns(context, schema)
    source = with_files(source, media_columns(schema))
    rule = replace(split_rule(context.product), columns=_key_columns(context, schema))
    columns = [[c.name, c.type, c.role] for c in schema.columns]
    recipe = digest([source.fingerprint, columns, list(vars(rule).values()), file.data.unreadable, sorted(gone.hashes)])
    known = context.folder("datasets") / f"{recipe[:32]}.recipe"
    if known.is_file():
        folder = context.folder("datasets") / known.read_text().strip()
        if _is_whole(folder):
            return open_dataset(folder)
        shutil.rmtree(folder, ignore_errors=True)  # the source is still there to make it again
    return _write(context, source, schema, rule, known)


def without_erased(source: Source, schema: Schema, gone: Tombstones, missing: Sequence[str] | None) -> Source:
    """A source without the rows of those who were erased."""
    owner = schema.of_role("subject") or schema.of_role("group")
    if not owner:
        return source
    kind, name = with_missing(column_type(owner[0].type), missing), owner[0].name

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in source.batches():
            named = kind.parse(batch.column(name)).values.cast(pa.string()).to_pylist()
            kept = batch.filter(pa.array([not gone.holds(one) for one in named], pa.bool_()))
            if len(kept):
                yield kept

    return replace(source, batches=batches)


def _is_whole(folder: Path) -> bool:
    """Whether the files of a dataset version can be read."""
    try:
        json.loads((folder / "dataset.json").read_bytes())
        whole = all(pq.read_metadata(folder / f"{name}.parquet").num_rows for name in ("main", "rows"))
        return whole and open_dataset(folder).has_media()
    except (OSError, ValueError):  # what is no Parquet is a ValueError to Arrow
        return False


def _write(context: Context, source: Source, schema: Schema, rule: SplitRule, known: Any) -> Dataset:
    dataset = write_dataset(
        context.folder("datasets"),
        schema,
        source.chunks(),
        rule,
        cuts=first_cuts(context, rule),
        missing=context.product.file.data.missing,
        notes=source.notes,
        leave_out=context.product.file.data.unreadable == "leave_out",
    )
    context.store.add_dataset(dataset.digest, len(dataset), dataset_facts(dataset, "source"))
    known.write_text(dataset.digest)
    return dataset


def first_cuts(context: Context, rule: SplitRule) -> Mapping[str, Any] | None:
    """The cut points of the last version under the same rule: rows never move.

    The ledger tells them, so that they outlive the files of that version.
    """
    if rule.by not in ("time", "stratified"):
        return None
    same = (row for row in reversed(context.store.datasets()) if _divided(context, row) == _divisions(rule))
    return next((row.facts["cuts"] for row in same), None)


def _divisions(rule: SplitRule) -> dict[str, Any]:
    """What cut points depend on."""
    return {"by": rule.by, "judge": rule.judge, "test": rule.test, "salt": rule.salt}


def _divided(context: Context, row: DatasetRow) -> dict[str, Any] | None:
    """What the cut points of a version depended on; None where nobody can tell."""
    if "split" in row.facts or not row.facts.get("cuts"):
        return dict(row.facts.get("split") or {}) or None
    try:  # ledgers of before hold the cut points alone
        return _divisions(SplitRule(**open_dataset(context.folder("datasets") / row.digest).facts["split"]))
    except (BadInput, TypeError):
        return None


def _key_columns(context: Context, schema: Schema) -> tuple[str, ...]:
    """The columns whose values make the key of a row that nobody owns: those of the first version that has all of them.

    With another `data.split.key` every row is assigned anew, so the present inputs do.
    """
    salt = context.product.file.data.split.key
    for row in context.store.datasets():
        columns = tuple(row.facts.get("key_columns", ()))
        if columns and row.facts.get("key") == salt and set(columns) <= set(schema.names):
            return columns
    return tuple(column.name for column in schema.inputs)


def dataset_facts(dataset: Dataset, kind: str) -> dict[str, Any]:
    """What the ledger keeps of a dataset version: what later ones must agree with."""
    rule = SplitRule(**dataset.facts["split"])
    told = {"cuts": dataset.facts["cuts"], "key": rule.salt, "key_columns": list(rule.columns)}
    return {"kind": kind, **told, "split": _divisions(rule)}


def split_rule(product: Product) -> SplitRule:
    """How the product file divides rows."""
    split = product.file.data.split
    return SplitRule(split.by, split.judge, split.test, split.key)


def _refuse_files(schema: Schema, named: Sequence[tuple[str, str]]) -> None:
    """Files are no groups: no two of them are alike."""
    fix = "name columns of categories or numbers; the report shows groups by brightness and size of pictures anyway"
    troubles = [
        Trouble("the values of a column of files make no groups", f"volant.toml, {key}", name, fix=fix)
        for key, name in named
        if is_media(schema[name].type)
    ]
    if troubles:
        raise BadInput("columns of the product file have the wrong type", code="column-type", troubles=troubles)


def _check_columns(context: Context, schema: Schema) -> None:
    """Columns that make slices, and roles that the split needs, must be there."""
    file = context.product.file
    named = [("quality.slices", name) for name in file.quality.slices]
    named += [("fairness.columns", name) for name in file.fairness.columns or ()]
    unknown = [
        Trouble("there is no such column", f"volant.toml, {key}", name, schema.names, meant=nearest(name, schema.names))
        for key, name in named
        if name not in schema.names
    ]
    if unknown:
        raise BadInput("columns of the product file are not in the data", code="column-missing", troubles=unknown)
    _refuse_files(schema, named)
    by = file.data.split.by
    needed = {"group": ("subject", "group"), "time": ("time",)}.get(by, ())
    if needed and not any(schema.of_role(role) for role in needed):
        raise BadInput(
            f"a split by {by} needs a column with the role {' or '.join(needed)}",
            code="column-missing",
            where="volant.toml, data.split.by",
            fix=f'add `[columns.NAME]` with `role = "{needed[-1]}"`',
        )
