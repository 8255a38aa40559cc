"""The process that does what one process does for all: it brings what was logged into the ledgers."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack

from volant.serve.metrics import SNAPSHOT_SECONDS, Figures, ProductFigures
from volant.serve.process import Plan, store_of
from volant.serve.threads import Repeating
from volant.store import Store

INDEX_SECONDS = 1.0
"""How often logged predictions are moved into the ledger."""

NICENESS = 10
"""Answers come first."""


def keep(plan: Plan) -> None:
    """Do the work until SIGTERM comes, and then once more: what was logged last belongs into the ledger too."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all at once; this process ends last
    os.nice(NICENESS)
    figures = Figures(plan.folder, plan.workers)
    with ExitStack() as stack:
        works = []
        for _prefix, product in plan.products:
            own = ProductFigures(figures, product.name)
            works += _works(stack.enter_context(store_of(product)), own)
        works.append(Repeating("snapshot", SNAPSHOT_SECONDS, figures.leave_snapshot, lambda _: None))
        for work in works:
            work.start()
        stop.wait()
        for work in works:
            work.stop()
            work.once()


def _works(store: Store, figures: ProductFigures) -> list[Repeating]:
    def index() -> None:
        store.index_segments()

    return [Repeating("index", INDEX_SECONDS, index, figures.failed)]
