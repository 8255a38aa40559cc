"""`volant route`: which release answers which part of the traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.history import draw_event
from volant.cli.shell import PLAIN, FolderOption, JsonOption, ReasonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.results import Routes

app = typer.Typer(**PLAIN, epilog="Example: volant -C churn route canary 3f9a0c1d --share 0.1 --promote-after 30m")
CandidateArgument = Annotated[
    str, typer.Argument(metavar="CANDIDATE", help="The candidate, or the beginning of its name.")
]
ShareOption = Annotated[float, typer.Option(metavar="SHARE", help="Share of the subjects, between 0 and 1.")]


@app.callback()
def route(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Let other releases answer a part of the traffic, or only see it. A running service follows within a second."""
    context.obj = Shell.of(context, folder, as_json)


@app.command(epilog="Example: volant -C churn route show")
def show(context: typer.Context, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """Show who answers which share of the requests."""
    shell = Shell.of(context, folder, as_json)
    found = shell.product().operations.routes()
    shell.show(found.record(), lambda console: _draw(console, found))


@app.command(epilog="Example: volant -C churn route canary 3f9a0c1d --share 0.1 --promote-after 30m")
def canary(
    context: typer.Context,
    candidate: CandidateArgument,
    share: ShareOption = 0.05,
    promote_after: Annotated[
        str | None, typer.Option(metavar="TIME", show_default=False, help='Promote it after "30m" without trouble.')
    ] = None,
    reason: ReasonOption = "",
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a candidate that passed the gate answer a share of the subjects, until it fails or is slow."""
    shell = Shell.of(context, folder, as_json)
    operations = shell.product().operations
    event = operations.canary(candidate, share, promote_after=promote_after, reason=reason)
    shell.show(event.record(), lambda console: draw_event(console, event))


@app.command(epilog="Example: volant -C churn route split 3f9a0c1d --share 0.5 --policy spring-offer")
def split(
    context: typer.Context,
    candidate: CandidateArgument,
    share: ShareOption = 0.5,
    policy: Annotated[
        str, typer.Option(metavar="NAME", help="Under which its predictions are logged, with their propensity.")
    ] = "split",
    reason: ReasonOption = "",
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a candidate that passed the gate answer a share of the subjects until you end it: an A/B test."""
    shell = Shell.of(context, folder, as_json)
    event = shell.product().operations.split(candidate, share, policy=policy, reason=reason)
    shell.show(event.record(), lambda console: draw_event(console, event))


@app.command(epilog="Example: volant -C churn route shadow 3f9a0c1d")
def shadow(
    context: typer.Context,
    candidate: CandidateArgument,
    reason: ReasonOption = "",
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let any candidate see the requests and answer nobody; what it would have said is logged."""
    shell = Shell.of(context, folder, as_json)
    event = shell.product().operations.shadow(candidate, reason=reason)
    shell.show(event.record(), lambda console: draw_event(console, event))


@app.command(epilog="Example: volant -C churn route end 3f9a0c1d")
def end(
    context: typer.Context,
    candidate: Annotated[
        str | None, typer.Argument(metavar="CANDIDATE", show_default=False, help="Whose route; all without one.")
    ] = None,
    reason: ReasonOption = "",
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a route, or all of them. The champion answers alone again."""
    shell = Shell.of(context, folder, as_json)
    events = shell.product().operations.end_route(candidate, reason=reason)

    def draw(console: Console) -> None:
        for event in events:
            draw_event(console, event)

    shell.show({"events": [event.record() for event in events]}, draw)


def _draw(console: Console, found: Routes) -> None:
    from volant.cli.drawing import line, short, table

    if not found.routes:
        line(console, "nothing is deployed yet")
        return
    made = table("", "release", "share", "logged as", "since", "because", right=("share",))
    for one in found.routes:
        share = "sees" if one.kind == "shadow" else f"{one.share:.1%}"
        made.add_row(one.kind, short(one.release), share, one.policy, one.since[:19].replace("T", " "), one.reason)
    console.print(made)
