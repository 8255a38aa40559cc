"""How long work tells where it is, without anything below the command line printing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives what a stage is doing. The command line draws it; the default ignores it."""

    def stage(self, name: str, total: float | None = None) -> None:
        """A stage begins; `total` steps (or seconds) are expected, None where unknown."""

    def advance(self, done: float, note: str = "") -> None:
        """So much of the stage's total is done (absolute, not a difference)."""

    def say(self, text: str) -> None:
        """One line worth keeping."""


class Silent:
    """Ignores everything."""

    def stage(self, name: str, total: float | None = None) -> None:
        return None

    def advance(self, done: float, note: str = "") -> None:
        return None

    def say(self, text: str) -> None:
        return None
