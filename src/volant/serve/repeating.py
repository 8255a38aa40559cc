"""Work that repeats in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from volant.errors import VolantError, place_of

_logger = logging.getLogger("volant.serve")


class Repeating:
    """A daemon thread that does some work every `seconds`, whatever happened the time before."""

    def __init__(
        self,
        name: str,
        seconds: float,
        work: Callable[[], None],
        failed: Callable[[str], None],
        *,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self._at_end = at_end or work
        self._seconds = seconds
        self._work = work
        self._failed = failed
        self._stop = threading.Event()
        self._last_said = ""
        self._thread = threading.Thread(target=self._run, name=f"volant-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return when the work that is being done is done."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def finish(self) -> None:
        """Do what is to be done at the end: by default the work, once more."""
        self._work = self._at_end
        self.once()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self.once()

    def once(self) -> None:
        """Do the work now. A failure is counted, and told once until it changes or is over."""
        try:
            self._work()
            self._last_said = ""
        except Exception as error:  # the thread must live: the service depends on it
            self._failed(self.name)
            said = error.what if isinstance(error, VolantError) else place_of(error)
            if said != self._last_said:
                self._last_said = said
                _logger.error("%s failed, will try again: %s", self.name, said)
