"""`volant config`: the product file with every default filled in."""

from __future__ import annotations

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell, write, write_json
from volant.cli.toml import dumps

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant -C churn config")
def config(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Print the product file with every default filled in, as TOML that volant reads back."""
    shell = Shell.of(context, folder, as_json)
    filled = shell.product().config()
    if shell.as_json:
        write_json(filled)
    else:
        write(dumps(filled))
