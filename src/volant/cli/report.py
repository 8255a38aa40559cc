"""`volant report`: how good a release is, as one HTML file."""

from __future__ import annotations

from typing import Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant -C churn report")
def report(
    context: typer.Context,
    candidate: Annotated[
        str | None,
        typer.Option(metavar="CANDIDATE", show_default=False, help="A candidate; by default the champion."),
    ] = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report of the champion, or of a candidate, as one HTML file and print where it is."""
    shell = Shell.of(context, folder, as_json)
    with shell.progress() as progress:
        path = shell.product().report(candidate, progress=progress)
    from volant.cli.drawing import line, place

    shell.show({"report": str(path)}, lambda console: line(console, place(path)))
