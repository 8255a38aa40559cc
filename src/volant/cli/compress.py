"""`volant compress`: make a release smaller and quicker, if that can be measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.compress import CompressResult

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant compress")
def compress(
    context: typer.Context,
    candidate: Annotated[
        str | None, typer.Argument(metavar="CANDIDATE", help="A candidate to begin with; by default the champion.")
    ] = None,
    epochs: Annotated[
        float, typer.Option(metavar="NUMBER", min=0.0, help="Passes through the rows that smaller networks learn for.")
    ] = 3.0,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Try this variant alone; may be given several times.")
    ] = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try the networks of a release in eight bits and with parts cut out, and ship what is measurably better.

    Exit status 1 says that the gate refused what was chosen; the champion stays what it was.
    """
    shell = Shell.of(context, folder, as_json)
    with shell.progress() as progress:
        found = shell.product().compress(candidate, epochs=epochs, only=tuple(only or ()), progress=progress)
    shell.show(found.record(), lambda console: draw(console, found))
    raise typer.Exit(1 if found.verdict is not None and not found.verdict.passed else 0)


def draw(console: Console, found: CompressResult) -> None:
    """The table of what was tried, and what became of it."""
    from volant.cli.drawing import line, short, table

    made = table("variant", "size", "one row", "quicker", "memory", "metric", "difference", "")
    for one in found.table:
        made.add_row(
            one.name,
            f"{one.size_bytes / 1e6:.3g} MB",
            f"{one.latency_ms:.3g} ms",
            "" if one is found.table[0] else _between(one.faster, "×"),
            "" if one.memory_mb is None else f"{one.memory_mb:.0f} MB",
            f"{one.metric:.4f}",
            "" if one is found.table[0] else _between(one.difference),
            "chosen" if one.name == found.chosen else one.why,
        )
    console.print(made)
    if found.verdict is not None and found.verdict.passed:
        line(console, f"✓ champion {short(found.release)} → {short(found.candidate)}", "bold green")
    else:
        line(console, found.note, "yellow")


def _between(values: tuple[float, float, float], unit: str = "") -> str:
    middle, low, high = values
    return f"{middle:.3g}{unit} ({low:.3g} to {high:.3g})"
