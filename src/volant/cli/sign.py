"""`volant sign`: vouch for a release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant -C churn sign --key ~/keys/churn.pem")
def sign(
    context: typer.Context,
    release: Annotated[
        str | None, typer.Argument(metavar="RELEASE", show_default=False, help="By default the champion.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="The private key, not the file's.")
    ] = None,
    new: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Make a new key and write it there.")
    ] = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Seal a release with an Ed25519 key. A service whose `sign.signers` name the key runs no other releases."""
    shell = Shell.of(context, folder, as_json)
    if new is not None:
        from volant.runtime.seal import new_key

        signer = new_key(new)
        shell.show({"key": str(new), "signer": signer}, lambda console: _draw_new(console, new, signer))
        return
    sealed = shell.product().operations.sign(release, key=key)

    def drawn(console: Console) -> None:
        from volant.cli.drawing import line, short

        line(console, f"release {short(sealed.release)} is sealed by {sealed.signer}")

    shell.show(sealed.record(), drawn)


def _draw_new(console: Console, path: Path, signer: str) -> None:
    from volant.cli.drawing import line

    line(console, f"the private key is in {path}: keep it where releases are made, not where they are served", "bold")
    line(console, "in volant.toml, where releases are served:")
    line(console, f'[sign]\nsigners = ["{signer}"]')
