"""`volant simulate`: people who do not exist work with the product."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.testing.rehearsal import Rehearsal

app = typer.Typer(**PLAIN)


def _share(what: str) -> typer.models.OptionInfo:
    info: typer.models.OptionInfo = typer.Option(min=0.0, max=1.0, metavar="SHARE", help=what)
    return info


UrlOption = Annotated[
    str | None, typer.Option(metavar="URL", show_default=False, help="A running service; one is started by default.")
]


@app.command(epilog="Example: volant -C churn simulate --data later.csv --sloppy 0.3 --slip 0.15 --improve")
def simulate(
    context: typer.Context,
    data: Annotated[Path, typer.Option(metavar="FILE", help="Rows with the truth, in the target column.")],
    users: Annotated[int, typer.Option(min=1, help="How many people answer.")] = 100,
    slip: Annotated[float, _share("How often people slip.")] = 0.0,
    sloppy: Annotated[float, _share("People who slip in any answer, not only in corrections.")] = 0.0,
    lazy: Annotated[float, _share("People who agree with what they see as often as others slip.")] = 0.0,
    biased: Annotated[float, _share("People who look at the likeliest options only.")] = 0.0,
    late: Annotated[float, _share("People who answer after all others.")] = 0.0,
    malicious: Annotated[float, _share("People who always say something wrong.")] = 0.0,
    colluding: Annotated[float, _share("People who have agreed on what they get wrong.")] = 0.0,
    drifting: Annotated[float, _share("People who are honest for a while.")] = 0.0,
    voices: Annotated[int, typer.Option(min=1, help="How many people see each row.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Into how many rounds the rows are divided.")] = 1,
    improve: Annotated[bool, typer.Option("--improve", help="Turn the wheel after each round.")] = False,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", show_default=False, help="A running service; by default one is started."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that people do.")] = 0,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let simulated people see predictions and answer them, some of them wrongly.

    What they say is feedback like any other and stays in the product's store: rehearse with a copy of the folder.
    """
    shell = Shell.of(context, folder, as_json)
    from volant.testing.rehearsal import rehearse
    from volant.testing.simulate import crowd

    people = crowd(
        users,
        slip=slip,
        sloppy=sloppy,
        lazy=lazy,
        biased=biased,
        late=late,
        malicious=malicious,
        colluding=colluding,
        drifting=drifting,
    )
    with shell.progress() as progress:
        found = rehearse(
            shell.product(),
            data,
            people,
            rounds=rounds,
            improve=improve,
            url=url,
            voices=voices,
            seed=seed,
            progress=progress,
        )
    shell.show(found.record(), lambda console: draw(console, found))


def draw(console: Console, found: Rehearsal) -> None:
    """Round by round."""
    from volant.cli.drawing import short, table

    drawn = table("round", "answers", "wrong", "right", "turn", "release", right=("round", "answers", "wrong", "right"))
    for one in found.rounds:
        counts = (str(one.number), f"{one.answers:,}", f"{one.wrong:,}", f"{one.right:.1%}")
        drawn.add_row(*counts, one.outcome or "–", short(one.release))
    console.print(drawn)
