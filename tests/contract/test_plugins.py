"""Every installed plugin keeps its contract, one test per plugin and promise."""

from __future__ import annotations

import pytest

from volant.core import plugins
from volant.testing.contract import CHECK_CONTRACT, COLUMN_CONTRACT, LEARNER_CONTRACT, TASK_CONTRACT

CONTRACTS = {
    "columns": COLUMN_CONTRACT,
    "checks": CHECK_CONTRACT,
    "tasks": TASK_CONTRACT,
    "learners": LEARNER_CONTRACT,
}
PROMISES = [
    pytest.param(kind, name, promise, id=f"{kind}-{name}-{promise.__name__}")
    for kind, contract in CONTRACTS.items()
    for name in plugins.names(kind)
    for promise in contract
]


@pytest.mark.parametrize(("kind", "name", "promise"), PROMISES)
def test_plugin_keeps(kind, name, promise):
    promise(plugins.load(kind, name))
