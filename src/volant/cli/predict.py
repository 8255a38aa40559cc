"""`volant predict`: answers for every row of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant -C churn predict --input rows.csv --output answers.parquet")
def predict(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Option("--input", metavar="FILE", help="Rows: CSV, Parquet, JSON Lines, Excel; a folder of pictures."),
    ],
    output: Annotated[Path, typer.Option(metavar="FILE", help="Where answers go: .csv, .parquet or .jsonl.")],
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict for every row of a file with the champion; one answer per row, in its order."""
    shell = Shell.of(context, folder, as_json)
    with shell.progress() as progress:
        result = shell.product().predict(source, output, progress=progress)
    from volant.cli.drawing import duration, line, short

    said = f"{result.rows:,} rows predicted by {short(result.release)} in {duration(result.seconds)}: {result.output}"
    shell.show(result.record(), lambda console: line(console, said))
