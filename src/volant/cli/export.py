"""`volant export`: a release on its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant -C churn export --out web/model")
def export(
    context: typer.Context,
    release: Annotated[
        str | None, typer.Argument(metavar="RELEASE", show_default=False, help="By default the champion.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", show_default=False, help="A new or empty folder.")
    ] = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a release as ONNX with clients for Python and for browsers that need no volant."""
    shell = Shell.of(context, folder, as_json)
    made = shell.product().operations.export(release, out=out)

    def drawn(console: Console) -> None:
        from volant.cli.drawing import line

        line(console, f"release {made.release[:12]} is in {made.folder}", "bold")
        line(console, "try it: python predict.py there, or python -m http.server and a browser", "dim")

    shell.show(made.record(), drawn)
