"""Erase: let a person go from events, datasets, caches, runs and releases, and prove it; or show what there is of one.

Nothing of anybody else moves: rows are assigned to their sides by a hash of their own keys. What was trained on the
person's rows is trained anew, judged beside the old release without the person's rows on either side, and deleted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from volant.data.dataset import Dataset, open_dataset
from volant.errors import BadInput
from volant.release.traffic import standing
from volant.search.shards import forget, shard_of
from volant.store.artifacts import PREFIX, write_file_atomic
from volant.wheel.collect import collect
from volant.wheel.context import Context
from volant.wheel.history import serving
from volant.wheel.improve import improve
from volant.wheel.results import Result, plain
from volant.wheel.resume import descendants
from volant.wheel.train import SHARDS

LEAST_NAME = 6
"""Characters of a name that is looked for in every byte; shorter ones are found everywhere."""
_BLOCK = 1 << 22


@dataclass(frozen=True)
class PersonalData(Result):
    """`volant subject`: all that there is of a person, and the models that learned from it.

    `shadows` is what releases answered that only listened, `questions` what reviewers were asked about their
    predictions, `trust` what they earned by their feedback.
    """

    subject: str
    predictions: tuple[dict[str, Any], ...]
    feedback: tuple[dict[str, Any], ...]
    shadows: tuple[dict[str, Any], ...]
    questions: tuple[dict[str, Any], ...]
    trust: tuple[dict[str, Any], ...]
    rows: tuple[dict[str, Any], ...]
    datasets: tuple[str, ...]
    models: tuple[str, ...]


@dataclass(frozen=True)
class _Gone:
    """What was deleted of a person, whose name has the hash `hashed`, and the segments that running processes keep."""

    hashed: str
    rows: dict[str, int]
    datasets: tuple[str, ...]
    held: tuple[str, ...]
    shards: tuple[int, ...] = ()


@dataclass(frozen=True)
class Erased(Result):
    """`volant erase`: the proof. It names nobody: `subject` is a keyed hash.

    `models` learned from the person; `retrained` is what serves instead. `shards` are the parts of the rows whose fits
    were deleted, where there are any (`train.shards`): all others were kept. `found` are files in which the name is
    still found. `complete` says that nothing is left; `left` says what is, and why.
    """

    subject: str
    rows: dict[str, int]
    datasets: tuple[str, ...]
    models: tuple[str, ...]
    retrained: str | None
    outcome: str | None
    found: tuple[str, ...]
    complete: bool
    left: tuple[str, ...] = ()
    shards: tuple[int, ...] = ()
    report: Path | None = field(default=None)


def subject(context: Context, name: str) -> PersonalData:
    """Everything that is kept of a person."""
    context.store.index_segments()
    predictions = context.store.predictions_of(name)
    ids = {row["id"] for row in predictions}
    said, beside = context.store.feedback_of(name, ids), context.store.beside(name, ids)
    holding = list(_holding(context, name, ids))
    source = collect(context)
    own = np.flatnonzero(source.keys() == name) if _owned(source) else np.empty(0, dtype=np.int64)
    rows = source.stored().take(own).to_pylist() if len(own) else []
    models = _models(context, {dataset.digest for dataset in holding})
    return PersonalData(
        name,
        tuple(predictions),
        tuple(said),
        tuple(beside["shadow"]),
        tuple(beside["question"]),
        tuple(beside["actor"]),
        tuple(plain(row) for row in rows),
        tuple(sorted(dataset.digest for dataset in holding)),
        tuple(models),
    )


def erase(context: Context, name: str, *, retrain: bool = True, budget: str | None = None) -> Erased:
    """Let a person go, for good. Doing it again does what is left to do.

    Args:
        context: the product.
        name: as the column of role `subject`, the `subject` of requests or the `actor` of feedback has it.
        retrain: whether models that learned from the person are trained anew at once, if one of them serves.
        budget: of that training.

    Raises:
        Refused: code `busy` while something is trained.
    """
    if not name.strip():
        raise BadInput("nobody is named", code="usage", where="SUBJECT", fix="give the name that rows carry")
    store = context.store
    with store.lock("train", wait=0.0):
        hashed = store.bury(name)
        held = tuple(store.free_segments())
        store.index_segments()
        ids = {row["id"] for row in store.predictions_of(name)}
        held_by = list(_holding(context, name, ids))
        holding = [dataset.digest for dataset in held_by]
        shards = _shards(context, held_by, name, ids)
        before = serving(context)
        models = sorted({*_models(context, holding), *_remembered(context, hashed)})
        store.finish_erasure(hashed, {"models": models})
        context.progress.stage("erase")
        gone = _Gone(hashed, dict(store.erase_rows(name)), tuple(holding), held, shards)
        forget(context.folder(SHARDS), shards)
        collect(context)  # the version without them, with the cuts of those before
        _forget_datasets(context, holding, models)
    outcome, unchanged = _retrain(context, before, models, budget) if retrain else (None, None)
    stained = [one for one in models if one != unchanged]
    return _proof(context, name, gone, stained, outcome)


def _owned(dataset: Dataset) -> bool:
    return bool(dataset.schema.of_role("subject") or dataset.schema.of_role("group"))


def _holding(context: Context, name: str, ids: Collection[str]) -> Iterator[Dataset]:
    """The dataset versions that hold rows of a person."""
    for folder in sorted(context.folder("datasets").glob("*/")):
        if not (folder / "dataset.json").is_file():
            continue
        dataset = open_dataset(folder)
        owned = _owned(dataset) and bool((dataset.keys() == name).any())
        if owned or bool(np.isin(dataset.references().astype(str), list(ids)).any() if ids else False):
            yield dataset


def _shards(context: Context, holding: Sequence[Dataset], name: str, ids: Collection[str]) -> tuple[int, ...]:
    """The parts of the training rows that a person is in, in any of these dataset versions."""
    count, found = context.product.file.train.shards, set[int]()
    for dataset in holding if count else ():
        rows = dataset.part("train")
        own = np.isin(rows.references().astype(str), list(ids)) if ids else np.zeros(len(rows), dtype=bool)
        own |= (rows.keys() == name) & _owned(dataset)
        found.update(shard_of(rows.keys()[own], count).tolist())
    return tuple(sorted(found))


def _models(context: Context, datasets: Collection[str]) -> list[str]:
    """Candidates and releases that were made from these dataset versions, or go on from one that was."""
    known = set(datasets)
    return descendants(context, [row.digest for row in context.store.candidates() if row.dataset in known])


def _remembered(context: Context, hashed: str) -> list[str]:
    """The models that an erasure which was cut short had found."""
    return [str(one) for row in context.store.erasures() if row["hash"] == hashed for one in row["models"]]


def _forget_datasets(context: Context, digests: Collection[str], models: Collection[str]) -> None:
    """Delete dataset versions, the fits of models, what was trained step by step, and what is only kept for speed."""
    datasets, runs = context.folder("datasets"), context.folder("runs")
    for recipe in datasets.glob("*.recipe"):
        if recipe.read_text().strip() in digests:
            recipe.unlink()
    for digest in digests:
        shutil.rmtree(datasets / digest, ignore_errors=True)
    going_on = {row.run for row in context.store.candidates() if row.digest in models}
    for row in context.store.runs():
        if row.dataset in digests or row.id in going_on:
            shutil.rmtree(runs / row.id, ignore_errors=True)
    for scratch in (
        *runs.glob(".second-*"),
        *datasets.glob(f"{PREFIX}*"),
        *datasets.glob(".new-*"),
        context.product.home / "cache",
    ):
        shutil.rmtree(scratch, ignore_errors=True)
    for report in context.folder("reports").glob("*"):
        if not report.name.startswith("erasure-"):
            report.unlink(missing_ok=True)
    _forget_media(context)


def _forget_media(context: Context) -> None:
    """Let files go that no dataset version names any more."""
    if not context.store.media.folder.is_dir():
        return
    from volant.columns.media import is_media

    named: set[str] = set()
    for folder in context.folder("datasets").glob("*/"):
        if (folder / "dataset.json").is_file():
            dataset = open_dataset(folder)
            columns = [c.name for c in dataset.schema.columns if is_media(c.type)]
            for column in dataset.stored(columns).columns if columns else ():
                named.update(one for one in column.to_pylist() if one)
    wanted = {bytes.fromhex(one) for one in named}
    context.store.media.rewrite(lambda digests: np.array([one.tobytes() in wanted for one in digests], dtype=bool))


def _retrain(
    context: Context, before: str | None, models: Collection[str], budget: str | None
) -> tuple[str | None, str | None]:
    """Train anew where what serves learned from the person; how that ended, and the release that it led to if that is
    one of before: then it is what would have been made without them."""
    now = standing(context.store.deployments())
    serves = {before, *(row.release for row in now.routes())}
    if before is None or not serves & set(models):
        return None, None
    turn = improve(context, budget=budget, anew=True, must_go=True)
    made = None if turn.train is None else turn.train.candidate
    return turn.outcome, made if made in models else None


def _proof(context: Context, name: str, gone: _Gone, models: list[str], outcome: str | None) -> Erased:
    """Delete what may go by now, look through every byte, and write down what was done."""
    champion, left = serving(context), []
    routed = {row.release for row in standing(context.store.deployments()).routes()}
    kept = {one for one in (champion, *routed) if one in models}
    for digest in set(models) - kept:
        shutil.rmtree(context.folder("candidates") / digest, ignore_errors=True)
    context.store.erase_candidates(sorted(set(models) - kept))
    left += [f"the release {one[:12]} learned from the person and serves; train again" for one in sorted(kept)]
    if not context.store.squeeze():
        left.append("PostgreSQL frees deleted rows when it vacuums, and backups keep them")
    left += [f"segment {one} is held by a process that does not let go; end it, then erase again" for one in gone.held]
    found = tuple(places_of(context.product.home, name)) if len(name) >= LEAST_NAME else ()
    made = Erased(
        gone.hashed,
        gone.rows,
        gone.datasets,
        tuple(models),
        champion if outcome == "promoted" else None,
        outcome,
        found,
        complete=not found and not left,
        left=tuple(left),
        shards=gone.shards,
    )
    path = context.folder("reports") / f"erasure-{gone.hashed[:12]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file_atomic(path, json.dumps(made.record(), indent=1).encode())
    facts = {"complete": made.complete, "rows": gone.rows, "outcome": outcome}
    context.store.finish_erasure(gone.hashed, facts)
    return replace(made, report=path)


def places_of(home: Path, text: str) -> list[str]:
    """The files under `home` in whose bytes a text is found."""
    wanted = text.encode()
    return [str(path.relative_to(home)) for path in sorted(home.rglob("*")) if path.is_file() and _holds(path, wanted)]


def _holds(path: Path, wanted: bytes) -> bool:
    rest = b""
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            if wanted in rest + block:
                return True
            rest = block[-len(wanted) :]
    return False
