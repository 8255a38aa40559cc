"""The process that does what one process does for all: it brings what was logged into the ledgers, and watches."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from prometheus_client.metrics_core import Metric

from volant.core.clock import Clock
from volant.core.product import Product
from volant.serve.metrics import SNAPSHOT_SECONDS, Figures, ProductFigures, merged, snapshots
from volant.serve.process import Plan, store_of
from volant.serve.repeating import Repeating
from volant.serve.shadow import ShadowKeeper
from volant.serve.shown import socket_of
from volant.serve.watching import Watch
from volant.store import Store

INDEX_SECONDS = 1.0
"""How often logged predictions are moved into the ledger."""

LOOK_SECONDS = 1.0
"""How often the releases that answer are looked at."""

RETAIN_SECONDS = 3600.0
"""How often what is older than it may be is removed."""

NICENESS = 10
"""Answers come first."""

_logger = logging.getLogger("volant.serve")


def keep(plan: Plan) -> None:
    """Do the work until SIGTERM comes, and then once more: what was logged last belongs into the ledger too."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all at once; this process ends last
    os.nice(NICENESS)
    figures = Figures(plan.folder, plan.workers)
    with ExitStack() as stack:
        works: list[Repeating] = []
        for _prefix, product in plan.products:
            store = stack.enter_context(store_of(product))
            works += _works(product, store, ProductFigures(figures, product.name), plan.folder)
        works.append(Repeating("snapshot", SNAPSHOT_SECONDS, figures.leave_snapshot, lambda _: None))
        for work in works:
            work.start()
        stop.wait()
        for work in works:
            work.stop()
            work.finish()


def _works(product: Product, store: Store, figures: ProductFigures, folder: Path) -> list[Repeating]:
    store.actor = "service"

    def index() -> None:
        store.index_segments()

    def families() -> Iterable[Metric]:
        return merged(snapshots(folder))

    watch = Watch(product, store, Clock(), families)
    shadows = ShadowKeeper(product, store, socket_of(folder, product.name))

    def retain() -> None:
        from volant.wheel.context import Context
        from volant.wheel.retain import retain as let_go

        gone = let_go(Context(product, store))
        if gone.predictions:
            _logger.info("%d predictions and %d feedback were older than they may be", gone.predictions, gone.feedback)

    return [
        Repeating("retain", RETAIN_SECONDS, retain, figures.failed, at_end=lambda: None),
        Repeating("shadow", LOOK_SECONDS, shadows.look, figures.failed, at_end=shadows.stop),
        Repeating("look", LOOK_SECONDS, watch.look, figures.failed),
        Repeating("index", INDEX_SECONDS, index, figures.failed),
    ]
