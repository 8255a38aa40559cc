"""`volant retain`: what is older than the product file allows goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant -C churn retain --dry-run")
def retain(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much would go, and keep it.")] = False,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove what is older than `log.keep` and `log.keep_evidence` allow, as a running service does once an hour.

    With `log.archive` it is written there as Parquet first. Nothing goes while a turn is open, or while a label may
    still come.
    """
    shell = Shell.of(context, folder, as_json)
    gone = shell.product().operations.retain(dry_run=dry_run)

    def drawn(console: Console) -> None:
        from volant.cli.drawing import line

        verb = "would go" if dry_run else "went"
        told = f"{gone.predictions:,} predictions and {gone.feedback:,} feedback on them {verb}"
        line(console, gone.held or told)

    shell.show(gone.record(), drawn)
