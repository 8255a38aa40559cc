"""Columns that hold personal data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Column, Finding, Problem
from volant.data.checks.base import DataCheck
from volant.data.checks.patterns import KINDS, inside, whole
from volant.data.checks.pictures import QUICK, total
from volant.data.checks.study import Study

CELLS = 2_000
LEAST = 5
SHARE = {"telephone numbers": 0.8, "payment card numbers": 0.8, "American social security numbers": 0.8}
OTHERWISE = 0.2
"""Share of cells above which a column is told to hold such data. Kinds without a check digit need more."""

INSIDE = 0.01
LONGEST = 4_000
CANDIDATE = r"@|\d[\d\s().:-]{5,}\d|:[0-9A-Fa-f]{0,4}:"
TELEPHONE = re.compile(r"phone|mobile|cell|tel($|[_\W])|fax|电话|手机|联系方式", re.IGNORECASE)


class PersonalData(DataCheck):
    """Looks for e-mail, telephone, identity, card and network numbers in a sample of every column's cells."""

    name = "personal_data"
    summary = "No column holds e-mail addresses, telephone, identity or card numbers, or network addresses."
    aspect = "privacy"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        sample = Study.of(data).sample()
        found = ((c, _kinds(sample, c)) for c in data.schema.columns)
        told = [self._column(sample, c, kind, part, where) for c, kinds in found for kind, part, where in kinds]
        return [*told, *self._places(data)]

    def _places(self, data: Rows) -> Iterator[Finding]:
        """Pictures whose metadata tells where they were taken."""
        sample = Study.of(data).sample(QUICK)
        for column in data.schema.columns if len(data) else ():
            if column.type != "image":
                continue
            where = np.flatnonzero(sample.looks(column.name).place > 0)
            if len(where):
                part, count = len(where) / len(sample), total(len(where), sample)
                yield self._warn(
                    f"pictures of {column.name!r} tell where they were taken (about {count:,}, in EXIF)",
                    "strip the metadata from the files: no model sees it, but the store keeps the files as they are",
                    column=column.name,
                    rows=sample.evidence(where),
                    count=count,
                    score=min(1.0, 0.3 + part / 2),
                )

    def _column(self, sample: Study, column: Column, kind: str, part: float, where: np.ndarray) -> Finding:
        count = round(part * (sample.of_rows - sample.missing(column.name) * sample.of_rows / max(len(sample), 1)))
        return self._warn(
            f"{column.name!r} seems to hold {kind} (about {count:,} cells)",
            "leave the column out of the source; where you need it to tell people apart, replace it by a keyed hash",
            column=column.name,
            rows=sample.evidence(where),
            count=count,
            score=min(1.0, 0.5 + part / 2),
        )


def _kinds(sample: Study, column: Column) -> list[tuple[str, float, np.ndarray]]:
    """Kinds of personal data in a column: kind, share of the filled cells, positions of some."""
    places, texts = _cells(sample, column.name)
    if not texts:
        return []
    found = []
    for kind in KINDS:
        if column.type == "text":
            hits = np.array([inside(kind, text) for text in texts], dtype=bool)
            enough = hits.sum() >= max(LEAST, INSIDE * len(texts)) or _whole(kind, texts, column.name).sum() >= LEAST
        else:
            hits = _whole(kind, texts, column.name)
            enough = hits.sum() >= max(LEAST, SHARE.get(kind, OTHERWISE) * len(texts))
        if enough and hits.any():
            found.append((kind, float(hits.mean()), places[hits]))
    return found[:1] if found and column.type != "text" else found


def _whole(kind: str, texts: Sequence[str], name: str) -> np.ndarray:
    hits = np.array([whole(kind, text) for text in texts], dtype=bool)
    if kind == "telephone numbers" and hits.any() and not _spread(np.array(texts, dtype=object)[hits], name):
        hits[:] = False
    return hits


def _spread(texts: np.ndarray, name: str) -> bool:
    """Whether bare numbers begin in as many ways as those of real people do, unlike running numbers."""
    if TELEPHONE.search(name) or any(not text.isdigit() for text in texts[:20]):
        return True
    return len({text[:3] for text in texts}) >= min(8, len(texts))


def _cells(sample: Study, name: str) -> tuple[np.ndarray, list[str]]:
    """Up to 2,000 filled cells that may hold such data, evenly spaced, with their positions."""
    kind = sample.kind(name)
    filled = np.flatnonzero(sample.filled(name)) if kind in ("text", "number") else np.zeros(0, dtype=np.int64)
    if not len(filled):
        return filled, []
    places = filled[np.linspace(0, len(filled) - 1, min(CELLS, len(filled))).astype(np.int64)]
    if kind == "number":
        return places, _whole_numbers(sample.values(name)[places])
    texts = pc.utf8_slice_codeunits(sample.column(name).take(pa.array(places)), 0, LONGEST)
    hopeful = pc.match_substring_regex(texts, CANDIDATE)
    return places, texts.to_pylist() if pc.any(hopeful).as_py() else []


def _whole_numbers(values: np.ndarray) -> list[str]:
    """Numbers as texts of digits, or nothing if they are too short or too long to name anyone."""
    if not np.array_equal(values, np.round(values)) or np.median(values) < 1e10 or values.max() >= 2**53:
        return []
    return [str(int(value)) for value in values]
