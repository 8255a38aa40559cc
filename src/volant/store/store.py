"""The store: the ledger, the evidence and the locks of one product."""

from __future__ import annotations

import weakref
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine, func, select

from volant.core.clock import Clock
from volant.errors import Failure, VolantError
from volant.store import disk, tables
from volant.store.columns import EvidenceColumns
from volant.store.database import Database, make_engine, place
from volant.store.erasure import Erasure
from volant.store.history import History
from volant.store.keys import Keys
from volant.store.ledger import Ledger
from volant.store.locks import Locks
from volant.store.log import FrameLog, PredictionLog
from volant.store.media_log import MediaLog
from volant.store.migrate import bring_up_to_date
from volant.store.retention import Retention
from volant.store.trust import TrustTable
from volant.store.turns import Turns

_COUNTED = {
    "predictions": tables.prediction,
    "feedback": tables.feedback,
    "datasets": tables.dataset,
    "runs": tables.run,
    "candidates": tables.candidate,
    "releases": tables.release,
    "evaluations": tables.evaluation,
    "verdicts": tables.verdict,
    "deployments": tables.deployment_event,
    "label_views": tables.label_view,
}


class Store(EvidenceColumns, TrustTable, Ledger, History, Turns, Erasure, Retention, Keys, Locks):
    """Everything that a product remembers. Any thread may use it; a forked child opens its own."""

    def __init__(self, home: Path, database: Database, clock: Clock) -> None:
        super().__init__(home, database, clock)
        self._logs: weakref.WeakSet[FrameLog] = weakref.WeakSet()

    def prediction_log(self) -> PredictionLog:
        log = super().prediction_log()
        self._logs.add(log)
        return log

    def media_log(self) -> MediaLog:
        log = super().media_log()
        self._logs.add(log)
        return log

    def counts(self) -> dict[str, int]:
        """How many records of each kind there are, predictions that were not indexed yet included."""
        self.index_segments()
        queries = [select(func.count()).select_from(table).scalar_subquery() for table in _COUNTED.values()]
        with self._database.read() as connection:
            return dict(zip(_COUNTED, connection.execute(select(*queries)).one(), strict=True))

    def close(self) -> None:
        """Close the prediction logs that were opened here, and the database."""
        with ExitStack() as stack:  # each is closed, whatever closing another one raises
            stack.callback(self._database.close)
            for log in list(self._logs):
                stack.callback(log.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(home: Path, url: str | None = None, *, clock: Clock | None = None) -> Store:
    """Open a store; `volant.store.open_store` is the public name and says the rest."""
    engine = make_engine(home, url)
    with ExitStack() as undo:
        undo.callback(engine.dispose)
        database = _opened(engine, home)
        undo.pop_all()
    return Store(home, database, clock or Clock())


def _opened(engine: Engine, home: Path) -> Database:
    try:
        for folder in (home / "segments", home / "locks"):
            folder.mkdir(parents=True, exist_ok=True)
        database = Database(engine, home / "locks")
        bring_up_to_date(database)
    except OSError as error:
        raise _unavailable(str(home), error) from error
    except VolantError as error:
        if error.code == "store-unavailable":
            raise _unavailable(place(engine), error) from None
        raise
    return database


def _unavailable(where: str, error: OSError | VolantError) -> Failure:
    if isinstance(error, OSError):
        if disk.is_full(error):
            return disk.failure(error, "opening the store")
        got: str | None = error.strerror or type(error).__name__
    else:
        got = error.troubles[0].got
    fix = "see that the place exists, can be reached, and may be used by this user"
    return Failure("the store cannot be opened", code="store-unavailable", where=where, got=got, fix=fix)
