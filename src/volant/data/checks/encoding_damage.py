"""Text that was read in the wrong encoding somewhere on its way."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, many, share
from volant.data.checks.study import Study

MOST = 5_000
"""Suspicious cells per column that are looked at one by one."""

LOST = re.compile("\ufffd|锟斤拷|[\x00-\x08\x0e-\x1f]")
WESTERN = re.compile(
    "[\u00a0-\u00ff\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122\x80-\x9f]{2,}"
)
HAN = re.compile("[\u4e00-\u9fff\ue000-\uf8ff]")
DOUBLE = re.compile("[\u00b0-\u00f7][\u00a1-\u00fe](?:[\u00b0-\u00f7][\u00a1-\u00fe])+")


class EncodingDamage(DataCheck):
    """Warns about replacement characters, UTF-8 read as a western or Chinese encoding, and GBK read as latin-1."""

    name = "encoding_damage"
    summary = "Texts were read in the encoding in which they were written."
    aspect = "accuracy"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        sample = Study.of(data).sample()
        found = [self._heading(name) for name in data.schema.names if damaged(name)]
        columns = [c.name for c in data.schema.columns if c.role != "ignored" and sample.kind(c.name) == "text"]
        found += [f for name in columns for f in self._column(sample, name)]
        return found or self._noted(context, len(data))

    def _noted(self, context: CheckContext, rows: int) -> list[Finding]:
        """What the reader of the source could not decode, where no column shows it any more."""
        count = int(context.notes.get("encoding_damage_count", 0))
        if not count:
            return []
        where = tuple(int(row) for row in context.notes.get("encoding_damage", ()))[:20]
        what = f"{many(count, 'row holds', 'rows hold')} a character that could not be decoded"
        fix = "export the source again as UTF-8; what was lost cannot be brought back here"
        return [self._warn(what, fix, rows=where, count=count, score=min(1.0, 0.3 + count / max(rows, 1)))]

    def _heading(self, name: str) -> Finding:
        what = f"the column name {name!r} was read in the wrong encoding"
        return self._warn(what, "read or export the source as UTF-8", column=name, score=1.0)

    def _column(self, sample: Study, name: str) -> list[Finding]:
        codes = sample.codes(name)
        bad = damaged_labels(codes.labels)
        where = np.append(bad, False)[codes.codes]
        count = int(where.sum())
        if not count:
            return []
        cells = f"{many(count, 'cell', 'cells')} of {name!r} ({share(count, len(sample))})"
        what = f"{cells} suffered from a wrong encoding{sample.said}"
        fix = "export the source again as UTF-8; what was lost cannot be brought back here"
        return [
            self._warn(
                what,
                fix,
                column=name,
                rows=sample.evidence(where),
                count=count,
                score=min(1.0, 0.3 + count / len(sample)),
            )
        ]


def damaged_labels(labels: pa.Array) -> np.ndarray:
    """Which texts are damaged, shape (n,). Pure ASCII is passed over at once."""
    bad = np.zeros(len(labels), dtype=bool)
    suspicious = pc.match_substring_regex(labels, r"[^\x09\x0a\x0d\x20-\x7e]").to_numpy(zero_copy_only=False)
    places = np.flatnonzero(suspicious)[:MOST]
    for place, text in zip(places, labels.take(pa.array(places)).to_pylist(), strict=True):
        bad[place] = damaged(text)
    return bad


def damaged(text: str) -> bool:
    """Whether a text shows that it was once decoded wrongly."""
    text = text[:2000]
    if LOST.search(text):
        return True
    return any(_utf8_as_western(run) for run in WESTERN.findall(text)) or _gbk_as_western(text) or _utf8_as_gbk(text)


def _utf8_as_western(run: str) -> bool:
    """Whether a run of accented letters and signs is the bytes of UTF-8 text, as in "Ã©"."""
    for encoding in ("latin-1", "cp1252"):
        try:
            return len(run.encode(encoding).decode("utf-8")) < len(run)
        except UnicodeError:
            continue
    return False


def _gbk_as_western(text: str) -> bool:
    """Whether two or more frequent Chinese characters appear as pairs of accented letters, as in "ÖÐ¹ú".

    Source: GB 2312, whose frequent characters (level 1) have lead bytes B0 to D7.
    """
    for run in DOUBLE.findall(text):
        leads = [ord(c) for c in run[::2]]
        if sum(lead <= 0xD7 for lead in leads) >= max(2, 0.8 * len(leads)) and not _plain_letters(run):
            return True
    return False


def _plain_letters(run: str) -> bool:
    """Whether a run may be a word in capitals or small letters of a western language."""
    return run.isalpha() and (run.isupper() or run.islower() or run.istitle())


def _utf8_as_gbk(text: str) -> bool:
    """Whether Chinese characters are really the bytes of UTF-8 text, as in "浣犲ソ" for "你好"."""
    runs = re.findall("[\u0080-\uffff]{3,}", text)
    return any(HAN.search(run) and _turns_into_text(run) for run in runs)


def _turns_into_text(run: str) -> bool:
    for cut in (len(run), len(run) - 1):
        try:
            meant = run[:cut].encode("gb18030").decode("utf-8")
        except UnicodeError:
            continue
        return len(meant) >= 2 and all(c.isprintable() for c in meant)
    return False
