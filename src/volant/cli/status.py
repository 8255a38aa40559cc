"""`volant status`: where the product stands, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.results import Status

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant -C churn status")
def status(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Show where the product stands, and what to do next."""
    shell = Shell.of(context, folder, as_json)
    stands = shell.product().status()

    def drawn(console: Console) -> None:
        draw(console, stands)
        shell.advise(console, stands.next_step.removeprefix("volant "))

    shell.show(stands.record(), drawn)


def draw(console: Console, stands: Status) -> None:
    """The champion, the data, and the events."""
    from volant.cli.drawing import facts, line, place, short

    line(console, f"{stands.name} ({stands.task}) in {place(stands.folder)}", "bold")
    since = (stands.champion_since or "")[:19].replace("T", " ")
    new = f"{stands.feedback_since_champion:,} since the champion"
    pairs = {
        "champion": f"{short(stands.champion)} since {since}" if stands.champion else "none yet",
        "dataset": f"{short(stands.dataset)}, {stands.rows:,} rows" if stands.dataset else "none yet",
        "predictions": f"{stands.predictions:,}",
        "feedback": f"{stands.feedback:,}, {new}" if stands.feedback else "0",
        "turns": f"{stands.turns}, {stands.alpha_left:.4f} of the allowed risk of promoting something worse is left",
        "running": stands.running,
    }
    console.print(facts(pairs))
