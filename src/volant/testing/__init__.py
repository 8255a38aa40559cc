"""For authors of plugins and for tests: the contract suite, doubles that fail, and simulated users.

>>> from volant.learners.tabular.prior import Prior
>>> check_learner(Prior())  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from volant.testing.contract import check_check, check_column_type, check_learner, check_task

__all__ = ["check_check", "check_column_type", "check_learner", "check_task"]


def __getattr__(name: str) -> Any:
    """The suite is imported when it is asked for: simulated users must do without the code that they test."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from volant.testing import contract

    return getattr(contract, name)
