"""What every data check promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pyarrow as pa

from volant.core import plugins
from volant.core.clock import Machine
from volant.core.protocols import Check, CheckContext
from volant.core.records import Column, Finding, Problem, Schema
from volant.testing.contract.claims import claim, is_described, nothing_global_changes, run
from volant.testing.contract.tables import cases, emptied
from volant.testing.rows import MemoryRows

ASPECTS = ("completeness", "diversity", "accuracy", "privacy")
MOST_ROWS = 20
SECRETS = ("Zoe.Quist@example.org", "4111111111111111", "zq-secret-83")


def check_check(check: Check) -> None:
    """Try a data check on small tables and report every promise that it breaks.

    Raises:
        AssertionError: naming the check and, per broken promise, what was expected.
    """
    run("check", check, CHECK_CONTRACT)


def _tried() -> Iterator[tuple[str, MemoryRows, Problem | None, CheckContext]]:
    machine = Machine(cores=2, memory=8 * 1024**3, disk=64 * 1024**3)
    for case in cases():
        task = plugins.load("tasks", case.problem.task)
        context = CheckContext(task=task, target="target", machine=machine)
        for name, rows in (("usual", case.train), ("missing", emptied(case.train))):
            yield f"{case.name}, {name}", rows, case.problem, context
        for count in (0, 1, 2):
            yield f"{case.name}, {count} rows", case.train.take(np.arange(count)), case.problem, context
        yield f"{case.name}, no problem known", case.train, None, CheckContext()
    yield "secrets", _secretive(), None, CheckContext(target="target")


def _secretive() -> MemoryRows:
    """A table full of what no message may repeat."""
    schema = Schema((Column("contact", "text"), Column("code", "category"), Column("target", "category", "target")))
    rows = 40
    columns = {
        "contact": [SECRETS[i % 2] for i in range(rows)],
        "code": [SECRETS[2]] * (rows - 1) + ["other"],
        "target": [SECRETS[2] + "-yes" if i % 3 else SECRETS[2] + "-no" for i in range(rows)],
    }
    return MemoryRows.of(schema, pa.table(columns))


def describes_itself(check: Check) -> None:
    is_described(check)
    claim(check.aspect in ASPECTS, f"`aspect` is one of {', '.join(ASPECTS)}")
    claim(isinstance(check.trains, bool), "`trains` tells whether models are fitted")


def findings_are_well_formed(check: Check) -> None:
    for name, rows, problem, context in _tried():
        for finding in check.run(rows, problem, context):
            _well_formed(finding, check, rows, name)


def _well_formed(finding: Finding, check: Check, rows: MemoryRows, when: str) -> None:
    claim(isinstance(finding, Finding), f"{when}: `run` gives Findings")
    claim(finding.check == check.name and finding.aspect in ASPECTS, f"{when}: a finding names its check and aspect")
    claim(finding.severity in ("stop", "warn"), f"{when}: severity is stop or warn")
    claim(bool(finding.what) and bool(finding.fix), f"{when}: a finding says what is wrong and what to do")
    claim(len(finding.rows) <= MOST_ROWS, f"{when}: at most {MOST_ROWS} rows are named")
    numbers = set(rows.numbers().tolist())
    claim(set(finding.rows) <= numbers, f"{when}: rows are numbers of the source, as `numbers()` gives them")
    claim(finding.count >= len(finding.rows), f"{when}: `count` covers the rows that are named")
    claim(0.0 <= finding.score <= 1.0, f"{when}: `score` lies in [0, 1]")
    named = finding.column is None or finding.column in rows.schema.names
    claim(named, f"{when}: `column` is a column of the data")


def findings_quote_no_cells(check: Check) -> None:
    for finding in check.run(_secretive(), None, CheckContext(target="target")):
        text = repr(asdict(finding))
        claim(not any(secret in text for secret in SECRETS), "a finding names rows and columns, never a cell")


def finds_the_same_each_time(check: Check) -> None:
    for name, rows, problem, context in _tried():
        first, second = (list(check.run(rows, problem, context)) for _ in range(2))
        claim(first == second, f"{name}: the same rows give the same findings")


def keeps_no_state(check: Check) -> None:
    for _, rows, problem, context in _tried():
        with nothing_global_changes(check):
            check.run(rows, problem, context)


CHECK_CONTRACT = (
    describes_itself,
    findings_are_well_formed,
    findings_quote_no_cells,
    finds_the_same_each_time,
    keeps_no_state,
)
"""Every promise of a data check, each a function that takes the check."""
