"""`volant ship`: what runs the service elsewhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(**PLAIN)


class Target(StrEnum):
    """Where the service is to run."""

    docker = "docker"
    systemd = "systemd"
    k8s = "k8s"


@app.command(epilog="Example: volant -C churn ship docker")
def ship(
    context: typer.Context,
    target: Annotated[Target, typer.Argument(metavar="TARGET", help="docker, systemd or k8s.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", show_default=False, help="Where to; by default by the target."),
    ] = None,
    user: Annotated[str, typer.Option(metavar="NAME", help="The user that systemd runs the service as.")] = "volant",
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write what runs the service: a Dockerfile and a compose file, a systemd unit, or Kubernetes manifests.

    Those of Docker are written beside the product file, the others into a folder named after the target.
    """
    shell = Shell.of(context, folder, as_json)
    from volant.core.product import read
    from volant.serve.shipping.files import ship as written

    product = read(shell.where)
    place = out or (product.folder if target is Target.docker else product.folder / target.value)
    paths = written(product, target.value, place, account=user)

    def drawn(console: Console) -> None:
        from volant.cli.drawing import line

        for path in paths:
            line(console, f"wrote {path}")
        line(console, "read what stands at the top of each; nothing was built or started", "dim")

    shell.show({"target": target.value, "files": [str(path) for path in paths]}, drawn)
