"""How the suite speaks: assertions that hold under `python -O` too, and say what was promised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

Claim = Callable[[Any], None]


def claim(holds: bool, promise: str) -> None:
    """Assert a promise of the contract.

    Raises:
        AssertionError: it does not hold.
    """
    if not holds:
        raise AssertionError(promise)


def run(kind: str, plugin: Any, claims: Sequence[Claim]) -> None:
    """Run all claims on a plugin and report every one that fails.

    Raises:
        AssertionError: naming the plugin and, per broken claim, what was promised and what happened.
    """
    broken = []
    for one in claims:
        try:
            one(plugin)
        except AssertionError as failed:
            broken.append(f"{one.__name__}: {failed}")
        except Exception as failed:
            broken.append(f"{one.__name__}: it raised {type(failed).__name__}: {failed}")
    if broken:
        lines = "\n".join(f"  - {text}" for text in broken)
        name = getattr(plugin, "name", type(plugin).__name__)
        raise AssertionError(f"the {kind} {name!r} breaks {len(broken)} of {len(claims)} promises:\n{lines}")


def is_described(plugin: Any) -> None:
    """Claim that a plugin has a name and a summary fit for a list."""
    claim(str(getattr(plugin, "name", "")).isidentifier(), "`name` is a word that can stand in a product file")
    summary = getattr(plugin, "summary", "")
    claim(isinstance(summary, str) and bool(summary.strip()), "`summary` says in one line what it is")
    claim("\n" not in summary, "`summary` is one line")


@contextmanager
def nothing_global_changes(plugin: Any) -> Iterator[None]:
    """Claim that what runs inside leaves the plugin and NumPy's global generator as they were."""
    before, drawn = _attributes(plugin), repr(np.random.get_state())
    yield
    claim(_attributes(plugin) == before, "a plugin keeps no state: its attributes are the same after it worked")
    claim(
        repr(np.random.get_state()) == drawn,
        "randomness comes from the seed that is passed in, not from NumPy's global generator",
    )


def _attributes(plugin: Any) -> str:
    """The public attributes; private ones may cache what follows from them."""
    return repr({name: value for name, value in vars(plugin).items() if not name.startswith("_")})
