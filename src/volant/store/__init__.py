"""The store: ledger, prediction log, feedback, locks and artifact folders of one product."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from volant.core.clock import Clock
from volant.store.artifacts import commit_folder, staged_folder, write_file_atomic
from volant.store.log import FLUSH_SECONDS, PredictionLog
from volant.store.records import (
    CandidateRow,
    DatasetRow,
    DeploymentRow,
    EvaluationRow,
    FeedbackRow,
    LabelViewRow,
    PredictionRecord,
    Receipt,
    RunRow,
    VerdictRow,
    Voice,
)
from volant.store.writer import FeedbackWriter

if TYPE_CHECKING:
    from volant.store.store import Store

__all__ = [
    "FLUSH_SECONDS",
    "CandidateRow",
    "DatasetRow",
    "DeploymentRow",
    "EvaluationRow",
    "FeedbackRow",
    "FeedbackWriter",
    "LabelViewRow",
    "PredictionLog",
    "PredictionRecord",
    "Receipt",
    "RunRow",
    "Store",
    "VerdictRow",
    "Voice",
    "commit_folder",
    "open_store",
    "staged_folder",
    "write_file_atomic",
]


def open_store(home: Path, url: str | None = None, *, clock: Clock | None = None) -> Store:
    """Open the store in the folder `home`, which is created; its ledger is SQLite there, or PostgreSQL by `url`.

    >>> import tempfile
    >>> with open_store(Path(tempfile.mkdtemp())) as store:
    ...     store.counts()["predictions"]
    0

    Raises:
        BadInput: codes `store-unavailable`, `extra-missing`: the URL does not fit.
        Failure: codes `store-unavailable`, `store-version`, `store-full`, `store-failed`.
    """
    from volant.store.store import open_store

    return open_store(home, url, clock=clock)


def __getattr__(name: str) -> Any:
    """`Store` is loaded when it is asked for: it needs SQLAlchemy, which what only writes files does not."""
    if name == "Store":
        from volant.store.store import Store

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
