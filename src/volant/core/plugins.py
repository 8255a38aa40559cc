"""Plugins by entry points. Names are listed without importing; built-ins come in by the same door."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any

from volant.errors import BadInput, Failure

GROUPS = {
    "columns": "volant.columns",
    "checks": "volant.checks",
    "tasks": "volant.tasks",
    "learners": "volant.learners",
}


def missing(library: str, extra: str) -> str:
    """The extra that brings a library, as it is installed (`volant[catboost]`), or nothing where it is there."""
    return "" if find_spec(library) is not None else f"volant[{extra}]"


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unknown distribution"


def index(entries: Iterable[EntryPoint]) -> dict[str, EntryPoint]:
    """Entry points by name.

    Raises:
        Failure: code `plugin-duplicate`, naming both distributions.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entries:
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise Failure(
                f"two plugins are called {entry.name!r}",
                code="plugin-duplicate",
                where=f"{_distribution(other)} and {_distribution(entry)}",
                fix="uninstall one of the two, or ask its author to rename the plugin",
            )
    return found


@cache
def entries(kind: str) -> dict[str, EntryPoint]:
    """The installed plugins of a kind (`columns`, `checks`, `tasks`, `learners`), none of them imported."""
    return dict(sorted(index(entry_points(group=GROUPS[kind])).items()))


def names(kind: str) -> tuple[str, ...]:
    """The names of the installed plugins of a kind."""
    return tuple(entries(kind))


@cache
def load(kind: str, name: str) -> Any:
    """One plugin, made by calling what its entry point names (a class or a function without arguments).

    Raises:
        BadInput: code `plugin-unknown`.
        Failure: code `plugin-broken`, naming the distribution.
    """
    known = entries(kind)
    if name not in known:
        raise BadInput(
            f"there is no plugin {name!r} among the {kind}",
            code="plugin-unknown",
            got=name,
            choices=list(known),
            fix=f"`volant {kind}` lists what is installed",
        )
    try:
        return known[name].load()()
    except Exception as cause:
        raise Failure(
            f"the plugin {name!r} cannot be loaded: {cause}",
            code="plugin-broken",
            where=_distribution(known[name]),
            fix="upgrade or uninstall that distribution",
        ) from cause


def load_all(kind: str) -> dict[str, Any]:
    """All installed plugins of a kind, by name."""
    return {name: load(kind, name) for name in names(kind)}


def column_type(name: str) -> Any:
    """The column type of that name."""
    return load("columns", name)
