"""`volant improve`: one turn of the wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from volant.cli import train
from volant.cli.shell import PLAIN, BudgetOption, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.results import Labels, TurnResult

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant -C churn improve")
def improve(
    context: typer.Context,
    budget: BudgetOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn the wheel once: make labels of the feedback, train on them, promote or refuse.

    Exit status 1 says that the gate refused; the champion stays what it was.
    """
    shell = Shell.of(context, folder, as_json)
    with shell.progress() as progress:
        turn = shell.product().improve(budget=budget, progress=progress)
    shell.show(turn.record(), lambda console: draw(console, turn))
    raise typer.Exit(1 if turn.outcome == "refused" else 0)


def draw(console: Console, turn: TurnResult) -> None:
    """What became of the feedback, of the challenger and of the champion."""
    from volant.cli.drawing import duration, facts, line, short

    console.print(facts(_labels(turn.labels)))
    if turn.train is not None:
        train.draw(console, turn.train)
    if turn.outcome == "promoted":
        line(console, f"✓ champion {short(turn.champion_before)} → {short(turn.champion_after)}", "bold green")
    elif turn.outcome == "canary" and turn.train is not None:
        line(console, f"✓ {short(turn.train.candidate)} passed and answers a share as a canary", "bold green")
    elif turn.outcome == "refused":
        line(console, f"✗ champion stays {short(turn.champion_before)}", "bold red")
    else:
        line(console, "nothing to learn yet: the champion stays", "yellow")
    line(console, f"the turn took {duration(turn.seconds)}", "dim")


def _labels(labels: Labels) -> dict[str, object]:
    left_out = "; ".join(f"{count:,}: {reason}" for reason, count in labels.reasons.items())
    return {
        "evidence": f"{labels.evidence:,} answers",
        "accepted": f"{labels.accepted:,} labels, {labels.judged:,} of them kept for judging",
        "rejected": f"{labels.rejected:,}",
        "held": f"{labels.held:,} until they are mature" if labels.held else None,
        "left out": left_out or None,
        "new classes": ", ".join(labels.new_classes) or None,
        "groups": f"{len(labels.groups)} of {sum(labels.groups)} actors who have agreed" if labels.groups else None,
    }
