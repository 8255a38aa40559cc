"""`volant explain`: what each column added to one prediction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell
from volant.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from volant.wheel.results import Explanation

app = typer.Typer(**PLAIN)
_HALF = 14
"""Characters on either side of zero in the drawing."""


@app.command(epilog="Example: volant -C churn explain --row 3")
def explain(
    context: typer.Context,
    row: Annotated[
        int | None, typer.Option(metavar="NUMBER", show_default=False, help="A row of the data, counted from 0.")
    ] = None,
    values: Annotated[
        str | None, typer.Option(metavar="JSON", show_default=False, help="A row of your own, as a JSON object.")
    ] = None,
    method: Annotated[str, typer.Option(metavar="METHOD", help='"shap", or "lime" for a local surrogate.')] = "shap",
    label: Annotated[
        str | None, typer.Option(metavar="CLASS", show_default=False, help="The class to explain, not the answer's.")
    ] = None,
    reasons: Annotated[int, typer.Option(metavar="NUMBER", min=0, help="Reasons to put in words.")] = 4,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what each column added to the prediction for one row, against typical rows, and why."""
    shell = Shell.of(context, folder, as_json)
    if (row is None) == (values is None):
        fix = "`volant explain --row 3`, or `volant explain --values '{\"age\": 42}'`"
        raise BadInput("explain takes either --row or --values", code="usage", fix=fix)
    given = None if values is None else _parse(values)
    said = shell.product().explain(row=row, values=given, method=method, label=label, reasons=reasons)
    shell.show(said.record(), lambda console: draw(console, said))


def _parse(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as cause:
        why = cause if isinstance(cause, ValueError) else "it is nested too deeply"
        fix = 'write {"column": value, …}'
        raise BadInput(f"--values is not JSON: {why}", code="usage", where="--values", fix=fix) from None
    if not isinstance(found, dict):
        what = "--values takes one JSON object, its keys the names of columns"
        raise BadInput(what, code="usage", where="--values", got=type(found).__name__)
    return found


def draw(console: Console, said: Explanation) -> None:
    """The reasons, and the contributions as bars to both sides of zero, largest first."""
    from volant.cli.drawing import line, number, table
    from volant.evaluate.reasons import signed

    answer = f"probability of {said.label}" if said.label else "value"
    line(console, f"the {answer} is {number(said.answer)}", "bold")
    for reason in said.reasons:
        line(console, f"  because {reason}")
    line(
        console,
        f"{_scaled(said)}; typical rows have {number(said.base)} on average, this one {number(said.output)}",
        "dim",
    )
    ranked = sorted(said.contributions, key=lambda one: -abs(one.contribution))
    largest = max((abs(one.contribution) for one in ranked), default=0.0) or 1.0
    sampled = any(one.error for one in ranked)
    drawn = table("column", "value", "adds", *(["±"] if sampled else []), "", right=("adds", "±"))
    for one in ranked:
        error = [number(2 * one.error)] if sampled else []
        drawn.add_row(one.column, one.value, signed(one.contribution), *error, _bar(one.contribution / largest))
    console.print(drawn)


_HOW = {
    "exact": "exact Shapley values",
    "sampled": "sampled Shapley values (± two standard errors)",
    "surrogate": "coefficients of a local surrogate (± two standard errors)",
}


def _scaled(said: Explanation) -> str:
    scale = {"value": "", "probability": "", "log-odds": " of log-odds", "log-ratio": " of log-ratios"}[said.scale]
    fit = "" if said.fit is None else f", which explains {said.fit:.0%} of the answers around"
    return f"{_HOW[said.how]}{scale}{fit}"


def _bar(share: float) -> Text:
    from rich.text import Text

    full = "█" * round(abs(share) * _HALF)
    if share < 0:
        return Text(full.rjust(_HALF), style="red").append("│", style="dim")
    return Text(" " * _HALF).append("│", style="dim").append(full, style="green")
