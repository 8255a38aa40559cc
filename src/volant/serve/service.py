"""One product's service: its parts, put together, with what runs behind it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from volant.core import plugins
from volant.core.clock import Clock
from volant.core.product import FILE, Product, read
from volant.core.protocols import Task
from volant.core.records import Signature
from volant.errors import BadInput, VolantError
from volant.serve.about import About
from volant.serve.answering import Answerer
from volant.serve.claims import Claims
from volant.serve.deck import Deck
from volant.serve.elsewhere import Elsewhere, Threads
from volant.serve.explain import Explain
from volant.serve.explaining import Explaining
from volant.serve.feedback import TakeFeedback
from volant.serve.http import Handler, Route, Routes, Takes
from volant.serve.journal import Journal
from volant.serve.keys import Guard, resolve
from volant.serve.limits import Limits
from volant.serve.metrics import Figures, ProductFigures
from volant.serve.predict import Predict
from volant.serve.repeated import Before
from volant.serve.repeating import Repeating
from volant.serve.shown import Shown, socket_of
from volant.serve.uploads import TakesFiles
from volant.store import FeedbackWriter, Store

WATCH_SECONDS = 0.5
"""How often the ledger is asked for a new champion, and the product file looked at."""

INDEX_SECONDS = 1.0
"""How often logged predictions are moved into the ledger."""

_logger = logging.getLogger("volant.serve")


class Service:
    """Everything behind the routes of a product. `start` once before the first request, `close` once after the last.

    Args:
        figures: those of this process.
        folder: where the processes of the service meet; without one there are no shadows.
        prefix: what the paths of the product begin with, where it is served beside others.
        elsewhere: where work goes that would hold up the event loop; by default to threads.
        keeps: whether this process also does what one process does for all: bring the log into the ledger.
    """

    def __init__(
        self,
        product: Product,
        store: Store,
        figures: Figures,
        *,
        prefix: str = "",
        folder: Path | None = None,
        elsewhere: Elsewhere | None = None,
        clock: Clock | None = None,
        keeps: bool = True,
    ) -> None:
        self.product = product
        self.task: Task = plugins.load("tasks", product.file.task.type)
        self.figures = ProductFigures(figures, product.name)
        self.journal = Journal(store, int(product.file.serve.max_log_mb * 1_000_000))
        self._clock = clock or Clock()
        self.answerer = Answerer(product, self.journal, self._clock)
        self.elsewhere = elsewhere or Threads(self.answerer, Explaining(product))
        self.deck = Deck(
            product.home / "candidates", store, prepare=self.elsewhere.follow, signers=product.file.sign.signers
        )
        self.configuration = Configuration(product)
        store.actor = "service"
        self._store = store
        self._keeps = keeps
        self._shown = None if folder is None else Shown(socket_of(folder, product.name))
        self._writer = FeedbackWriter(store)
        self._claims = Claims(product.home / "claims")
        limits = Limits.shared(product.home)
        self.guard = Guard(resolve(product.file.serve.key), limits, self._clock)
        self.guard.learn(store.api_keys())
        self._about = About(
            product, self.task, self.deck, state=self.state, guarded=lambda: self.guard.guards, prefix=prefix
        )
        self._background = [Repeating("watch", WATCH_SECONDS, self.watch, self.figures.failed)]
        if keeps:
            self._background.append(Repeating("index", INDEX_SECONDS, self.journal.index, self.figures.failed))
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
        self.elsewhere.close()
        self._writer.close()
        self.journal.close(index=self._keeps)
        self.guard.close()
        self._claims.close()

    def watch(self) -> None:
        """Take up new keys and a new champion, look at the product file, and mend the log."""
        self.configuration.look()
        self.journal.look()
        self.guard.learn(self._store.api_keys())
        changed, traffic = self.deck.refresh(), self.deck.traffic
        if changed and traffic is not None:
            arms = (traffic.champion, *traffic.arms)
            self.figures.serving([(arm.facts(), arm.share) for arm in arms])
            _logger.info("answering: %s", ", ".join(f"{arm.slot.name} {arm.share:.3g}" for arm in arms))

    def signature(self) -> Signature | None:
        """The contract of the release that answers."""
        slot = self.deck.champion
        return None if slot is None else slot.signature

    def classes(self) -> tuple[str, ...]:
        """The classes or labels of the release that answers."""
        slot = self.deck.champion
        return slot.signature.options if slot is not None else ()

    @property
    def deployment(self) -> int:
        """The number of the last event in the history that was taken up, 0 before there is one."""
        return self.deck.traffic.version if self.deck.traffic is not None else 0

    def state(self) -> tuple[str, bool]:
        """What keeps the service from predicting, if anything; and whether the product file was changed."""
        failure = self.journal.failure
        trouble = failure.what if failure is not None else self.elsewhere.trouble
        return trouble, self.configuration.changed

    def refuse_unless_ready(self) -> None:
        """Raises:
        HttpError: 503: no release is loaded and warm, or predictions cannot be logged.
        """
        self._about.refuse_unless_ready()

    def routes(self, settled: Callable[[], bool]) -> Routes:
        """Who handles which path, and who may; `settled` tells whether all processes serve the same."""
        about, file = self._about, self.product.file.serve
        takes = Takes(int(file.max_body_mb * 1_000_000))
        files = TakesFiles(takes.most, signature=self.signature)
        predict = Predict(
            self.deck,
            self.journal,
            self.answerer,
            figures=self.figures,
            guard=self.guard,
            elsewhere=self.elsewhere,
            shown=self._shown,
            before=Before(self._store, self.answerer, self._claims, shared=self.product.file.store.url is not None),
            most_rows=file.max_rows,
        )
        feedback = TakeFeedback(
            self.product,
            self.task,
            self.classes,
            submit=self._writer.submit,
            guard=self.guard,
            figures=self.figures,
        )
        routes = Routes()

        def add(method: str, path: str, handler: Handler, role: str, body: Takes | None = None) -> None:
            admit = partial(self.guard.admit, role=role) if role else None
            routes.add(method, path, Route(handler, path, body, admit))

        add("POST", "/v1/predict", predict, "predict", files)
        add("POST", "/v1/explain", Explain(self.deck, self.elsewhere, self.guard), "predict", takes)
        add("POST", "/v1/feedback", feedback, "feedback", takes)
        add("GET", "/v1/health/ready", partial(about.ready, settled=settled), "")
        add("GET", "/openapi.json", about.openapi, "any")
        add("GET", "/docs", about.docs, "")
        add("GET", "/", about.home, "")
        return routes

    def _show_gauges(self) -> None:
        show, journal, deck = self.figures.watch, self.journal, self.deck
        show("volant_log_waiting_rows", "Predictions logged and not yet in the ledger", lambda: journal.waiting)
        elsewhere = self.elsewhere
        show("volant_waiting_rows", "Requests that wait for a process that predicts", lambda: elsewhere.waiting)
        show("volant_model_processes_open", "Processes that predict for others", lambda: elsewhere.alive)
        shown = self._shown
        dropped = "Requests that shadows did not get to see, because they do not keep up"
        show("volant_shadow_dropped_rows", dropped, lambda: shown.dropped if shown else 0)
        show("volant_log_failed", "Whether predictions cannot be logged", lambda: journal.failure is not None)
        show(
            "volant_ready", "Whether the service can predict", lambda: deck.traffic is not None and not journal.failure
        )
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
