"""`volant history`: everything that was promoted, refused, rolled back or routed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from volant.wheel.results import Deployment

app = typer.Typer(**PLAIN)
_LOOK = {
    "promote": ("●", "bold green"),
    "refuse": ("✗", "red"),
    "rollback": ("↶", "yellow"),
    "canary": ("◔", "cyan"),
    "split": ("◑", "cyan"),
    "shadow": ("◌", "cyan"),
    "end": ("□", "dim"),
}


@app.command(epilog="Example: volant -C churn history")
def history(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Show everything that was promoted, refused, rolled back or routed, oldest first."""
    shell = Shell.of(context, folder, as_json)
    events = shell.product().history()

    def drawn(console: Console) -> None:
        draw(console, events)
        if not events:
            shell.advise(console, "train")

    shell.show({"events": [event.record() for event in events]}, drawn)


def draw(console: Console, events: Sequence[Deployment]) -> None:
    """Event by event, with an arrow at the release that is champion now."""
    from rich.text import Text

    from volant.cli.drawing import indented, line, number, short

    if not events:
        line(console, "nothing was promoted or refused yet")
        return
    champion = next((event.seq for event in reversed(events) if event.kind in ("promote", "rollback")), None)
    for event in events:
        said = Text("→ " if event.seq == champion else "  ").append(kind(event.kind))
        said.append(f"  {short(event.release)}  {event.at[:19].replace('T', ' ')}  contract {event.contract}")
        said.append("".join(f"  {name} {number(value)}" for name, value in event.scores.items()))
        line(console, said)
        if event.reason:
            console.print(indented(event.reason, "dim"))


def kind(name: str) -> Text:
    """The kind of an event with its mark and colour."""
    from rich.text import Text

    mark, style = _LOOK.get(name, ("·", ""))
    return Text(f"{mark} {name}", style=style)


def draw_event(console: Console, event: Deployment) -> None:
    """One event in one line."""
    from volant.cli.drawing import line, short

    said = kind(event.kind).append(f" {short(event.previous)} → {short(event.release)}", style="not bold default")
    line(console, said.append(f"  {event.reason}", style="dim") if event.reason else said)
