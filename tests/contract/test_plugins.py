"""Every installed plugin keeps its contract, one test per plugin and promise."""

from __future__ import annotations

import pytest

from volant.core import plugins
from volant.testing.contract import CHECK_CONTRACT, COLUMN_CONTRACT, LEARNER_CONTRACT, TASK_CONTRACT
from volant.testing.contract.tables import cases

CONTRACTS = {
    "columns": COLUMN_CONTRACT,
    "checks": CHECK_CONTRACT,
    "tasks": TASK_CONTRACT,
    "learners": LEARNER_CONTRACT,
}
SLOW = ("backbone", "cnn", "convnet", "resnet", "vit")
"""Learners whose fits take seconds each: of theirs only promises that need no fit are tested every time."""
QUICK = {
    "describes_itself",
    "options_are_a_frozen_dataclass_with_defaults",
    "says_what_it_supports",
    "estimates_cost",
    "offers_a_portfolio",
}


def _marks(kind, name, promise):
    return [pytest.mark.slow] if kind == "learners" and name in SLOW and promise.__name__ not in QUICK else []


PROMISES = [
    pytest.param(kind, name, promise, id=f"{kind}-{name}-{promise.__name__}", marks=_marks(kind, name, promise))
    for kind, contract in CONTRACTS.items()
    for name in plugins.names(kind)
    for promise in contract
]


@pytest.mark.parametrize(("kind", "name", "promise"), PROMISES)
def test_plugin_keeps(kind, name, promise):
    plugin = plugins.load(kind, name)
    if kind == "learners" and not any(plugin.supports(case.problem) for case in cases()):
        reason = plugin.supports(cases()[0].problem).reason
        if "install volant[" in reason:
            pytest.skip(reason)
    promise(plugin)
