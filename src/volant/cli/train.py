"""`volant train`: train a candidate and let the gate judge it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from volant.cli.shell import PLAIN, BudgetOption, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.results import TrainResult

app = typer.Typer(**PLAIN)
LITTLE = 5e-4
"""Relative difference from the best ensemble that is not worth a line."""


@app.command(epilog="Example: volant -C churn train --budget 2m")
def train(
    context: typer.Context,
    budget: BudgetOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a candidate within the budget and let the gate judge it.

    The checks come first. A candidate that the gate refuses stays on disk and in the history; exit
    status 1 says so. A training that was interrupted goes on where it stopped.
    """
    shell = Shell.of(context, folder, as_json)
    with shell.progress() as progress:
        result = shell.product().train(budget=budget, progress=progress)

    def drawn(console: Console) -> None:
        draw(console, result)
        if result.promoted:
            shell.advise(console, "report", "serve", "predict --input FILE --output FILE")

    shell.show(result.record(), drawn)
    raise typer.Exit(0 if result.promoted else 1)


def draw(console: Console, result: TrainResult) -> None:
    """The leaderboard, the scores on rows that were never trained on, and the verdict."""
    from volant.cli.drawing import comparisons, facts, leaderboard, line, place, scores, verdict

    if result.leaderboard:
        console.print(leaderboard(result.leaderboard, result.metric))
    if result.scores:
        console.print(scores(result.scores, "Candidate on the test rows"))
    if result.verdict is not None and result.verdict.comparisons:
        console.print(comparisons(result.verdict.comparisons))
    console.print(facts(_costs(result)))
    if result.report is not None:
        line(console, f"report: {place(result.report)}")
    if result.note:
        line(console, result.note, "yellow")
    console.print(verdict(result.verdict))


def _costs(result: TrainResult) -> dict[str, object]:
    from volant.cli.drawing import duration, short, size

    costs: dict[str, object] = {
        "candidate": short(result.candidate),
        "took": f"{duration(result.seconds)} of a budget of {result.budget}",
        "one row": f"{result.latency_ms:.2f} ms",
        "size": size(result.size_bytes),
    }
    small, full = result.out_of_fold, result.full_ensemble
    if small is not None and full is not None and abs(small - full) > LITTLE * abs(full):
        costs["limits cost"] = f"{100 * abs(small - full) / abs(full):.1f} % of {result.metric}, out of fold"
    return costs
