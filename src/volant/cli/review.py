"""`volant review`: questions to people who know better, in the terminal."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell
from volant.errors import BadInput, VolantError

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.ask import Question

app = typer.Typer(**PLAIN)
SKIP, END = "-", ""


@app.command(epilog='Example: volant -C churn review --id 0190c9b2-… --value yes --rationale "called them"')
def review(
    context: typer.Context,
    id: Annotated[
        str | None, typer.Option("--id", metavar="ID", show_default=False, help="Answer for this prediction, and end.")
    ] = None,
    value: Annotated[str | None, typer.Option(metavar="VALUE", show_default=False, help="What the truth is.")] = None,
    rationale: Annotated[str | None, typer.Option(metavar="TEXT", show_default=False, help="Why.")] = None,
    actor: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=False, help="Who answers; by default the user.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Show the questions, and end.")] = False,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer the questions that teach the product most, at most `review.per_day` of them a day.

    What a reviewer says is taken alone and never doubted. Without a terminal, or with --json, questions are listed.
    """
    shell = Shell.of(context, folder, as_json)
    operations = shell.product().operations
    name = actor or getpass.getuser()
    if id is not None:
        if value is None:
            raise BadInput("an answer is missing", code="usage", where="--value", fix="say what the truth is")
        operations.answer(id, value, actor=name, rationale=rationale)
        shell.show({"answered": id}, lambda console: _say(console, "thank you, that is stored"))
        return
    asked = operations.questions()
    if show or as_json or not _interactive():
        shell.show({"questions": [one.record() for one in asked]}, lambda console: draw(console, asked))
        return
    answered = 0
    for one in asked:
        typer.echo(_text(one))
        said = typer.prompt(f"the truth ({SKIP} skips, nothing ends)", default=END, show_default=False).strip()
        if said == END:
            break
        try:
            operations.answer(one.prediction_id, None if said == SKIP else said, actor=name, rationale=rationale)
        except VolantError as bad:
            typer.echo(bad.what)
            continue
        answered += said != SKIP
    typer.echo(f"{answered} answered")


def _interactive() -> bool:
    import sys

    return sys.stdin.isatty() and sys.stdout.isatty()


def draw(console: Console, asked: list[Question]) -> None:
    """All questions."""
    if not asked:
        _say(console, "nothing to ask: everything is answered, or the day's questions are used up")
    for one in asked:
        _say(console, _text(one))


def _say(console: Console, text: str) -> None:
    from volant.cli.drawing import line

    line(console, text)


def _text(one: Question) -> str:
    rows = [f"\n{one.prediction_id}  ({one.why})"]
    rows += [f"  {name}: {value}" for name, value in one.input.items()]
    answered = one.output.get("label", one.output.get("value"))
    if "labels" in one.output:
        answered = "|".join(one.output["labels"]) or "[]"
    rows.append(f"  answered: {answered}")
    rows += [f"  {actor} said {kind}: {value}" for actor, kind, value in one.said]
    return "\n".join([*rows, f"  choices: {', '.join(one.choices)}" if one.choices else ""]).rstrip()
