"""How things that go wrong are shown, and which exit status each has."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volant.errors import BadInput, Failure, Trouble, VolantError

if TYPE_CHECKING:
    from rich.text import Text

INTERRUPTED = 130


def interrupted(as_json: bool) -> int:
    """Say in one line that the user stopped the command; what was done so far is kept."""
    from volant.cli.shell import write_json

    if as_json:
        write_json({"error": "interrupted", "what": "stopped before it was done"})
    else:
        sys.stderr.write("\nstopped; what was finished is kept, and the same command goes on from there\n")
    return INTERRUPTED


def report(error: Exception, as_json: bool) -> int:
    """Show an error in the form that was asked for and return the exit status that it has."""
    from volant.cli.shell import write_json

    known = recognise(error)
    if os.environ.get("VOLANT_DEBUG") and not _is_usage(error):
        traceback.print_exception(error)
    if as_json:
        write_json(known.record())
    else:
        draw(known)
    return known.exit_status


def recognise(error: Exception) -> VolantError:
    """Any exception as an error of volant's; what nobody foresaw becomes `internal`."""
    if isinstance(error, VolantError):
        return error
    if _is_usage(error):
        return _usage(error)
    if isinstance(error, MemoryError):
        return Failure(
            "the memory of this machine is used up",
            code="too-large",
            fix="close other programs, lower `train.threads`, or use fewer rows or columns",
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return Failure("the disk is full", code="store-full", fix="free some space and run the same command again")
    return _unexpected(error)


def draw(error: VolantError) -> None:
    """Draw an error on standard error: what, where, got, choices, did you mean, fix, and where to read on."""
    from rich.text import Text

    from volant.cli.drawing import stderr_console

    text = Text()
    several = len(error.troubles) > 1 or error.troubles[0].what != error.what
    if several:
        text.append(f"{error.what}\n", style="bold red")
    for trouble in error.troubles:
        _draw_trouble(text, trouble, "  " if several else "")
    text.append(f"{error.code}: docs/errors/{error.code}.md", style="dim")
    stderr_console().print(text, soft_wrap=True)


def _draw_trouble(text: Text, trouble: Trouble, indent: str) -> None:
    what, *details = trouble.lines()
    text.append(f"{indent}{what}\n", style="bold" if indent else "bold red")
    for line in details:
        name, _, rest = line.strip().partition(": ")
        text.append(f"{indent}  {name}: ", style="dim")
        text.append(f"{rest}\n", style="green" if name in ("fix", "did you mean") else "")


def _is_usage(error: Exception) -> bool:
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _usage(error: Any) -> BadInput:
    context = getattr(error, "ctx", None)
    asked = context.command_path if context is not None else "volant"
    what = str(error.format_message()).strip()
    possible = list(getattr(error, "possibilities", None) or ())
    got = getattr(error, "option_name", None) if possible else None
    fix = f"`{asked} --help` shows the options and an example"
    return BadInput(what, code="usage", where=asked, got=got, choices=possible, fix=fix)


def _unexpected(error: Exception) -> Failure:
    return Failure(
        f"something went wrong inside volant: {type(error).__name__}",
        code="internal",
        where=f"the traceback is in {_keep(error)}",
        fix="report it with that file, after reading through it for data of yours; VOLANT_DEBUG=1 shows it here",
    )


def _keep(error: Exception) -> Path:
    handle, name = tempfile.mkstemp(prefix="volant-error-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.writelines(traceback.format_exception(error))
    return Path(name)
