"""`volant serve`: the champion over HTTP."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell, write, write_json

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant -C churn serve --port 8000")
def serve(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER…", show_default=False, help="Folders of several products to serve together."),
    ] = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", show_default=False, help="Address to listen on, not the file's.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", show_default=False, help="Port, not the file's; 0 takes a free one.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=63, show_default=False, help="Processes that answer; 0: one per core."),
    ] = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve the champion over HTTP until stopped; a new champion is picked up without a restart.

    Several products are served under their names: /NAME/v1/predict. The address is that of the first one's file.
    With --json, one object that names the address is written when the service listens.
    """
    shell = Shell.of(context, folder, as_json)
    from volant.core.product import read
    from volant.serve.launch import Address
    from volant.serve.launch import serve as launch

    products = [read(place) for place in folders or [shell.where]]
    launch(products, Address(host=host, port=port, workers=workers), Announcer(shell.as_json))


class Announcer:
    """Takes what the service says; with `--json` only the first of it is written, as an object."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._said = False

    def __call__(self, text: str) -> None:
        if not self._as_json:
            write(text)
        elif not self._said:
            products = dict(re.findall(r"^(\S+) is served at (https?://\S+)", text, re.MULTILINE))
            write_json({"url": next(iter(products.values()), None), "products": products, "said": text})
        self._said = True
