"""What a column type looks at when it recognises a column: a few thousand cells without the missing ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from volant.columns import cells
from volant.columns.missing import null_missing

_CJK = r"[\x{2E80}-\x{9FFF}\x{AC00}-\x{D7AF}\x{F900}-\x{FAFF}]"
_ID_WORDS = frozenset(["id", "ids", "uuid", "guid", "identifier"])
_ID_ENDINGS = ("编号", "序号", "学号", "工号", "单号", "标识")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")
KINDS = {
    "text": (pa.types.is_string,),
    "truth": (pa.types.is_boolean,),
    "number": (cells.is_number, pa.types.is_decimal),
    "time": (pa.types.is_timestamp, pa.types.is_date),
    "duration": (pa.types.is_duration,),
    "nested": (pa.types.is_nested,),
}


@dataclass(frozen=True)
class Sample:
    """Cells of one column without the missing ones; `kind` is what the source itself says about them."""

    cells: pa.Array
    kind: str

    @staticmethod
    def of(values: pa.Array | pa.ChunkedArray, missing: frozenset[str]) -> Sample:
        array = cells.simple(values)
        if pa.types.is_string(array.type):
            array = null_missing(pc.utf8_trim_whitespace(array), missing)
        if pa.types.is_floating(array.type):
            array = pc.if_else(pc.is_nan(array), None, array)
        kind = next((kind for kind, tests in KINDS.items() if any(test(array.type) for test in tests)), "other")
        return Sample(array.drop_null(), kind)

    @property
    def rows(self) -> int:
        return len(self.cells)

    @cached_property
    def distinct(self) -> int:
        """How many different cells there are; nested ones are not compared and count one each."""
        return self.rows if self.kind == "nested" else int(pc.count_distinct(self.cells).as_py())

    @property
    def unique(self) -> float:
        """Share of different cells, in [0, 1]."""
        return self.distinct / self.rows if self.rows else 0.0

    @cached_property
    def words(self) -> float:
        """Words per text on average; each ideograph counts as half a word."""
        spaced = pc.mean(pc.count_substring_regex(self.cells, r"\S+")).as_py() or 0.0
        ideographs = pc.mean(pc.count_substring_regex(self.cells, _CJK)).as_py() or 0.0
        return float(spaced + ideographs / 2)

    @cached_property
    def whole(self) -> bool:
        """Whether all cells are whole numbers, as numbers or as text."""
        if self.kind == "number":
            return pa.types.is_integer(self.cells.type) or bool(
                pc.all(pc.equal(pc.floor(self.cells), self.cells)).as_py()
            )
        return self.kind == "text" and bool(
            pc.all(pc.match_substring_regex(self.cells, r"^[+-]?[0-9]+(\.0*)?$")).as_py()
        )

    def share(self, pattern: str) -> float:
        """Share of texts that a regular expression matches, in [0, 1]."""
        return float(pc.mean(pc.match_substring_regex(self.cells, pattern).cast(pa.uint8())).as_py() or 0.0)

    def counted(self) -> str:
        """The counts in words, for reasons."""
        if self.distinct == self.rows:
            return f"all different in {self.rows:,} rows"
        return f"{self.distinct:,} distinct in {self.rows:,} rows"

    @property
    def coded(self) -> bool:
        """Whether the cells are whole numbers by their type, or texts of digits alone."""
        return pa.types.is_integer(self.cells.type) or (self.kind == "text" and self.whole)


def name_parts(name: str) -> tuple[str, ...]:
    """The words of a column name in lower case.

    >>> name_parts("customerID"), name_parts("user_id_2")
    (('customer', 'id'), ('user', 'id', '2'))
    """
    return tuple(part.lower() for part in _PART.findall(name))


def says_identifier(name: str) -> bool:
    """Whether a column name says that the column identifies something.

    >>> says_identifier("customerID"), says_identifier("订单编号"), says_identifier("paid")
    (True, True, False)
    """
    return bool(_ID_WORDS & set(name_parts(name))) or name.strip().endswith(_ID_ENDINGS)
