"""Running the data checks, and adding up what they find to a quality report."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from volant.core import plugins
from volant.core.progress import Progress, Silent
from volant.core.protocols import Check, CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.study import Study
from volant.data.portrait import portrait
from volant.errors import Failure

ASPECTS = ("completeness", "diversity", "accuracy", "privacy")
LOSS = {"stop": 0.9, "warn": 0.3}
"""What the strongest finding of a check costs its aspect at full strength."""


def run_checks(
    data: Rows,
    problem: Problem | None,
    context: CheckContext,
    *,
    train_checks: bool = True,
    skip: Collection[str] = (),
    downgrade: Collection[str] = (),
    progress: Progress | None = None,
) -> list[Finding]:
    """Run every installed check and list what they found: stops first, then by strength of evidence.

    Args:
        data: all rows, whatever side of the split they are on.
        problem: what is to be learned; None where the target does not allow to say.
        context: what checks are given besides the rows.
        train_checks: whether checks that fit models run too.
        skip: names of checks to leave out.
        downgrade: names of checks whose findings only warn.
        progress: told of each check.

    Raises:
        Failure: code `plugin-broken`, naming the check that broke.
    """
    checks = {name: check for name, check in plugins.load_all("checks").items() if name not in skip}
    chosen = {name: check for name, check in checks.items() if train_checks or not check.trains}
    progress = progress or Silent()
    progress.stage("check the data", len(chosen))
    study = Study.of(data)
    found: list[Finding] = []
    for done, (name, check) in enumerate(chosen.items()):
        progress.advance(done, name)
        found += [_softened(f, downgrade) for f in run_check(name, check, study, problem, context)]
    progress.advance(len(chosen))
    return in_order(found)


def run_check(name: str, check: Check, data: Rows, problem: Problem | None, context: CheckContext) -> list[Finding]:
    """Run one check.

    Raises:
        Failure: code `plugin-broken`, naming the check.
    """
    try:
        return list(check.run(data, problem, context))
    except Exception as cause:
        raise Failure(
            f"the data check {name!r} broke: {type(cause).__name__}",
            code="plugin-broken",
            where=f"{type(check).__module__}.{type(check).__qualname__}",
            fix=f'leave it out with skip = ["{name}"] under checks in volant.toml, and report the fault to its author',
        ) from cause


def _softened(finding: Finding, downgrade: Collection[str]) -> Finding:
    return replace(finding, severity="warn") if finding.check in downgrade else finding


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Stops before warnings, strong evidence before weak, then by name."""
    return sorted(findings, key=lambda f: (f.severity != "stop", -f.score, f.check, f.column or ""))


def quality_scores(findings: Sequence[Finding], data: Rows) -> dict[str, float]:
    """Completeness, diversity, accuracy and privacy of the data, each in [0, 1], 1 is best.

    An aspect starts at 1, completeness at the share of filled cells of the inputs and the target. Each check of
    the aspect then multiplies it by 1 - w s, where s is the score of its strongest finding and w is 0.9 for a
    stop and 0.3 for a warning.
    """
    scores = dict.fromkeys(ASPECTS, 1.0)
    scores["completeness"] = _filled(data)
    for aspect, check in sorted({(f.aspect, f.check) for f in findings if f.aspect in scores}):
        losses = [LOSS[f.severity] * f.score for f in findings if (f.aspect, f.check) == (aspect, check)]
        scores[aspect] *= 1 - max(losses)
    return {aspect: round(min(max(score, 0.0), 1.0), 4) for aspect, score in scores.items()}


def _filled(data: Rows) -> float:
    """The share of filled cells of inputs and target."""
    study = Study.of(data)
    names = [c.name for c in data.schema.columns if c.role in ("input", "target")]
    if not len(study) or not names:
        return 0.0
    return 1 - sum(study.missing(name) for name in names) / (len(names) * len(study))


def write_quality_report(
    path_html: Path,
    path_json: Path,
    *,
    product_name: str,
    data: Rows,
    findings: Sequence[Finding],
    scores: Mapping[str, float],
    estimate: Mapping[str, Any] | None = None,
) -> None:
    """Write the report as one HTML file that needs no other, and the same facts as JSON.

    Cells that look personal stay out: categories of fewer than five rows are folded together, and columns in
    which personal data was found show no values at all.

    Args:
        path_html: where the page goes.
        path_json: where the facts go.
        product_name: the product's name.
        data: the rows that were checked.
        findings: what `run_checks` found.
        scores: what `quality_scores` gave.
        estimate: what training will take: `seconds`, `memory_bytes`, `disk_bytes`, `memory_free`, `disk_free`.
    """
    hidden = {f.column for f in findings if f.aspect == "privacy" and f.column}
    facts = {
        "product": product_name,
        "dataset": data.digest,
        "scores": {name: float(value) for name, value in scores.items()},
        "findings": [asdict(f) for f in findings],
        "estimate": dict(estimate) if estimate is not None else None,
        **portrait(Study.of(data), hidden),
    }
    _write(path_json, json.dumps(facts, ensure_ascii=False, indent=1, allow_nan=False))
    _write(path_html, _page(facts))


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _page(facts: Mapping[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("volant.data", "templates")
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    pages.filters.update(percent=percent, size=size, duration=duration, arc=arc)
    return pages.get_template("quality.html").render(facts)


def percent(share: float) -> str:
    """A share as text: "0 %", "0.2 %", "41 %"."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.1 or 0.99 < share < 1 else f"{100 * share:.0f} %"


def size(count: float) -> str:
    """Bytes as text: "12 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds as text: "45 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def arc(share: float, radius: float = 40.0) -> str:
    """The length of a dial's arc, three quarters of a circle for 1, as a dash pattern of SVG."""
    around = 2 * math.pi * radius
    return f"{0.75 * share * around:.1f} {around:.1f}"
