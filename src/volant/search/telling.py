"""What a fit tells of how it goes on, as notes of the search that makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from volant.core.progress import Progress


@dataclass(frozen=True)
class Telling:
    """The progress of one fit among others.

    Attributes:
        name: of its configuration.
        note: takes what it is doing now.
        search: takes what is worth keeping.
    """

    name: str
    note: Callable[[str], None]
    search: Progress

    def stage(self, name: str, total: float | None = None) -> None:
        """A fit has no stages of its own."""

    def advance(self, done: float, note: str = "") -> None:
        if note:
            self.note(f"{self.name}: {note}")

    def say(self, text: str) -> None:
        self.search.say(f"{self.name}: {text}")
