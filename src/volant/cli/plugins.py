"""`volant columns`, `checks`, `tasks` and `learners`: what is installed, built in or not."""

from __future__ import annotations

import inspect
from typing import Any

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell


def summary(kind: str, plugin: Any) -> str:
    """What a plugin says of itself: its `summary`, or the first line of its docstring; of a learner, what it lacks."""
    said = getattr(plugin, "summary", "") or (inspect.getdoc(plugin) or "").partition("\n")[0]
    missing = plugin.missing() if kind == "learners" and hasattr(plugin, "missing") else ""
    return f"{str(said).strip()} (not installed: install {missing})" if missing else str(said).strip()


def describe(kind: str) -> list[dict[str, Any]]:
    """Every installed plugin of a kind: name, summary, and the distribution that it came with.

    Raises:
        Failure: one cannot be loaded, or two have the same name.
    """
    from volant.core import plugins

    listed = []
    for name, entry in plugins.entries(kind).items():
        origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else ""
        listed.append({"name": name, "summary": summary(kind, plugins.load(kind, name)), "from": origin})
    return listed


def _command(kind: str, what: str) -> typer.Typer:
    app = typer.Typer(**PLAIN)

    @app.command(kind, help=f"List the {what} that are installed.", epilog=f"Example: volant {kind}")
    def listing(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
        shell = Shell.of(context, folder, as_json)
        listed = describe(kind)
        from volant.cli.drawing import table

        drawn = table("name", "what it is", "from")
        for plugin in listed:
            drawn.add_row(plugin["name"], plugin["summary"], plugin["from"])
        shell.show({kind: listed}, lambda console: console.print(drawn))

    return app


apps = {
    kind: _command(kind, what)
    for kind, what in (
        ("columns", "column types"),
        ("checks", "data checks"),
        ("tasks", "tasks"),
        ("learners", "learners"),
    )
}
