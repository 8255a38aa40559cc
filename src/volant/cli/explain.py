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
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what each column added to the prediction for one row, against the average prediction."""
    shell = Shell.of(context, folder, as_json)
    if (row is None) == (values is None):
        fix = "`volant explain --row 3`, or `volant explain --values '{\"age\": 42}'`"
        raise BadInput("explain takes either --row or --values", code="usage", fix=fix)
    said = shell.product().explain(row=row, values=None if values is None else _parse(values))
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
    """The contributions as bars to both sides of zero, largest first."""
    from volant.cli.drawing import line, number, table

    outcome = (
        f"probability of {said.label} is {number(said.output)}" if said.label else f"value is {number(said.output)}"
    )
    line(console, f"the {outcome}; on average it is {number(said.base)}", "bold")
    ranked = sorted(said.contributions, key=lambda one: -abs(one.contribution))
    largest = max((abs(one.contribution) for one in ranked), default=0.0) or 1.0
    drawn = table("column", "value", "adds", "", right=("adds",))
    for one in ranked:
        drawn.add_row(one.column, one.value, f"{one.contribution:+.4g}", _bar(one.contribution / largest))
    console.print(drawn)


def _bar(share: float) -> Text:
    from rich.text import Text

    full = "█" * round(abs(share) * _HALF)
    if share < 0:
        return Text(full.rjust(_HALF), style="red").append("│", style="dim")
    return Text(" " * _HALF).append("│", style="dim").append(full, style="green")
