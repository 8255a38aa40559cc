"""The pieces that results are drawn from: consoles, tables, numbers, scores, verdicts, findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from volant.core.records import Comparison, Finding, Score, Verdict
    from volant.wheel.results import Entry

_LEFT_OUT = ("skipped", "unsupported")
_SHOWN = 12
"""Lines of a leaderboard that are shown; the rest are counted."""


@cache
def _width() -> int | None:
    """None takes the terminal's width; a file or a pipe gets room enough for a table."""
    import sys

    return None if sys.stdout.isatty() else 100


def stdout_console() -> Console:
    """Where results go."""
    return Console(width=_width(), highlight=False, soft_wrap=False)


def stderr_console() -> Console:
    """Where errors and progress go."""
    return Console(stderr=True, highlight=False)


def table(*headers: str, title: str | None = None, right: Sequence[str] = ()) -> Table:
    """An empty table; the columns named in `right` hold numbers."""
    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for header in headers:
        made.add_column(header, justify="right" if header in right else "left", overflow="fold")
    return made


def facts(pairs: Mapping[str, object]) -> Table:
    """Names and values side by side; what is None is left out."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        if value is not None:
            made.add_row(name, value if isinstance(value, Text) else Text(str(value)))
    return made


def number(value: float | None) -> str:
    """A number with four significant digits.

    >>> number(0.123456), number(1234567.0), number(None)
    ('0.1235', '1,234,567', '–')
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(0.0042), duration(12.34), duration(150)
    ('4 ms', '12.3 s', '2 min 30 s')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def size(count: float) -> str:
    """Bytes as a person says them.

    >>> size(900), size(2_500_000)
    ('900 B', '2.5 MB')
    """
    for unit, limit in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return f"{count:.0f} B"


def short(name: str | None) -> str:
    """A digest by its first twelve letters; the commands take those too."""
    return "–" if name is None else name[:12]


def interval(score: Score) -> str:
    """A value and its interval."""
    return f"{number(score.value)} [{number(score.low)}, {number(score.high)}]"


def scores(listed: Sequence[Score], title: str) -> Table:
    """One line per metric."""
    made = table("metric", "value", "interval", "rows", title=title, right=("value", "rows"))
    for score in listed:
        made.add_row(score.metric, number(score.value), f"{number(score.low)} to {number(score.high)}", f"{score.n:,}")
    return made


def leaderboard(entries: Sequence[Entry], metric: str) -> Table:
    """What was tried, with its score; what failed or was left out, with the reason."""
    made = table("model", metric, "weight", "fit", "", title="Leaderboard", right=(metric, "weight", "fit"))
    tried = [entry for entry in entries if entry.status not in _LEFT_OUT]
    for entry in tried[:_SHOWN]:
        weight = f"{entry.weight:.2f}" if entry.weight else ""
        remark = entry.reason if entry.status == "done" else f"{entry.status}: {entry.reason}".rstrip(": ")
        style = "" if entry.status == "done" else "dim"
        made.add_row(entry.name, number(entry.score), weight, duration(entry.fit_seconds), remark, style=style)
    if len(tried) > _SHOWN:
        made.add_row(f"… and {len(tried) - _SHOWN} more", style="dim")
    for (status, reason), count in Counter((e.status, e.reason) for e in entries if e.status in _LEFT_OUT).items():
        made.add_row(f"{count} {status}", "", "", "", reason, style="dim")
    return made


def verdict(said: Verdict | None) -> Group:
    """What the gate said, and why: green or red."""
    if said is None:
        return Group(Text("not judged", style="yellow"))
    head = Text("✓ promoted" if said.passed else "✗ refused", style="bold green" if said.passed else "bold red")
    return Group(head, *(indented(reason) for reason in said.reasons))


def indented(text: str, style: str = "") -> Padding:
    """A paragraph, moved in."""
    return Padding(Text(text, style=style), (0, 0, 0, 4))


def comparisons(listed: Sequence[Comparison]) -> Table:
    """Challenger against champion, row by row of what was compared."""
    heads = ("metric", "slice", "rows", "champion", "challenger", "difference", "interval")
    made = table(*heads, title="Challenger against champion", right=("rows", "champion", "challenger", "difference"))
    for one in listed:
        style = "green" if one.low > 0 else "red" if one.high < 0 else ""
        made.add_row(
            one.metric,
            one.slice or "all",
            f"{one.n:,}",
            number(one.champion),
            number(one.challenger),
            Text(f"{one.difference:+.4g}", style=style),
            f"{one.low:+.4g} to {one.high:+.4g}",
        )
    return made


def findings(listed: Sequence[Finding]) -> Table:
    """Findings, the ones that stop first."""
    made = table("", "check", "column", "rows", "what, and what to do", title="Findings", right=("rows",))
    for one in sorted(listed, key=lambda finding: finding.severity != "stop"):
        mark = Text("stop", style="bold red") if one.severity == "stop" else Text("warn", style="yellow")
        said = Text(one.what).append(f"\n{one.fix}", style="dim")
        made.add_row(mark, one.check, one.column or "", f"{one.count:,}" if one.count else "", said)
    return made


def bar(share: float, width: int = 20) -> Text:
    """A share in [0, 1] as a bar."""
    full = round(max(0.0, min(1.0, share)) * width)
    style = "green" if share >= 0.9 else "yellow" if share >= 0.6 else "red"
    return Text("█" * full, style=style).append("░" * (width - full), style="dim").append(f" {share:.0%}", style="")


def place(path: Path) -> str:
    """A path as one would type it here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def line(console: Console, text: str | Text, style: str = "") -> None:
    """One line as it is: no markup, no wrapping."""
    console.print(text, style=style, markup=False, soft_wrap=True)
