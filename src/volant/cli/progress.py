"""Progress on standard error: a bar in a terminal, plain lines elsewhere, nothing with `--json`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from volant.core.progress import Progress, Silent

if TYPE_CHECKING:
    from rich.console import Console

_QUIET_SECONDS = 10.0
"""Plain progress says something new at most this often within one stage."""


def progress_for(as_json: bool) -> Progress:
    """The progress that suits where the output goes."""
    if as_json:
        return Silent()
    if not sys.stderr.isatty():
        return Lines(sys.stderr)
    from volant.cli.drawing import stderr_console

    return Bars(stderr_console())


class Lines:
    """One line per stage, and one every few seconds of a long one: for logs."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._name = ""
        self._total: float | None = None
        self._last = 0.0

    def stage(self, name: str, total: float | None = None) -> None:
        self._name, self._total, self._last = name, total, self._clock()
        self.say(name)

    def advance(self, done: float, note: str = "") -> None:
        now = self._clock()
        if now - self._last < _QUIET_SECONDS:
            return
        self._last = now
        share = f" {done / self._total:.0%}" if self._total else ""
        self.say(f"{self._name}{share}{': ' + note if note else ''}")

    def say(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


class Bars:
    """One moving bar, for the stage that runs now; a stage that is done leaves its name behind."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Any = None
        self._task: Any = None
        self._name = ""

    def stage(self, name: str, total: float | None = None) -> None:
        self.done()
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Drawn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=30))
        note = TextColumn("{task.fields[note]}", style="dim", markup=False)
        self._live = Drawn(*columns, TimeElapsedColumn(), note, console=self._console, transient=True)
        self._task = self._live.add_task(name, total=total, note="")
        self._name = name
        self._live.start()

    def advance(self, done: float, note: str = "") -> None:
        if self._live is not None:
            self._live.update(self._task, completed=done, note=note)

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def done(self) -> None:
        """The stage that runs now came to its end."""
        if self._live is not None:
            self.close()
            self._console.print(f"✓ {self._name}", style="green", markup=False, highlight=False)

    def close(self) -> None:
        """Take the bar away, whatever became of the stage."""
        if self._live is not None:
            self._live.stop()
            self._live = None
