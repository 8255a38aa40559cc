"""`volant feedback`: import, export, show and withdraw answers to predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.store.records import FeedbackRow
    from volant.store.validity import Which

app = typer.Typer(**PLAIN, epilog="Example: volant -C churn feedback import answers.csv")


@app.callback()
def feedback(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Import, export, show or withdraw answers to predictions."""
    context.obj = Shell.of(context, folder, as_json)


@app.command("import", epilog="Example: volant -C churn feedback import answers.csv")
def take(
    context: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Rows with prediction_id, kind, value and actor: CSV, Parquet, JSON Lines."
        ),
    ],
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import a file of feedback; nothing is imported unless every row is valid."""
    shell = Shell.of(context, folder, as_json)
    result = shell.product().import_feedback(path)
    from volant.cli.drawing import line

    said = f"{result.accepted:,} imported, {result.duplicates:,} were there already"
    said += f", {result.erased:,} left out: their actors were erased" if result.erased else ""
    shell.show(result.record(), lambda console: line(console, said, "green"))


@app.command("export", epilog="Example: volant -C churn feedback export answers.csv")
def give(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes: .csv, .parquet or .jsonl.")],
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export all feedback that still counts to a file that `feedback import` takes."""
    shell = Shell.of(context, folder, as_json)
    result = shell.product().export_feedback(path)
    from volant.cli.drawing import line

    shell.show(result.record(), lambda console: line(console, f"{result.rows:,} written to {result.output}"))


IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Pieces of feedback, by their ids.")]
ActorOption = Annotated[str | None, typer.Option(metavar="NAME", show_default=False, help="All that somebody said.")]
PredictionOption = Annotated[str | None, typer.Option(metavar="ID", show_default=False, help="All about a prediction.")]
SourceOption = Annotated[str | None, typer.Option(metavar="NAME", show_default=False, help="All from a source.")]
SinceOption = Annotated[
    str | None, typer.Option(metavar="TIME", show_default=False, help="Received then or later, ISO 8601.")
]
BeforeOption = Annotated[str | None, typer.Option(metavar="TIME", show_default=False, help="Received before that.")]
ReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", show_default=False, help="Kept in the audit trail, which names nobody else.")
]
MOST_SHOWN = 50


@app.command("list", epilog="Example: volant -C churn feedback list --actor robot-7")
def show(
    context: typer.Context,
    ids: IdsArgument = None,
    actor: ActorOption = None,
    prediction: PredictionOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show feedback with its ids: the first 50 pieces, all with --json. What is withdrawn is marked."""
    shell = Shell.of(context, folder, as_json)
    which = _which(ids, actor, prediction, source, since, before)
    rows = shell.product().operations.find_feedback(which, None if shell.as_json else MOST_SHOWN)
    shell.show({"feedback": [row.record() for row in rows]}, lambda console: draw(console, rows))


@app.command(epilog='Example: volant -C churn feedback withdraw --actor robot-7 --reason "a script, no person"')
def withdraw(
    context: typer.Context,
    ids: IdsArgument = None,
    actor: ActorOption = None,
    prediction: PredictionOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    reason: ReasonOption = "",
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let feedback count no more, from the next turn on. It is kept; the audit trail says who withdrew it."""
    which = _which(ids, actor, prediction, source, since, before)
    _mark(Shell.of(context, folder, as_json), which, valid=False, reason=reason)


@app.command(epilog="Example: volant -C churn feedback restore 0190c9b2-7c1e-7aa0-9a52-0e4b7c1f0a11")
def restore(
    context: typer.Context,
    ids: IdsArgument = None,
    actor: ActorOption = None,
    prediction: PredictionOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    reason: ReasonOption = "",
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let withdrawn feedback count again."""
    which = _which(ids, actor, prediction, source, since, before)
    _mark(Shell.of(context, folder, as_json), which, valid=True, reason=reason)


def _which(
    ids: list[str] | None,
    actor: str | None,
    prediction: str | None,
    source: str | None,
    since: str | None,
    before: str | None,
) -> Which:
    from volant.store.validity import Which

    return Which(tuple(ids or ()), actor=actor, prediction=prediction, source=source, since=since, before=before)


def _mark(shell: Shell, which: Which, *, valid: bool, reason: str) -> None:
    from volant.cli.drawing import line

    changed = shell.product().operations.mark_feedback(which, valid=valid, reason=reason)
    done = "count again" if valid else "withdrawn"
    shell.show({"changed": changed, "valid": valid}, lambda console: line(console, f"{changed:,} {done}", "green"))


def draw(console: Console, rows: Sequence[FeedbackRow]) -> None:
    """Piece by piece."""
    from volant.cli.drawing import table

    made = table("id", "prediction", "kind", "value", "actor", "source", "received", "counts")
    for row in rows:
        when, value = row.received_at[:19].replace("T", " "), str(row.value)[:40]
        told = row.id, row.prediction_id, row.kind, value, row.actor, row.source, when, "" if row.valid else "withdrawn"
        made.add_row(*told)
    console.print(made)
