"""Report: everything known about a candidate as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from volant.data.dataset import Dataset
from volant.errors import BadInput
from volant.evaluate.evaluation import Evaluation
from volant.evaluate.report import write_report
from volant.wheel.context import Context
from volant.wheel.results import TrainResult


def write_candidate_report(
    context: Context, dataset: Dataset, folder: Path, result: TrainResult, evaluation: Evaluation
) -> Path:
    """Write `report.html` beside the candidate's files. It is no part of the artifact."""
    facts: dict[str, Any] = {
        "train": result.record(),
        "evaluation": evaluation.record(),
        "columns": [vars(c) for c in dataset.schema.columns],
        "rows": dict(dataset.facts["sides"]),
        "at": context.clock.now().isoformat(timespec="seconds"),
    }
    path = folder / "report.html"
    write_report(path, product_name=context.product.name, facts=facts)
    return path


def report(context: Context, candidate: str | None = None) -> Path:
    """The report of the champion, or of a candidate.

    Raises:
        BadInput: codes `no-release`, `no-candidate`.
    """
    if candidate is not None:
        digest = context.store.candidate(candidate).digest
    else:
        champion = context.store.champion()
        if champion is None:
            raise BadInput("the product has no release yet", code="no-release", fix="run `volant train` first")
        digest = champion.release
    path = context.folder("candidates") / digest / "report.html"
    if not path.is_file():
        raise BadInput(
            "there is no report of that candidate", code="no-candidate", where=digest[:12], fix="train again"
        )
    return path
