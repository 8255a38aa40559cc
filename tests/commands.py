"""The command line called in this process, with `--json`: its exit status and the one object that it wrote."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from volant.cli.main import main

MADE = 'version = 1\nname = "p"\n[task]\ntype = "classify"\ntarget = "y"\n[data]\nsource = "../data.csv"\n'


def volant(*words: str | Path) -> tuple[int, dict[str, Any]]:
    """Exit status and result of one call; whatever happens, standard output holds exactly one strict JSON object."""
    out = io.StringIO()
    with redirect_stdout(out):
        status = main([*map(str, words), "--json"])
    (line,) = out.getvalue().splitlines()
    record = json.loads(line, parse_constant=no_constant)
    assert isinstance(record, dict)
    return status, record


def no_constant(name: str) -> None:
    """JSON has no NaN and no Infinity."""
    raise AssertionError(f"{name} is no JSON")


def product(folder: Path, text: str, extra: str = "") -> Path:
    """The folder of a product on `text` as its CSV file."""
    (folder / "data.csv").write_text(text, encoding="utf-8")
    (folder / "p").mkdir()
    (folder / "p" / "volant.toml").write_text(MADE + extra, encoding="utf-8")
    return folder / "p"


def table(rows: int = 120, **columns: Any) -> str:
    """A CSV text: a number that tells something, and columns as functions of the row's number."""
    made = {"x": lambda n: n * 7919 % 101 / 7, **columns}
    made.setdefault("y", lambda n: "yes" if n * 7919 % 101 + n * 31 % 40 > 70 else "no")
    lines = [",".join(str(make(n)) for make in made.values()) for n in range(rows)]
    return "\n".join([",".join(made), *lines, ""])
