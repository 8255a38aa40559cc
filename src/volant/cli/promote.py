"""`volant promote`: make a candidate the champion by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from volant.cli.history import draw_event
from volant.cli.shell import PLAIN, FolderOption, JsonOption, ReasonOption, Shell

app = typer.Typer(**PLAIN)


@app.command(epilog='Example: volant -C churn promote 3f9a0c1d --reason "agreed with the team"')
def promote(
    context: typer.Context,
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="The candidate, or the beginning of its name.")],
    reason: ReasonOption = "",
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a candidate the champion by hand. A running service picks it up."""
    shell = Shell.of(context, folder, as_json)
    event = shell.product().promote(candidate, reason=reason)
    shell.show(event.record(), lambda console: draw_event(console, event))
