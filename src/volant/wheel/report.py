"""Report: everything known about a candidate as one HTML file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from volant.columns.thumbnails import thumbnail
from volant.core.plugins import missing
from volant.core.protocols import Rows
from volant.data.dataset import Dataset, open_dataset
from volant.errors import BadInput
from volant.evaluate.behaviour import SECONDS as IN_TRAINING
from volant.evaluate.behaviour import behaviour
from volant.evaluate.evaluation import Evaluation, plain
from volant.evaluate.importance import importance
from volant.evaluate.pictures.study import study
from volant.evaluate.report import write_report
from volant.runtime.load import open_release
from volant.wheel.context import Context
from volant.wheel.explain import background_with_texts
from volant.wheel.history import no_release
from volant.wheel.results import TrainResult

HTML, FACTS = "report.html", "report.json"

SPARE = 8.0
"""Seconds that must be left of a training's budget for its report to study how the model behaves, in half of them.

Otherwise `volant report` does so.
"""


SECONDS = 20.0
"""Seconds that `volant report` may take to study how a model behaves."""


def write_candidate_report(
    context: Context,
    dataset: Dataset,
    folder: Path,
    result: TrainResult,
    evaluation: Evaluation,
    left: float = 0.0,
) -> Path:
    """Write `report.html` beside the candidate's files, and the facts behind it. They are no part of the artifact.

    `left` are the seconds that may still be spent on it; infinite ones are not.
    """
    facts: dict[str, Any] = {
        "train": result.record(),
        "evaluation": _illustrated(evaluation.record(), dataset),
        "columns": [vars(c) for c in dataset.schema.columns],
        "rows": dict(dataset.facts["sides"]),
        "at": context.clock.now().isoformat(timespec="seconds"),
    }
    if SPARE < left < float("inf"):
        facts["behaviour"] = _behaviour(context, dataset, folder, min(left / 2, IN_TRAINING))
    return _write(context, folder, facts)


def write_report_of_variant(
    context: Context, original: Path, folder: Path, changed: Mapping[str, Any], evaluation: Evaluation
) -> None:
    """Write the report of a release that was made from an `original` one: what is told of its training is the same."""
    path = original / FACTS
    facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    kept = {name: facts[name] for name in ("columns", "rows") if name in facts}
    train = {**(facts.get("train") or {}), **changed, "report": str(folder / HTML)}
    at = context.clock.now().isoformat(timespec="seconds")
    _write(context, folder, {**kept, "train": train, "evaluation": evaluation.record(), "at": at})


def _illustrated(evaluation: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """The record with small pictures beside the rows that were hardest, where rows have pictures.

    They stand in the report alone: nothing of a row lies in the candidate itself.
    """
    names = [name for name in dataset.media if dataset.schema[name].role == "input"]
    views = evaluation["views"]
    hardest = views.get("hardest") or (views.get("residuals") or {}).get("hardest") or []
    if not names or not hardest:
        return evaluation
    places = {int(number): place for place, number in enumerate(dataset.numbers())}
    for one in hardest:
        cell = dataset.take(np.array([places[one["row"]]])).batch(names[:1])[names[0]][0]
        one["picture"] = None if cell is None else thumbnail(bytes(cell))
    return evaluation


def _write(context: Context, folder: Path, facts: Mapping[str, Any]) -> Path:
    draft = folder / f".{FACTS}.{os.getpid()}"
    draft.write_text(json.dumps(facts, ensure_ascii=False, default=str), encoding="utf-8")
    draft.replace(folder / FACTS)
    write_report(folder / HTML, product_name=context.product.name, facts=facts)
    return folder / HTML


def report(context: Context, candidate: str | None = None) -> Path:
    """The report of the champion, or of a candidate, with how it behaves.

    Raises:
        BadInput: codes `no-release`, `no-candidate`.
    """
    if candidate is not None:
        digest = context.store.candidate(candidate).digest
    else:
        champion = context.store.champion()
        if champion is None:
            raise no_release(context)
        digest = champion.release
    folder = context.folder("candidates") / digest
    if not (folder / HTML).is_file():
        raise BadInput(
            "there is no report of that candidate", code="no-candidate", where=digest[:12], fix="train again"
        )
    return _completed(context, folder)


def _completed(context: Context, folder: Path) -> Path:
    """The report with what training had no time for, where the data that it was trained on is still there."""
    path = folder / FACTS
    facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    trained_on = context.folder("datasets") / str((facts.get("train") or {}).get("dataset"))
    if not facts or ("pictures" in facts and facts.get("behaviour")) or not trained_on.is_dir():
        return folder / HTML
    context.progress.stage("report")
    dataset = open_dataset(trained_on)
    more = {"pictures": _pictures(context, dataset, folder, facts["train"])}
    if not facts.get("behaviour"):
        context.progress.say("looking at how the model behaves")
        more["behaviour"] = _behaviour(context, dataset, folder, SECONDS)
    if not facts["evaluation"]["importance"]:
        more["evaluation"] = {**facts["evaluation"], "importance": _importance(context, dataset, folder)}
    return _write(context, folder, {**facts, **more})


def _pictures(context: Context, dataset: Dataset, folder: Path, trained: Mapping[str, Any]) -> dict[str, Any] | None:
    """How the release's network sees, where it has one that takes pictures and torch is there to look into it."""
    if missing("torch", "neural") or not any(column.type == "image" for column in dataset.schema.inputs):
        return None
    release = open_release(folder)
    problem = context.task.problem(dataset.part("train"), context.product.file.task.target, context.metric)
    problem = replace(problem, classes=release.signature.classes)
    if problem.labels:
        return None  # which pixels speak for which of several labels is not looked at
    context.progress.say("looking at what the network sees")
    members = sorted(trained["leaderboard"], key=lambda entry: -entry["weight"])
    augment = next((m["options"]["augment"] for m in members if m["weight"] and "augment" in m["options"]), None)
    settings = context.product.file.train
    return study(
        folder,
        _unseen(dataset),
        context.task,
        problem,
        settings.seed,
        augment=augment,
        learned=dataset.part("train"),
        threads=settings.threads,
    )


def _importance(context: Context, dataset: Dataset, folder: Path) -> list[dict[str, Any]]:
    """What each column is worth, where the evaluation had no time to find out."""
    release, rows = open_release(folder, threads=context.product.file.train.threads), _unseen(dataset)
    problem = context.task.problem(dataset.part("train"), context.product.file.task.target, context.metric)
    problem = replace(problem, classes=release.signature.classes, labels=release.signature.labels)
    batch, truth = rows.batch([field.name for field in release.signature.inputs]), context.task.encode(rows, problem)
    seed = context.product.file.train.seed
    found = importance(release.predict, batch, truth, task=context.task, problem=problem, seed=seed)
    return [plain(asdict(one)) for one in found]


def _behaviour(context: Context, dataset: Dataset, folder: Path, seconds: float) -> dict[str, Any]:
    seed = context.product.file.train.seed
    release = open_release(folder, threads=context.product.file.train.threads)
    background = background_with_texts(release, dataset, seed)
    unseen, train = _unseen(dataset), dataset.part("train")
    return behaviour(release, unseen, train, background=background, seconds=seconds, seed=seed).record()


def _unseen(dataset: Dataset) -> Rows:
    """Rows that the model was not trained on."""
    rows = dataset.part("test")
    return rows if len(rows) else dataset.part("judge")
