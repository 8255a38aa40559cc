"""`volant log`: the log of predictions as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant -C churn log predictions.parquet --since 2026-01-01")
def log(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="FILE", help="The Parquet file to write.")],
    since: Annotated[
        str | None, typer.Option(metavar="TIME", show_default=False, help="From when on, as ISO 8601; UTC by default.")
    ] = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export the log of predictions to Parquet, a row each: what came in, what went out, by which release."""
    shell = Shell.of(context, folder, as_json)
    made = shell.product().operations.export_log(out, since=since)

    def drawn(console: Console) -> None:
        from volant.cli.drawing import line

        line(console, f"{made.rows:,} predictions are in {made.file}")

    shell.show(made.record(), drawn)
