"""`volant rollback`: go back to the release before."""

from __future__ import annotations

import typer

from volant.cli.history import draw_event
from volant.cli.shell import PLAIN, FolderOption, JsonOption, ReasonOption, Shell

app = typer.Typer(**PLAIN)


@app.command(epilog='Example: volant -C churn rollback --reason "complaints since Monday"')
def rollback(
    context: typer.Context,
    reason: ReasonOption = "",
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go back to the release before. A running service picks it up."""
    shell = Shell.of(context, folder, as_json)
    event = shell.product().rollback(reason=reason)
    shell.show(event.record(), lambda console: draw_event(console, event))
