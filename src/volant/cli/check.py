"""`volant check`: what is wrong with the data, before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from volant.cli.shell import PLAIN, FolderOption, JsonOption, Shell

if TYPE_CHECKING:
    from rich.console import Console

    from volant.wheel.results import CheckReport

app = typer.Typer(**PLAIN)


@app.command(epilog="Example: volant -C churn check --fast")
def check(
    context: typer.Context,
    fast: Annotated[bool, typer.Option("--fast", help="Leave out the checks that train a model.")] = False,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for what is wrong with the data before anything is trained.

    Findings that stop training give exit status 1. Also estimates the time, memory and disk that
    training will take, and writes a quality report.
    """
    shell = Shell.of(context, folder, as_json)
    with shell.progress() as progress:
        report = shell.product().check(train_checks=not fast, progress=progress)
    shell.show(report.record(), lambda console: draw(console, report, shell))
    raise typer.Exit(0 if report.passed else 1)


def draw(console: Console, report: CheckReport, shell: Shell) -> None:
    """The findings, the quality per aspect, the estimate, and whether training may begin."""
    from volant.cli.drawing import bar, duration, facts, findings, line, place, size

    took = duration(report.seconds)
    line(console, f"{report.rows:,} rows × {report.columns} columns checked in {took}", "bold")
    if report.findings:
        console.print(findings(report.findings))
    quality = {f"{aspect}": bar(share) for aspect, share in report.quality.items()}
    console.print(facts(quality))
    if report.estimate is not None:
        need = report.estimate
        memory = f"{size(need.memory_bytes)} of {size(need.memory_free)} free"
        disk = f"{size(need.disk_bytes)} of {size(need.disk_free)} free"
        line(
            console, f"the first fits take about {duration(need.seconds)}; training needs memory {memory}, disk {disk}"
        )
    if report.skipped:
        line(console, f"left out: {', '.join(report.skipped)}", "dim")
    if report.report is not None:
        line(console, f"quality report: {place(report.report)}")
    if report.passed:
        line(console, "✓ nothing stops training", "bold green")
        shell.advise(console, "train")
    else:
        stops = sum(finding.severity == "stop" for finding in report.findings)
        many = "one finding stops" if stops == 1 else f"{stops} findings stop"
        line(console, f"✗ {many} training", "bold red")
