"""`volant keys`: who may use the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.results import KeyResult

app = typer.Typer(**PLAIN, epilog="Example: volant -C churn keys create shop --role predict --rate 100/s")
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The key, by its id.")]


@app.callback()
def keys(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Make, list, rotate and revoke keys of the service. Once there is one, no request goes without."""
    context.obj = Shell.of(context, folder, as_json)


@app.command(epilog="Example: volant -C churn keys create shop --role predict --role feedback --quota 100000/day")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")],
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE", help="predict, feedback, review or admin; may be given several times."),
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="RATE", show_default=False, help='Requests, such as "100/s" or "600/m".')
    ] = None,
    quota: Annotated[
        str | None, typer.Option(metavar="QUOTA", show_default=False, help='Rows, such as "10000/day".')
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", show_default=False, help='When it ends, such as "90d" from now.')
    ] = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is shown once and kept nowhere."""
    shell = Shell.of(context, folder, as_json)
    made = shell.product().operations.create_key(name, role or [], rate=rate, quota=quota, expires=expires)
    shell.show(made.record(), lambda console: _draw_new(console, made))


@app.command("list", epilog="Example: volant -C churn keys list")
def show(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Show all keys, ended ones too; what they prove themselves by is never shown."""
    shell = Shell.of(context, folder, as_json)
    found = shell.product().operations.keys()
    shell.show({"keys": [key.record() for key in found]}, lambda console: _draw(console, found))


@app.command(epilog="Example: volant -C churn keys rotate 4f1d2c3b9a80 --overlap 7d")
def rotate(
    context: typer.Context,
    id: IdArgument,
    overlap: Annotated[str, typer.Option(metavar="TIME", help="How long the old key still holds.")] = "24h",
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new key for the same, and let the old one end."""
    shell = Shell.of(context, folder, as_json)
    made = shell.product().operations.rotate_key(id, overlap=overlap)
    shell.show(made.record(), lambda console: _draw_new(console, made))


@app.command(epilog="Example: volant -C churn keys revoke 4f1d2c3b9a80")
def revoke(context: typer.Context, id: IdArgument, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """End a key now. A running service notices within a second."""
    shell = Shell.of(context, folder, as_json)
    ended = shell.product().operations.revoke_key(id)
    from volant.cli.drawing import line

    shell.show(ended.record(), lambda console: line(console, f"the key {ended.id} of {ended.name} is revoked"))


def _draw_new(console: Console, made: KeyResult) -> None:
    from volant.cli.drawing import line

    line(console, f"key {made.id} of {made.name}: {', '.join(made.roles)}", "bold")
    line(console, made.key or "")
    line(console, "keep it now: it cannot be shown again. A running service takes it within a second.", "dim")


def _draw(console: Console, found: list[KeyResult]) -> None:
    from volant.cli.drawing import line, table

    if not found:
        line(console, "there are no keys: whoever reaches the service may use it")
        return
    made = table("id", "name", "roles", "limits", "made", "state")
    for key in found:
        rate = None if key.rate is None else f"{key.rate:g} requests/s"
        quota = None if key.quota is None else f"{key.quota:,} rows/{key.period}"
        state = "live" if key.live else "revoked" if key.revoked_at else "expired"
        if key.live and key.expires_at:
            state = f"live until {key.expires_at[:16].replace('T', ' ')}"
        limits = ", ".join(limit for limit in (rate, quota) if limit)
        made.add_row(key.id, key.name, ", ".join(key.roles), limits, key.created_at[:10], state)
    console.print(made)
