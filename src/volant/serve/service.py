"""One product's service: its parts, put together, with what runs behind it."""

from __future__ import annotations

import logging
import os

from volant.core import plugins
from volant.core.clock import Clock
from volant.core.product import FILE, Product, read
from volant.core.protocols import Task
from volant.errors import BadInput, VolantError
from volant.serve.about import ERRORS, About
from volant.serve.deck import Deck
from volant.serve.explain import MOST_WAITING, Explain
from volant.serve.feedback import TakeFeedback
from volant.serve.http import Routes
from volant.serve.journal import Journal
from volant.serve.keys import Guard, resolve
from volant.serve.metrics import Metrics
from volant.serve.predict import Predict
from volant.serve.threads import Repeating, Workers
from volant.store import FeedbackWriter, Store

WATCH_SECONDS = 0.5
"""How often the ledger is asked for a new champion, and the product file looked at."""

INDEX_SECONDS = 1.0
"""How often logged predictions are moved into the ledger."""

_logger = logging.getLogger("volant.serve")


class Service:
    """Everything behind the routes. `start` once before the first request, `close` once after the last."""

    def __init__(self, product: Product, store: Store, *, clock: Clock | None = None) -> None:
        self.product = product
        self.task: Task = plugins.load("tasks", product.file.task.type)
        self.guard = Guard(resolve(product.file.serve.key))
        self.metrics = Metrics()
        self.deck = Deck(product.home / "candidates", store.champion)
        self.journal = Journal(store)
        self.workers = Workers(max(2, os.cpu_count() or 2))
        self.explaining = Workers(1, MOST_WAITING)
        self.configuration = Configuration(product)
        self._writer = FeedbackWriter(store)
        self._clock = clock or Clock()
        failed = self.metrics.failures.labels
        self._background = [
            Repeating("watch", WATCH_SECONDS, self.watch, lambda work: failed(work).inc()),
            Repeating("index", INDEX_SECONDS, self.journal.index, lambda work: failed(work).inc()),
        ]
        self._show_gauges()

    def start(self) -> None:
        """Load the champion, if there is one, and begin the work in the background."""
        try:
            self.watch()
        except VolantError as error:
            _logger.error("the release that should be served cannot be: %s", error.what)
        for work in self._background:
            work.start()

    def close(self) -> None:
        """End the work in the background and bring everything that was logged into the ledger."""
        for work in self._background:
            work.stop()
        self.workers.close()
        self.explaining.close()
        self._writer.close()
        self.journal.close()

    def watch(self) -> None:
        """Take up a new champion, look at the product file, and mend the log."""
        self.configuration.look()
        self.journal.mend()
        slot = self.deck.refresh()
        if slot is not None:
            self.metrics.serving(slot)
            _logger.info("release %s answers", slot.name)

    def classes(self) -> tuple[str, ...]:
        """The classes of the release that answers."""
        slot = self.deck.champion
        return slot.signature.classes if slot is not None else ()

    def state(self) -> tuple[str, bool]:
        """What keeps the service from predicting, if anything; and whether the product file was changed."""
        failure = self.journal.failure
        return failure.what if failure is not None else "", self.configuration.changed

    def routes(self) -> Routes:
        """Who handles which path."""
        about = About(self.product, self.task, self.deck, self.metrics, state=self.state)
        predict = Predict(self.product, self.deck, self.journal, self.metrics, clock=self._clock, workers=self.workers)
        explain = Explain(self.product, self.deck, self.explaining)
        feedback = TakeFeedback(
            self.product,
            self.task,
            self.classes,
            submit=self._writer.submit,
            guard=self.guard,
            metrics=self.metrics,
        )
        routes = Routes()
        routes.add("POST", "/v1/predict", predict)
        routes.add("POST", "/v1/explain", explain)
        routes.add("POST", "/v1/feedback", feedback)
        routes.add("GET", "/v1/health/live", about.live)
        routes.add("GET", "/v1/health/ready", about.ready)
        routes.add("GET", "/metrics", about.metrics)
        routes.add("GET", "/openapi.json", about.openapi)
        routes.add("GET", "/docs", about.docs)
        routes.add("GET", "/", about.home)
        routes.add_tree("GET", ERRORS, about.error)
        return routes

    def _show_gauges(self) -> None:
        show, journal, deck = self.metrics.watch, self.journal, self.deck
        show("volant_log_waiting_rows", "Predictions logged and not yet in the ledger", lambda: journal.waiting)
        show("volant_log_failed", "Whether predictions cannot be logged", lambda: journal.failure is not None)
        show("volant_ready", "Whether the service can predict", lambda: bool(deck.champion) and not journal.failure)
        show("volant_release_pending", "Whether a newer release could not be loaded", lambda: deck.pending)
        show("volant_config_changed", "Whether the product file was changed", lambda: self.configuration.changed)


class Configuration:
    """Notices that the product file was changed. What was read at the start holds until the end, whole."""

    def __init__(self, product: Product) -> None:
        self.changed = False
        self._product = product
        self._hash = product.config_hash
        self._seen: tuple[int, int] | None = None

    def look(self) -> None:
        """Compare the file with what was read, if it was touched since the last look."""
        try:
            stat = (self._product.folder / FILE).stat()
            seen = (stat.st_mtime_ns, stat.st_size)
        except OSError:
            seen = None
        if seen is None or seen != self._seen:
            self._seen = seen
            self.changed = self._differs()

    def _differs(self) -> bool:
        try:
            return read(self._product.folder).config_hash != self._hash
        except BadInput:
            return True
