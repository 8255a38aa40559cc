"""`volant schema`: the JSON Schema of the product file."""

from __future__ import annotations

import json

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell, write, write_json

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant schema > volant.schema.json")
def schema(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Print the JSON Schema of volant.toml, from which editors complete and check the file."""
    shell = Shell.of(context, folder, as_json)
    from volant.core.product import json_schema

    if shell.as_json:
        write_json(json_schema())
    else:
        write(json.dumps(json_schema(), indent=2, ensure_ascii=False))
