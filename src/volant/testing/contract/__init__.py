"""The contract that every plugin keeps, as assertions with names.

`check_learner(Mine())` is all that a plugin's own tests need. Each assertion is also a function of its
own (`LEARNER_CONTRACT` and so on), so that a test can run them one by one.
"""

from volant.testing.contract.check import CHECK_CONTRACT, check_check
from volant.testing.contract.column import COLUMN_CONTRACT, check_column_type
from volant.testing.contract.learner import LEARNER_CONTRACT, check_learner
from volant.testing.contract.task import TASK_CONTRACT, check_task

__all__ = [
    "CHECK_CONTRACT",
    "COLUMN_CONTRACT",
    "LEARNER_CONTRACT",
    "TASK_CONTRACT",
    "check_check",
    "check_column_type",
    "check_learner",
    "check_task",
]
