"""`volant demo`: the whole wheel, turning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from volant.testing.demo import DemoResult
    from volant.testing.paired import Share

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant demo")
def demo(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Watch the whole wheel turn on handwritten digits, in about a minute.

    150 labelled digits to begin with; then four rounds in which simulated users answer predictions,
    some of them wrongly, and the gate decides. Exit status 0 only if the last champion is
    significantly better than the first. -C says where the product is made and kept.
    """
    shell = Shell.of(context, folder, as_json)
    from volant.testing.demo import demo as turn

    with shell.progress() as progress:
        result = turn(progress=progress, folder=shell.folder)
    shell.show(result.record(), lambda console: draw(console, result))
    raise typer.Exit(0 if result.passed else 1)


def draw(console: Console, result: DemoResult) -> None:
    """The rounds, the poisoned challenger, the rollback, and how to open the service oneself."""
    from volant.cli.drawing import duration, indented, line

    line(console, f"A champion from {result.labelled} labelled digits: {share(result.first)} right.", "bold")
    line(
        console,
        f"{result.users} people use it; {result.stubborn} of them always say 7, and the others make slips. "
        f"Accuracy is measured on {result.hidden} digits that nobody else ever sees.",
    )
    console.print(_rounds(result))
    for one in result.rounds:
        console.print(indented(f"{one.number}: {one.reason}", "dim"))
    console.print()
    _draw_attack(console, result)
    back = result.rollback
    way = f"{back.champion[:12]} → {back.previous[:12]} → {back.restored[:12]}"
    line(console, f"A rollback and back again, while the service ran on: {way}.")
    gain = result.gain
    said = f"The last champion is {share(result.last)} right, {gain.difference:+.1%} "
    said += f"[{gain.low:+.1%}, {gain.high:+.1%}] against the first."
    line(console, said, "bold green" if result.passed else "bold red")
    line(console, f"All of this took {duration(result.seconds)}. Open the service yourself:", "dim")
    for command in result.next:
        line(console, f"  {command}")


def share(found: Share) -> str:
    """An accuracy and its interval."""
    return f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}]"


def _rounds(result: DemoResult) -> Table:
    from volant.cli.drawing import table

    heads = ("round", "answers", "wrong", "accepted", "rejected", "champion", "challenger", "verdict")
    drawn = table(*heads, right=("round", "answers", "wrong", "accepted", "rejected"))
    for one in result.rounds:
        counts = (str(count) for count in (one.number, one.answers, one.wrong, one.accepted, one.rejected))
        challenger = "–" if one.challenger is None else share(one.challenger)
        drawn.add_row(*counts, share(one.champion), challenger, _verdict(one.outcome))
    return drawn


def _verdict(outcome: str) -> Text:
    from rich.text import Text

    return Text(outcome, style={"promoted": "green", "refused": "red"}.get(outcome, "yellow"))


def _draw_attack(console: Console, result: DemoResult) -> None:
    from volant.cli.drawing import indented, line

    attack = result.poisoned
    said = f"A challenger trained with {attack.share:.0%} of the labels flipped is {share(attack.challenger)} right: "
    said += "refused." if attack.refused else "promoted, which must not be."
    line(console, said, "" if attack.refused else "bold red")
    if attack.reason:
        console.print(indented(attack.reason, "dim"))
