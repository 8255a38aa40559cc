"""`volant client`: a typed client of the service."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

app = typer.Typer(**PLAIN)


class Kind(StrEnum):
    """The languages that clients are written in."""

    python = "python"
    typescript = "typescript"


@app.command(epilog="Example: volant -C churn client typescript --out web/src")
def client(
    context: typer.Context,
    kind: Annotated[Kind, typer.Argument(metavar="LANGUAGE", help="python or typescript.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", show_default=False, help="Where to; by default here."),
    ] = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a typed client of the service: one file without dependencies, with retries that are logged once."""
    shell = Shell.of(context, folder, as_json)
    from volant.core.product import read
    from volant.serve.clients.writing import client as written
    from volant.serve.clients.writing import described
    from volant.store import write_file_atomic

    name, text = written(described(read(shell.where)), kind.value)
    place = (out or Path()) / name
    place.parent.mkdir(parents=True, exist_ok=True)
    write_file_atomic(place, text.encode())

    def drawn(console: object) -> None:
        from volant.cli.drawing import line, stdout_console

        line(stdout_console(), f"the client is in {place}")

    shell.show({"file": str(place)}, drawn)
