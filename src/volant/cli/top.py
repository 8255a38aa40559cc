"""`volant top`: the running service, live."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Group

    from volant.serve.top import Scene

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant -C churn top")
def top(
    context: typer.Context,
    seconds: Annotated[float, typer.Option(min=0.2, metavar="SECONDS", help="How often to look.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch the running service: requests, errors, how long they take, who answers, memory.

    Works on the machine that serves. With --json, or where there is no terminal, it looks once.
    """
    shell = Shell.of(context, folder, as_json)
    from volant.cli.drawing import stdout_console
    from volant.core.product import read
    from volant.errors import BadInput
    from volant.serve.top import look, scenes

    home = read(shell.where).home
    before = look(home)
    if not before:
        fix = "start it with `volant serve`, or look on the machine that serves"
        raise BadInput("no service of the product runs on this machine", code="not-ready", where=str(home), fix=fix)
    time.sleep(seconds)
    now = look(home)
    console = stdout_console()
    found = scenes(before, now)
    if as_json or shell.as_json or once or not console.is_terminal:
        shell.show({"services": [one.record() for one in found]}, lambda _: console.print(_drawn(found)))
        return
    from rich.live import Live

    with Live(_drawn(found), console=console, screen=True, auto_refresh=False) as live:
        while now:
            time.sleep(seconds)
            before, now = now, look(home)
            live.update(_drawn(scenes(before, now)), refresh=True)


def _drawn(found: list[Scene]) -> Group:
    from rich.console import Group
    from rich.text import Text

    from volant.cli.drawing import table

    parts: list[object] = []
    for one in found:
        state = "ready" if one.ready else "not ready"
        head = f"{one.facts.get('url')}  {state}  {one.processes} processes  {one.memory_mb:,.0f} MB"
        parts.append(Text(head, "bold"))
        made = table("path", "requests/s", "errors/s", "p50 ms", "p95 ms", "p99 ms")
        for line in one.lines:
            times = ["–" if ms is None else f"{ms:.3g}" for ms in line.quantiles]
            made.add_row(line.path, f"{line.requests:,.1f}", f"{line.errors:,.1f}", *times)
        parts.append(made)
        who = ", ".join(
            f"{name} {share:.0%} ({one.rows.get(name, 0.0):,.1f} rows/s)" for name, share in one.shares.items()
        )
        parts.append(Text(f"answering: {who or 'nobody'}; feedback {one.feedback:,.1f}/s"))
        parts.append(
            Text(", ".join(f"{name.replace('_', ' ')} {value:,.0f}" for name, value in one.gauges.items()), "dim")
        )
    return Group(*parts)  # type: ignore[arg-type]
