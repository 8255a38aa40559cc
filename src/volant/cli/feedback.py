"""`volant feedback`: import and export answers to predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

app = typer.Typer(**PLAIN, epilog="Example: volant -C churn feedback import answers.csv")


@app.callback()
def feedback(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Import or export answers to predictions."""
    context.obj = Shell.of(context, folder, as_json)


@app.command("import", epilog="Example: volant -C churn feedback import answers.csv")
def take(
    context: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Rows with prediction_id, kind, value and actor: CSV, Parquet, JSON Lines."
        ),
    ],
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import a file of feedback; nothing is imported unless every row is valid."""
    shell = Shell.of(context, folder, as_json)
    result = shell.product().import_feedback(path)
    from volant.cli.drawing import line

    said = f"{result.accepted:,} imported, {result.duplicates:,} were there already"
    said += f", {result.erased:,} left out: their actors were erased" if result.erased else ""
    shell.show(result.record(), lambda console: line(console, said, "green"))


@app.command("export", epilog="Example: volant -C churn feedback export answers.csv")
def give(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes: .csv, .parquet or .jsonl.")],
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export all feedback that still counts to a file that `feedback import` takes."""
    shell = Shell.of(context, folder, as_json)
    result = shell.product().export_feedback(path)
    from volant.cli.drawing import line

    shell.show(result.record(), lambda console: line(console, f"{result.rows:,} written to {result.output}"))
