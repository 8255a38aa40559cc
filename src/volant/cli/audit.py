"""`volant audit`: who changed what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.results import AuditTrail

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant -C churn audit")
def audit(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Show who changed what the product does, oldest first, and whether the trail is whole.

    Exit status 1 where a row was changed or taken out.
    """
    shell = Shell.of(context, folder, as_json)
    trail = shell.product().operations.audit()
    shell.show(trail.record(), lambda console: draw(console, trail))
    if trail.broken_at is not None:
        raise typer.Exit(1)


_SHOWN = ("reason", "name", "roles", "previous", "expires_at", "host", "workers", "share", "rows", "by")


def _said(facts: Mapping[str, Any]) -> str:
    told = {name: facts[name] for name in _SHOWN if facts.get(name) not in (None, "", [])}
    texts = {name: ", ".join(value) if isinstance(value, list) else str(value) for name, value in told.items()}
    return "; ".join(f"{name} {value[:12] if name == 'previous' else value}" for name, value in texts.items())


def draw(console: Console, trail: AuditTrail) -> None:
    """Change by change."""
    from volant.cli.drawing import line, table

    made = table("", "when", "who", "what", "of what", "because")
    for row in trail.changes:
        when = row["at"][:19].replace("T", " ")
        made.add_row(str(row["seq"]), when, row["actor"], row["action"], row["subject"][:12], _said(row["facts"]))
    console.print(made)
    if trail.broken_at is not None:
        line(console, f"✗ the trail was tampered with: row {trail.broken_at} does not follow from those before", "red")
    else:
        line(console, f"✓ {len(trail.changes)} changes, none altered or taken out", "green")
