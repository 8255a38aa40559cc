"""`volant erase`: let a person go from everything, and prove it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.shell import PLAIN, BudgetOption, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.erase import Erased

app = typer.Typer(**PLAIN)
SubjectArgument = Annotated[
    str, typer.Argument(metavar="SUBJECT", help="The person, as rows, requests and feedback name them.")
]


@app.command(epilog="Example: volant -C churn erase customer-0042")
def erase(
    context: typer.Context,
    subject: SubjectArgument,
    retrain: Annotated[
        bool, typer.Option(help="Train anew at once where what serves has learned from the person.")
    ] = True,
    budget: BudgetOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase a person from events, datasets, caches, runs and releases; what comes of them later is not taken.

    Models that learned from the person are trained anew, judged beside the old ones without the person's rows, and
    deleted. The proof is a report. Exit status 1 says that something is left, and what to do about it.
    """
    shell = Shell.of(context, folder, as_json)
    with shell.progress() as progress:
        done = shell.product().operations.erase(subject, retrain=retrain, budget=budget, progress=progress)
    shell.show(done.record(), lambda console: draw(console, done))
    raise typer.Exit(0 if done.complete else 1)


def draw(console: Console, done: Erased) -> None:
    """What went, and what is left."""
    from volant.cli.drawing import facts, line, short

    went = ", ".join(f"{count:,} of {name}" for name, count in done.rows.items() if count)
    console.print(
        facts(
            {
                "erased": went or "no rows of tables",
                "datasets": f"{len(done.datasets)} versions" if done.datasets else None,
                "models": ", ".join(short(one) for one in done.models) or None,
                "retrained": short(done.retrained) if done.retrained else done.outcome,
                "report": str(done.report),
            }
        )
    )
    for one in (*done.left, *(f"the name is still found in {path}" for path in done.found)):
        line(console, one, "yellow")
    line(console, "nothing is left" if done.complete else "not complete", "bold green" if done.complete else "bold red")
