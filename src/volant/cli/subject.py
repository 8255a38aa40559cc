"""`volant subject`: everything that is kept of a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.erase import SubjectArgument
from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.erase import PersonalData

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant -C churn subject customer-0042 --output their-data.json")
def subject(
    context: typer.Context,
    subject: SubjectArgument,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Write it to a file, as JSON.")
    ] = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or export everything that is kept of a person: rows, predictions, feedback, and the models that saw them."""
    shell = Shell.of(context, folder, as_json)
    found = shell.product().operations.subject(subject)
    if output is not None:
        text = json.dumps(found.record(), ensure_ascii=False, indent=1, default=str)
        output.write_text(text, encoding="utf-8")
    shell.show(found.record(), lambda console: draw(console, found, output))


def draw(console: Console, found: PersonalData, output: Path | None) -> None:
    """How much of everything there is."""
    from volant.cli.drawing import facts, short

    console.print(
        facts(
            {
                "rows": f"{len(found.rows):,} of the source",
                "predictions": f"{len(found.predictions):,}",
                "feedback": f"{len(found.feedback):,}",
                "shadows": f"{len(found.shadows):,}" if found.shadows else None,
                "questions": f"{len(found.questions):,}" if found.questions else None,
                "trust": ", ".join(f"{one['alpha']:.1f} for, {one['beta']:.1f} against" for one in found.trust) or None,
                "datasets": f"{len(found.datasets)} versions",
                "models": ", ".join(short(one) for one in found.models) or "none",
                "written": str(output) if output else None,
            }
        )
    )
