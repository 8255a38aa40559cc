"""Conditions on events, as the product file holds them: `click & dwell > 10s`. A small language of its own.

    condition  = all {("|" | "or") all}
    all        = one {("&" | "and") one}
    one        = ("!" | "not") one | "(" condition ")" | value [("<" | "<=" | ">" | ">=" | "=" | "==" | "!=") value]
    value      = name | number [unit] | text | "true" | "false"

Units are `ms s m h d` (seconds) and `%`. A name is a field of an event. A field that is missing is not true, and no
comparison with it holds. Nothing here runs text as code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

LONGEST, DEEPEST = 1000, 32
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "%": 0.01, "": 1.0}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|[smhd%])?(?![\w.])|(?P<name>[^\W\d][\w.]*)"
    r"|(?P<text>\"[^\"]*\"|'[^']*')|(?P<sign><=|>=|==|!=|&&|\|\||[<>=&|!()]))"
)
_SIGNS = {"&&": "&", "and": "&", "||": "|", "or": "|", "not": "!", "==": "="}
_COMPARE = ("<", "<=", ">", ">=", "=", "!=")

Columns = Mapping[str, "np.ndarray"]
"""Fields of events, an array (n,) each: numbers (NaN where missing), or objects (None where missing)."""


@dataclass(frozen=True)
class Field:
    """The value of a field."""

    name: str


@dataclass(frozen=True)
class Constant:
    """A number, a text or a truth."""

    value: Any


@dataclass(frozen=True)
class Comparison:
    """Two values compared."""

    sign: str
    left: Field | Constant
    right: Field | Constant


@dataclass(frozen=True)
class Joined:
    """Conditions joined by `&` or `|`, or one turned around by `!`."""

    sign: str
    parts: tuple[Node, ...]


Node = Field | Constant | Comparison | Joined


@dataclass(frozen=True)
class Expression:
    """A parsed condition, and the fields that it looks at."""

    text: str
    root: Node
    names: tuple[str, ...]

    def matches(self, columns: Columns, n: int) -> np.ndarray:
        """Where the condition holds, shape (n,).

        >>> import numpy as np
        >>> parse("click & dwell > 10s").matches({"click": np.array([1.0, 1.0]), "dwell": np.array([12, np.nan])}, 2)
        array([ True, False])
        """
        return _truth(self.root, columns, n)


def parse(text: str) -> Expression:
    """Read a condition.

    Raises:
        ValueError: it is not one; the message says where and what was expected.
    """
    if len(text) > LONGEST:
        raise ValueError(f"a condition has at most {LONGEST} characters")
    reader = _Reader(text)
    root = reader.condition(0)
    reader.end()
    return Expression(text, root, tuple(dict.fromkeys(_names(root))))


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.place = 0

    def condition(self, depth: int) -> Node:
        return self._joined("|", lambda: self._joined("&", lambda: self._one(depth)))

    def _joined(self, sign: str, part: Callable[[], Node]) -> Node:
        parts = [part()]
        while self._peek() == sign:
            self.place += 1
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(sign, tuple(parts))

    def _one(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise self._error("nested too deeply")
        if self._peek() == "!":
            self.place += 1
            return Joined("!", (self._one(depth + 1),))
        if self._peek() == "(":
            self.place += 1
            inside = self.condition(depth + 1)
            if self._peek() != ")":
                raise self._error("a closing ) was expected")
            self.place += 1
            return inside
        left = self._value()
        if self._peek() in _COMPARE:
            sign = str(self._peek())
            self.place += 1
            return Comparison(sign, left, self._value())
        return left

    def _value(self) -> Field | Constant:
        if self.place >= len(self.tokens) or isinstance(self.tokens[self.place][0], str):
            raise self._error("a field, a number or a text was expected")
        value = self.tokens[self.place][0]
        assert isinstance(value, Field | Constant)
        self.place += 1
        return value

    def end(self) -> None:
        if self.place < len(self.tokens):
            raise self._error("& or | was expected")

    def _peek(self) -> Any:
        return self.tokens[self.place][0] if self.place < len(self.tokens) else None

    def _error(self, what: str) -> ValueError:
        at = self.tokens[self.place][1] if self.place < len(self.tokens) else len(self.text)
        return ValueError(f"{what} at character {at + 1} of {self.text!r}")


def _tokens(text: str) -> Any:
    """Signs as texts, values as they are, each with its place."""
    place, end = 0, len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if not found:
            raise ValueError(f"{text[place:].strip()[:1]!r} means nothing at character {place + 1} of {text!r}")
        yield _token(found), len(text) - len(text[place:].lstrip())
        place = found.end()


def _token(found: re.Match[str]) -> str | Field | Constant:
    number, name, quoted, sign = found["number"], found["name"], found["text"], found["sign"]
    if number is not None:
        return Constant(float(number) * _UNITS[found["unit"] or ""])
    if quoted is not None:
        return Constant(quoted[1:-1])
    if name in ("true", "false"):
        return Constant(name == "true")
    if name is not None and name not in _SIGNS:
        return Field(name)
    word = name or sign
    return _SIGNS.get(word, word)


def _names(node: Node) -> list[str]:
    if isinstance(node, Field):
        return [node.name]
    inner: tuple[Node, ...] = ()
    if isinstance(node, Comparison):
        inner = (node.left, node.right)
    elif isinstance(node, Joined):
        inner = node.parts
    return [name for one in inner for name in _names(one)]


def _truth(node: Node, columns: Columns, n: int) -> np.ndarray:
    import numpy as np

    if isinstance(node, Joined):
        parts = [_truth(part, columns, n) for part in node.parts]
        if node.sign == "!":
            return ~parts[0]
        join = np.logical_and if node.sign == "&" else np.logical_or
        return np.asarray(join.reduce(parts))
    if isinstance(node, Comparison):
        return _compared(node, _numbers_or_texts(node.left, columns, n), _numbers_or_texts(node.right, columns, n))
    found = _numbers_or_texts(node, columns, n)
    if found.dtype == object:
        return np.array([bool(v) for v in found], dtype=bool)
    return np.asarray((found != 0) & ~np.isnan(found))


def _numbers_or_texts(node: Field | Constant, columns: Columns, n: int) -> np.ndarray:
    """The values (n,): float64 with NaN where missing, or objects with None where missing."""
    import numpy as np

    value = columns.get(node.name) if isinstance(node, Field) else node.value
    if value is None:
        return np.full(n, np.nan)
    if isinstance(value, bool | int | float):
        return np.full(n, float(value))
    if isinstance(value, str):
        return np.full(n, value, dtype=object)
    return value if value.dtype == object else value.astype(np.float64)


def _compared(node: Comparison, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    import numpy as np

    order = {"<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal", "=": "equal", "!=": "not_equal"}
    compare = getattr(np, order[node.sign])
    if left.dtype != object and right.dtype != object:
        return np.asarray(compare(left, right) & ~np.isnan(left) & ~np.isnan(right))
    known = np.array([_go_together(a, b) for a, b in zip(left, right, strict=True)], dtype=bool)
    found = np.zeros(len(left), dtype=bool)
    found[known] = compare(left[known], right[known]).astype(bool)
    return found


def _go_together(a: Any, b: Any) -> bool:
    """Whether two values can be compared: both are texts, or both numbers."""
    return (isinstance(a, str) and isinstance(b, str)) or (
        isinstance(a, bool | int | float) and isinstance(b, bool | int | float) and a == a and b == b
    )
