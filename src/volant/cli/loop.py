"""`volant loop`: turns by the rules of the product file, beside the service."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.faults import report
from volant.cli.shell import PLAIN, BudgetOption, FolderOption, JsonOption, Shell
from volant.core.product import parse_duration
from volant.errors import BadInput, VolantError

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.turns import Turn

app = typer.Typer(**PLAIN)
LONGEST = 86_400.0
"""Seconds between two looks at the most."""
MOST_DOUBLED = 7
"""How often the time between two looks is doubled where one after the other fails."""


@app.command(epilog="Example: volant -C churn loop --once")
def loop(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Do one turn now, whether it is due or not, and end.")] = False,
    poll: Annotated[str, typer.Option(metavar="TIME", help="How often live traffic is looked at.")] = "30s",
    history: Annotated[bool, typer.Option("--history", help="Show the turns that there were, and end.")] = False,
    budget: BudgetOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn the wheel by itself: compare releases on live traffic, watch, ask, learn, tell, every `improve.every`.

    It runs at the lowest priority beside `volant serve`, one turn at a time. A turn that was cut short goes on where it
    stood. Where another volant is busy it waits, and once it has begun it says what goes wrong and tries again, less
    and less often. It ends by Ctrl+C or SIGTERM.
    """
    shell = Shell.of(context, folder, as_json)
    if history:
        turns = shell.product().operations.turns()
        shell.show({"turns": [one.record() for one in turns]}, lambda console: _draw_all(console, turns))
        return
    if not once:  # what is asked for now is not put behind everything else
        with contextlib.suppress(OSError):
            os.nice(19)
    seconds = _seconds(poll)
    stop = threading.Event()
    if not once and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if once:
        _round(shell, -1, once=True, budget=budget)
        return
    _rounds(shell, budget, seconds, stop)


def _rounds(shell: Shell, budget: str | None, seconds: float, stop: threading.Event) -> None:
    """Look and turn until somebody says stop. What stands in the way is told once for each reason."""
    heard, begun, failed, told = -1, False, 0, ""
    while True:
        try:
            heard, begun, failed, told = _round(shell, heard, once=False, budget=budget), True, 0, ""
        except VolantError as error:
            busy = error.code == "busy"
            if not (begun or busy):
                raise
            failed = 0 if busy else min(failed + 1, MOST_DOUBLED)
            if error.what != told:
                report(error, shell.as_json)
                told = error.what
        if stop.wait(min(seconds * 2**failed, LONGEST)):
            return


def _round(shell: Shell, heard: int, *, once: bool, budget: str | None) -> int:
    """One look, and a turn where it is due, by the file as it is now. Gives how much was heard."""
    operations = shell.product().operations
    with shell.progress() as progress:
        look = None if once else operations.look(heard, progress=progress)
        why = "by hand" if look is None else look.due
        done = None if why is None else operations.turn(why, budget=budget, progress=progress)
    if look is not None and look.events:
        shell.show(look.record(), lambda console: _draw_events(console, [one.record() for one in look.events]))
    if done is not None:
        shell.show(done.record(), lambda console: draw(console, done))
    return heard if look is None else look.heard


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as bad:
        raise BadInput(str(bad), code="usage", where="--poll", got=text) from None
    if not 0 < seconds <= LONGEST:
        raise BadInput(
            "live traffic is looked at more than once a day, and not all the time",
            code="usage",
            where="--poll",
            got=text,
        )
    return seconds


def draw(console: Console, turn: Turn) -> None:
    """What each step of a turn found."""
    from volant.cli.drawing import facts, line

    steps = turn.steps
    console.print(
        facts(
            {
                "turn": f"{turn.begun_at[:16].replace('T', ' ')}, {turn.why}",
                "live": "; ".join(f"{one['decision']} {one['gain']:+.4f}" for one in steps["live"]["duels"]) or None,
                "moved": ", ".join(one["name"] for one in steps["watch"]["moved"] if one["alarm"]) or None,
                "questions": str(steps["ask"]["questions"]) if steps["ask"]["questions"] else None,
                "learned": steps["learn"]["outcome"],
            }
        )
    )
    _draw_events(console, steps["live"]["events"])
    line(console, turn.outcome or "", "bold")


def _draw_events(console: Console, events: list[dict[str, object]]) -> None:
    from volant.cli.drawing import line, short

    for event in events:
        line(console, f"{event['kind']} {short(str(event['release']))}: {event['reason']}")


def _draw_all(console: Console, turns: list[Turn]) -> None:
    from volant.cli.drawing import line, table

    if not turns:
        line(console, "there was no turn yet")
        return
    made = table("begun", "why", "outcome", "steps")
    for one in turns:
        begun = one.begun_at[:19].replace("T", " ")
        made.add_row(begun, one.why, one.outcome or "cut short", ", ".join(one.steps))
    console.print(made)
