"""`volant watch`: how far traffic is from what the champion was made for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.watch import WatchReport

app = typer.Typer(**PLAIN)
MOST = 15


@app.command(epilog="Example: volant -C churn watch")
def watch(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Show how far inputs and answers have moved since the champion was made, and how right it probably is still.

    Exit status 1 says that something has moved further than `drift.effect`.
    """
    shell = Shell.of(context, folder, as_json)
    report = shell.product().operations.watch()
    shell.show(report.record(), lambda console: draw(console, report))
    alarmed = bool(report.alarms) or bool(report.expected and report.expected.alarm)
    raise typer.Exit(1 if alarmed else 0)


def draw(console: Console, report: WatchReport) -> None:
    """What has moved, the furthest first."""
    from volant.cli.drawing import line, short, table

    line(console, f"{report.rows:,} predictions since {report.since[:16].replace('T', ' ')}, {short(report.release)}")
    if report.note:
        line(console, report.note, "yellow")
    if report.moved:
        made = table("", "column", "moved", "surely", "at most", "", right=("moved", "surely", "at most"))
        for one in report.moved[:MOST]:
            size, low, high = (f"{value:.1%}" for value in (one.distance, one.low, one.high))
            made.add_row(one.what, one.name, size, low, high, "alarm" if one.alarm else "")
        console.print(made)
    if report.expected is not None:
        one = report.expected
        said = f"right answers: probably {one.share:.1%} ({one.low:.1%} to {one.high:.1%}), {one.before:.1%} when made"
        line(console, said, "bold red" if one.alarm else "")
        if one.confirmed is not None:
            line(console, f"{one.confirmed:.1%} of {one.labels:,} answers were right by labels asked for at random")
