"""Check: what is wrong with the data, and whether training fits this machine. Runs before anything is trained."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from volant.core.ids import digest
from volant.core.plugins import load_all, names
from volant.core.protocols import CheckContext
from volant.core.records import Finding, Problem
from volant.data.dataset import Dataset
from volant.data.quality import quality_scores, run_checks, write_quality_report
from volant.errors import BadInput, Refused, Trouble
from volant.wheel.collect import collect
from volant.wheel.context import Context
from volant.wheel.learn import rule_of
from volant.wheel.posed import pictured, posed
from volant.wheel.results import CheckReport, Estimate

STOP = "stop"
MORE_SIDES = "give `judge` and `test` of `data.split` other shares, bring more rows, or divide them in another way"
PROCESS = 350_000_000
"""Bytes that a training process takes before it has read a row: the libraries."""
SPARE = 1.3
"""Training is refused when it would need more than the free memory or disk; estimates are raised by this much."""


def check(context: Context, *, train_checks: bool = True) -> CheckReport:
    """Check the data as it is now; findings are reported, not raised.

    Raises:
        BadInput: whatever makes the data unreadable.
    """
    started = time.monotonic()
    dataset = collect(context)
    findings = _findings(context, dataset, train_checks)
    scores = quality_scores(findings, dataset)
    estimate = estimate_training(context, dataset)
    findings = [*_too_large(estimate), *findings]
    report = _write(context, dataset, findings, scores, estimate)
    return CheckReport(
        dataset=dataset.digest,
        rows=len(dataset),
        columns=len(dataset.schema.columns),
        findings=tuple(findings),
        quality=scores,
        estimate=estimate,
        passed=not any(f.severity == STOP for f in findings),
        seconds=round(time.monotonic() - started, 3),
        report=report,
        skipped=tuple(context.product.file.checks.skip),
    )


def _write(
    context: Context, dataset: Dataset, findings: Sequence[Finding], scores: dict[str, float], estimate: Estimate | None
) -> Path:
    folder = context.folder("reports")
    folder.mkdir(parents=True, exist_ok=True)
    html, plain = folder / "quality.html", folder / "quality.json"
    write_quality_report(
        html,
        plain,
        product_name=context.product.name,
        data=dataset,
        findings=findings,
        scores=scores,
        estimate=None if estimate is None else estimate.record(),
    )
    return html


def _findings(context: Context, dataset: Dataset, train_checks: bool) -> list[Finding]:
    rules = context.product.file.checks
    facts = dataset.facts
    context.progress.stage("check", len(names("checks")))
    found = run_checks(
        dataset,
        problem_or_none(context, dataset),
        CheckContext(
            task=context.task,
            target=context.product.file.task.target,
            unreadable=facts["unreadable"],
            unreadable_count=facts["unreadable_count"],
            notes={**facts["notes"], "unreadable_files": facts.get("unreadable_files", {})},
            machine=context.machine,
            seed=context.product.file.train.seed,
        ),
        train_checks=train_checks,
        skip=rules.skip,
        downgrade=rules.warn,
        progress=context.progress,
    )
    return found if any(f.severity == STOP for f in found) else [*_unfit(context, dataset), *found]


def _unfit(context: Context, dataset: Dataset) -> list[Finding]:
    """What the sides of the split, or the task, have against the rows that train, for it would stop training."""
    if one_sided := _one_sided(dataset):
        return one_sided
    target = context.product.file.task.target
    try:
        context.task.problem(dataset.part("train"), target, context.metric)
    except BadInput as bad:
        trouble = bad.troubles[0]
        what = f"{trouble.what}: {trouble.got}" if trouble.got else trouble.what
        return [Finding("target_values", STOP, what, trouble.fix or "", target, aspect="completeness")]
    return []


def _one_sided(dataset: Dataset) -> list[Finding]:
    """Sides of the split without rows, or without weight, that training cannot do without."""
    train = dataset.part("train")
    if not len(train) or set(dataset.facts["sides"]) <= {"train", "unlabelled"}:
        what = f"no rows are left to {'evaluate on' if len(train) else 'train on'}: {kept_together(dataset)}"
        return [Finding("enough_rows", STOP, what, MORE_SIDES, aspect="completeness")]
    if not train.weights().any():
        name = next((column.name for column in dataset.schema.of_role("weight")), None)
        fix = "give rows that count a weight above zero, or the column another role"
        return [Finding("enough_rows", STOP, "all rows that train weigh nothing", fix, name, aspect="completeness")]
    return []


def kept_together(dataset: Dataset) -> str:
    """How many rows there are to divide, and how many that are never parted."""
    owner = dataset.schema.of_role("subject") or dataset.schema.of_role("group")
    kinds = len(set(dataset.keys().tolist()))
    if not owner or kinds == len(dataset):
        return f"there are {len(dataset):,} rows"
    values = "value" if kinds == 1 else "values"
    return f"the {len(dataset):,} rows are of {kinds:,} {values} of {owner[0].name!r}, each on one side"


def problem_or_none(context: Context, dataset: Dataset) -> Problem | None:
    """The problem that the labelled rows pose; None where the target does not fit the task."""
    try:
        problem = context.task.problem(dataset, context.product.file.task.target, context.metric)
        found = posed(context, problem, dataset.schema)
        rule_of(context, found.classes or found.labels)  # what signals and silence mean must be told before they come
        return found
    except BadInput as bad:
        if bad.code == "product-file-invalid":
            raise
        return None


def estimate_training(context: Context, dataset: Dataset) -> Estimate | None:
    """Time, memory and disk of a training run: the largest fit that a learner of the product would begin with."""
    problem = problem_or_none(context, dataset)
    if problem is None:
        return None
    problem = pictured(replace(problem, rows=dataset.facts["sides"].get("train", 0)), dataset)
    named = context.product.file.train.learners
    learners = [v for n, v in load_all("learners").items() if (named is None or n in named) and v.supports(problem)]
    costs = [learner.estimate(problem, context.machine) for learner in learners]
    size = sum(p.stat().st_size for p in dataset.folder.iterdir())
    return Estimate(
        seconds=round(sum(c.seconds for c in costs), 2),
        memory_bytes=int(
            PROCESS
            + SPARE * (max((c.bytes for c in costs), default=0) + 8 * len(dataset) * len(dataset.schema.columns))
        ),
        disk_bytes=int(SPARE * (size + 50_000_000)),
        memory_free=context.machine.memory,
        disk_free=context.machine.disk,
    )


def _too_large(estimate: Estimate | None) -> list[Finding]:
    if estimate is None:
        return []
    found = []
    for what, needed, free, fix in (
        ("memory", estimate.memory_bytes, estimate.memory_free, "use a larger machine, fewer columns, or fewer rows"),
        ("disk", estimate.disk_bytes, estimate.disk_free, "make room on the disk that the product lies on, or move it"),
    ):
        if needed > free:
            text = f"training needs about {_size(needed)} of {what}, and {_size(free)} are free"
            found.append(Finding("machine", STOP, text, fix, aspect="completeness"))
    return found


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def refuse_if_hopeless(context: Context, dataset: Dataset) -> None:
    """Run the checks that do not train; what they stop is refused.

    Raises:
        Refused: codes `check-refused`, `too-large`.
    """
    findings = _known_findings(context, dataset)
    too_large = _too_large(estimate_training(context, dataset))
    stops = [f for f in [*too_large, *findings] if f.severity == STOP]
    if stops:
        troubles = [Trouble(f.what, f.column or "the data", got=f.check, fix=f.fix) for f in stops]
        raise Refused(
            "the data must be mended before training",
            code="too-large" if too_large else "check-refused",
            troubles=troubles,
        )


def _known_findings(context: Context, dataset: Dataset) -> list[Finding]:
    """The findings of the quick checks; found once per dataset version and rules."""
    rules = context.product.file.checks.model_dump(mode="json")
    key = digest([dataset.digest, rules, list(names("checks"))])[:24]
    known = context.folder("reports") / f"checks-{key}.json"
    if known.is_file():
        return [Finding(**{**f, "rows": tuple(f["rows"])}) for f in json.loads(known.read_bytes())]
    findings = _findings(context, dataset, train_checks=False)
    known.parent.mkdir(parents=True, exist_ok=True)
    known.write_text(json.dumps([asdict(f) for f in findings], ensure_ascii=False))
    return findings
