"""`volant demo`: the whole wheel, turning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.demo import DemoResult

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant demo")
def demo(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Watch the whole wheel turn on handwritten digits, in about a minute.

    150 labelled digits to begin with; then four rounds in which simulated users answer predictions,
    some of them wrongly, and the gate decides. Exit status 0 only if the last champion is
    significantly better than the first. -C keeps the product in FOLDER.
    """
    shell = Shell.of(context, folder, as_json)
    from volant.wheel.demo import demo as turn

    with shell.progress() as progress:
        result = turn(progress=progress, folder=shell.folder)
    shell.show(result.record(), lambda console: draw(console, result))
    raise typer.Exit(0 if result.passed else 1)


def draw(console: Console, result: DemoResult) -> None:
    """The rounds, the poisoned challenger, the rollback, and how to open the service oneself."""
    console.print(result.record())
