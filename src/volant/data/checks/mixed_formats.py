"""Cells that do not fit their column: unreadable, of another type, in another format or spelling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, inputs_of, many, share, target_of
from volant.data.checks.study import Codes, Study

LEAST = 3
SHARE = 0.001
MOST_LABELS = 50_000
NUMERIC = r"^\s*[+-]?(\d+([.,]\d+)*|[.,]\d+)([eE][+-]?\d+)?\s*%?$"
DATES = (
    ("year first", r"^\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}"),
    ("year last", r"^\d{1,2}[-/.]\d{1,2}[-/.]\d{4}"),
    ("year in two digits", r"^\d{1,2}[-/.]\d{1,2}[-/.]\d{2}(\s|$)"),
    ("month by name", r"(?i)^(\d{1,2}\W+)?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\W+\d{1,4}"),
)


class MixedFormats(DataCheck):
    """Warns about unreadable cells, numbers among words, several formats of dates, several spellings of a word."""

    name = "mixed_formats"
    summary = "Each column holds one type, in one format and one spelling."
    aspect = "accuracy"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        study = Study.of(data)
        found = self._unreadable(study, context)
        sample = study.sample()
        columns = [c for c in inputs_of(data, problem) if c.type == "category"]
        columns += [c for c in data.schema.columns if c.name == target_of(data, problem, context)]
        for column in columns:
            if sample.kind(column.name) == "text":
                codes = sample.codes(column.name)
                found += self._spellings(sample, column.name, codes)
                found += self._mixture(sample, column.name, codes)
        noted = [name for name in context.notes.get("mixed_types", ()) if name in data.schema.names]
        return found + [self._noted(name) for name in noted if name not in {f.column for f in found}]

    def _noted(self, name: str) -> Finding:
        what = f"{name!r} holds cells of several types in the source"
        return self._warn(what, "write all its cells as numbers, or all as texts", column=name, score=0.2)

    def _unreadable(self, study: Study, context: CheckContext) -> list[Finding]:
        counts = {
            name: context.unreadable_count.get(name, len(rows))
            for name, rows in context.unreadable.items()
            if study.kind(name) != "media"  # a check of its own names these
        }
        return [
            self._warn(
                f"{many(count, 'cell', 'cells')} of {name!r} cannot be read as {study.schema[name].type}",
                "correct these cells, list what means missing under data.missing, or change the column's type",
                column=name,
                rows=tuple(int(r) for r in context.unreadable[name][:20]),
                count=count,
                score=min(1.0, count / max(study.of_rows, 1)),
            )
            for name, count in counts.items()
            if count and name in study.schema.names
        ]

    def _spellings(self, study: Study, name: str, codes: Codes) -> list[Finding]:
        if not 2 <= codes.count <= MOST_LABELS:
            return []
        minor = _minor_spellings(codes)
        where = np.append(minor, False)[codes.codes]
        count = int(where.sum())
        if count < max(LEAST, SHARE * len(study)):
            return []
        cells = many(count, "cell", "cells")
        what = f"{cells} of {name!r} differ only in spelling from a more frequent value{study.said}"
        fix = "write each value in one way: case, width and spaces count as differences"
        rows = study.evidence(where)
        return [self._warn(what, fix, column=name, rows=rows, count=count, score=min(1.0, 2 * count / len(study)))]

    def _mixture(self, study: Study, name: str, codes: Codes) -> list[Finding]:
        parts = _date_formats(codes) if codes.count <= MOST_LABELS else {}
        kinds, fix = f"dates in {len(parts)} formats ({', '.join(parts)})", "write all dates as 2024-12-31"
        if len(parts) < 2:
            kinds, fix = "numbers and words", "move the words to a column of their own"
            parts = _numbers_among_words(codes)
        if not parts:
            return []
        odd = min(parts.values(), key=lambda where: where.sum())
        count = int(odd.sum())
        what = f"{name!r} mixes {kinds}; {share(count, len(study))} of the cells are the rarer kind{study.said}"
        return [
            self._warn(
                what, fix, column=name, rows=study.evidence(odd), count=count, score=min(1.0, count / len(study))
            )
        ]


def _minor_spellings(codes: Codes) -> np.ndarray:
    """Labels that equal a more frequent one after normalising case, width and spaces, shape (count,)."""
    texts = pc.utf8_lower(pc.utf8_normalize(codes.labels.cast(pa.string()), form="NFKC"))
    texts = pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, r"\s+", " "))
    same = texts.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    most = np.zeros(int(same.max()) + 1)
    sizes = codes.sizes()
    np.maximum.at(most, same, sizes)
    first = np.full(len(most), -1)
    order = np.argsort(-sizes, kind="stable")[::-1]
    first[same[order]] = order
    return np.asarray(first[same] != np.arange(codes.count))


def _date_formats(codes: Codes) -> dict[str, np.ndarray]:
    """Where each date format stands, if most cells are dates; formats of fewer than 1 % are slips and count too."""
    found = {name: _cells(codes, pattern) for name, pattern in DATES}
    found = {name: where for name, where in found.items() if where.sum() >= LEAST}
    dated = sum(int(where.sum()) for where in found.values())
    return found if dated >= 0.8 * (codes.codes >= 0).sum() else {}


def _numbers_among_words(codes: Codes) -> dict[str, np.ndarray]:
    """Where numbers and where words stand, if both do and there are many different numbers."""
    numeric = pc.match_substring_regex(codes.labels, NUMERIC).to_numpy(zero_copy_only=False)
    numbers = np.append(numeric, False)[codes.codes]
    words = np.append(~numeric, False)[codes.codes]
    enough = min(numbers.sum(), words.sum()) >= LEAST
    varied = numeric.sum() >= 20 and numeric.sum() >= 3 * (~numeric).sum()
    return {"numbers": numbers, "words": words} if enough and varied else {}


def _cells(codes: Codes, pattern: str) -> np.ndarray:
    fits = pc.match_substring_regex(codes.labels, pattern).to_numpy(zero_copy_only=False)
    return np.asarray(np.append(fits, False)[codes.codes])
