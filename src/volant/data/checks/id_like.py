"""Inputs that name the row instead of describing it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Column, Finding, Problem
from volant.data.checks.base import DataCheck, inputs_of, target_of
from volant.data.checks.study import Study

LEAST = 50
NEARLY_ALL = 0.98
DENSE = 1.2
NAMES = re.compile(
    r"(^|[_\W])(u?u?id|guid|key|code|number|num|nr|no|index)$|[a-z]I[dD]$|编号|序号|号码|代码|标识", re.IGNORECASE
)
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
"""Letters of scripts that put no spaces between words."""


class IdLike(DataCheck):
    """Warns about inputs that are different in (nearly) every row, as counters and identifiers are."""

    name = "id_like"
    summary = "No input is an identifier or a counter of rows."
    aspect = "diversity"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        study = Study.of(data).sample()
        if len(study) < LEAST:
            return []
        target = target_of(data, problem, context)
        return [
            self._identifier(study, c.name, how)
            for c in inputs_of(data, problem)
            if c.name != target and (how := _how(study, c))
        ]

    def _identifier(self, study: Study, name: str, how: str) -> Finding:
        return self._warn(
            f"{name!r} looks like an identifier: it {how}{study.said}",
            "give it the role ignored in volant.toml (or subject, if it names who the row is about)",
            column=name,
            count=study.distinct(name),
            score=study.distinct(name) / len(study),
        )


def _how(study: Study, column: Column) -> str:
    kind = study.kind(column.name)
    if kind == "number":
        return _number(study, column.name)
    if kind == "text" and column.type != "text" and _mostly_different(study, column.name):
        return "is different in nearly every row"
    if kind == "text" and _mostly_different(study, column.name) and _one_token(study, column.name):
        return "is a different word of the same length in nearly every row"
    return ""


def _mostly_different(study: Study, name: str) -> bool:
    filled = len(study) - study.missing(name)
    return filled >= LEAST and study.distinct(name) >= NEARLY_ALL * filled


def _one_token(study: Study, name: str) -> bool:
    """Whether cells hold no spaces and have one length, as codes do and sentences do not.

    In scripts that write no spaces, a sentence has none either.
    """
    texts = study.codes(name).labels[:1000]
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
    spaces = pc.any(pc.match_substring_regex(texts, r"\s")).as_py()
    written = pc.utf8_length(pc.replace_substring_regex(texts, UNSPACED, "")).to_numpy(zero_copy_only=False)
    return not spaces and lengths.std() <= 0.1 * lengths.mean() and written.sum() >= 0.5 * lengths.sum()


def _number(study: Study, name: str) -> str:
    values = study.values(name)
    head = values[:LEAST]
    if not np.array_equal(head, np.round(head)) or not _mostly_different(study, name):
        return ""
    values = values[np.isfinite(values)]
    if not np.array_equal(values, np.round(values)) or study.distinct(name) < len(values):
        return ""
    steps = np.diff(values)
    if (steps > 0).all() or (steps < 0).all():
        return "is a whole number that only rises or only falls from row to row"
    if values.max() - values.min() + 1 <= DENSE * len(values) * study.of_rows / len(study):
        return "counts rows: whole numbers without gaps, each of them once"
    return "is a different whole number in every row, and its name says the same" if NAMES.search(name) else ""
