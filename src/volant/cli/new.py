"""`volant new`: start a product from a table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.results import NewProduct

app = typer.Typer(**PLAIN)
KINDS = ("churn", "credit_default", "disease_risk", "fraud", "house_prices")


@app.command(epilog="Example: volant new churn --data customers.csv --target churned")
def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the product and of its new folder.")],
    data: Annotated[
        str,
        typer.Option(
            metavar="SOURCE",
            help="CSV, Parquet, JSON Lines or Excel file, a folder of these or of pictures, "
            "a .zip of pictures, or a URL.",
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", show_default=False, help="The column to predict; for folders of pictures their names."
        ),
    ] = None,
    query: Annotated[
        str | None, typer.Option(metavar="SQL", show_default=False, help="The query, where the source is a database.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(metavar="TASK", show_default=False, help="The task, where the guess would be wrong.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(metavar="PRESET", show_default=False, help=f"Settings for a kind: {', '.join(KINDS)}.")
    ] = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a product from a table or from pictures: infer types and task, write its file.

    Makes the folder NAME (inside FOLDER, where -C gives one) with volant.toml in it, and says why it
    took each column for what it did. Change what is wrong in the file. A preset adds what products of a
    kind have in common: costs of mistakes, the metric that decides, intervals.
    """
    shell = Shell.of(context, folder, as_json)
    from volant.wheel.new import new as make

    place = shell.where / name if shell.folder is not None else None
    with shell.progress() as progress:
        made = make(name, data, target, folder=place, query=query, task=task, preset=preset, progress=progress)

    def drawn(console: Console) -> None:
        draw(console, made)
        Shell(Path(os.path.relpath(made.folder))).advise(console, "check", "train")

    shell.show(made.record(), drawn)


def draw(console: Console, made: NewProduct) -> None:
    """What was inferred, and why."""
    from volant.cli.drawing import line, place, table

    line(console, f"{made.name}: {made.task} {made.target}", "bold green")
    line(console, made.task_reason)
    columns = table("column", "type", "role", "why")
    for column in made.columns:
        columns.add_row(column.name, column.type, column.role, column.reason)
    console.print(columns)
    line(console, f"wrote {place(made.folder / 'volant.toml')}")
