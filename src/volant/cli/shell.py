"""What every command shares: the product it works on, where it writes, and how it shows progress."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from volant.core.progress import Progress
    from volant.wheel.handle import ProductHandle

PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "add_completion": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
"""How every command is set up: help is plain text, for it must come at once."""
FolderOption = Annotated[
    Path | None,
    typer.Option(
        "-C", "--folder", metavar="FOLDER", show_default=False, help="Folder of the product; by default this one."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write the result as one JSON object.")]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        metavar="BUDGET", show_default=False, help='Time ("60s", "5m") or work ("12 units"), not the file\'s.'
    ),
]
ReasonOption = Annotated[str, typer.Option(metavar="TEXT", show_default=False, help="Why; kept in the history.")]


class Shell:
    """One call of the command line. Results go to standard output, progress and errors to standard error."""

    def __init__(self, folder: Path | None = None, as_json: bool = False) -> None:
        self.folder = folder
        self.as_json = as_json

    @staticmethod
    def of(context: typer.Context, folder: Path | None, as_json: bool) -> Shell:
        """The options given after the command, completed by those given before it."""
        before = context.find_object(Shell) or Shell()
        return Shell(folder or before.folder, as_json or before.as_json)

    @property
    def where(self) -> Path:
        """The folder that the command works in."""
        return self.folder if self.folder is not None else Path()

    def product(self) -> ProductHandle:
        """The product in the folder.

        Raises:
            BadInput: there is none, or its file does not hold.
        """
        import volant

        return volant.open(self.where)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Progress for this call: drawn in a terminal, plain lines elsewhere, nothing with `--json`."""
        from volant.cli.progress import Bars, progress_for
        from volant.cli.stopping import stopped_soon

        shown = progress_for(self.as_json)

        def close() -> None:
            if isinstance(shown, Bars):
                shown.close()

        try:
            with stopped_soon(self.as_json, close):
                yield shown
            if isinstance(shown, Bars):
                shown.done()
        finally:
            close()

    def advise(self, console: Console, *commands: str) -> None:
        """Say what one would usually do next, with the folder that this call was given."""
        from volant.cli.drawing import line

        volant = "volant" if self.folder is None else f"volant -C {self.folder}"
        line(console, "next: " + "   ".join(f"{volant} {command}" for command in commands), "dim")

    def show(self, record: Mapping[str, Any], draw: Callable[[Console], None]) -> None:
        """Write a result: its record as one line of JSON, or drawn."""
        if self.as_json:
            write_json(record)
            return
        from volant.cli.drawing import stdout_console

        draw(stdout_console())


def write_json(record: Mapping[str, Any]) -> None:
    """Write one JSON object as one line of standard output."""
    write(json.dumps(finite(record), ensure_ascii=False, allow_nan=False, default=str))


def write(text: str) -> None:
    """Write text as it is to standard output, quietly stopping where nobody reads any more."""
    try:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def finite(value: Any) -> Any:
    """`value` as JSON can hold it: numbers that are not finite become null, tuples lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
