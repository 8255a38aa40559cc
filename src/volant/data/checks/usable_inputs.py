"""Inputs that no learner can use, and tables that have no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from volant.columns.media import is_media
from volant.core import plugins
from volant.core.protocols import CheckContext, Rows
from volant.core.records import Column, Finding, Problem
from volant.data.checks.base import DataCheck, inputs_of, target_of
from volant.data.checks.study import Study

PLAIN = frozenset({"number", "category", "boolean", "timestamp"})
"""Types that every table learner takes; of the others the installed learners are asked."""


class UsableInputs(DataCheck):
    """Stops when not one input can be used, warns about each that cannot."""

    name = "usable_inputs"
    summary = "The inputs have types that a learner can use, and at least one of them varies."
    aspect = "diversity"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        study = Study.of(data)
        inputs = [c for c in inputs_of(data, problem) if c.name != target_of(data, problem, context)]
        if not inputs:
            return [self._stop("there is no input column", "give at least one column the role input in volant.toml")]
        unusable = [c for c in inputs if not _usable(c, problem)]
        found = [self._unusable(c, len(inputs)) for c in unusable]
        if len(study) and not any(_varies(study, c) for c in inputs if c not in unusable):
            what = "not one input can be used: each is constant, empty or of a type that no learner takes"
            found.insert(0, self._stop(what, "add columns that vary from row to row, or change the types of these"))
        return found

    def _unusable(self, column: Column, inputs: int) -> Finding:
        return self._warn(
            f"no installed learner can use the {column.type} column {column.name!r}",
            "derive numbers or categories from it, change its type in volant.toml, or give it the role ignored",
            column=column.name,
            score=1 / inputs,
        )


def _usable(column: Column, problem: Problem | None) -> bool:
    if column.type in PLAIN:
        return True
    if problem is None:
        return column.type == "text" or is_media(column.type)
    alone = replace(problem, inputs=(column,))
    learners = (plugins.load("learners", name) for name in plugins.names("learners") if name != "prior")
    return any(learner.supports(alone) for learner in learners)


def _varies(study: Study, column: Column) -> bool:
    missing = study.missing(column.name)
    return missing < len(study) and study.distinct(column.name) + (missing > 0) > 1
