"""What a body asks for, read with care: every wrong field is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from volant.errors import BadInput, Trouble, nearest
from volant.serve.problems import HttpError
from volant.serve.reader import LONGEST_TEXT

_FIELDS = ("rows", "row", "subject")


@dataclass(frozen=True)
class Asked:
    """A request for predictions. `subjects` has one entry per row; `single` tells that it came as `row`."""

    rows: list[Any]
    subjects: Sequence[str | None]
    single: bool

    def in_its_words(self, bad: BadInput) -> BadInput:
        """An error about its rows; a row that came as `row` is called so."""
        if not self.single:
            return bad
        troubles = [replace(t, where=(t.where or "row").replace("rows[0]", "row", 1)) for t in bad.troubles]
        return BadInput(bad.what, code=bad.code, troubles=troubles)


def rows_of(value: Any, max_rows: int, more: Sequence[str] = ()) -> Asked:
    """The rows of a decoded body, which may hold the fields `more` beside them.

    Raises:
        HttpError: 413.
        BadInput: code `input-invalid`.
    """
    troubles = list(_misshapen(value, (*_FIELDS, *more)))
    if troubles:
        raise BadInput("the request does not have the right form", code="input-invalid", troubles=troubles)
    single = "row" in value
    rows = [value["row"]] if single else value["rows"]
    if len(rows) > max_rows:
        what = f"a request may hold at most {max_rows} rows"
        raise HttpError(
            413, "request-too-large", what, where="rows", got=f"{len(rows)} rows", fix="send them in several requests"
        )
    subject = value.get("subject")
    if isinstance(subject, list) and len(subject) != len(rows):
        got, fix = f"{len(subject)} subjects for {len(rows)} rows", "send one subject per row, or one for all"
        raise BadInput("the subjects do not match the rows", code="input-invalid", where="subject", got=got, fix=fix)
    return Asked(rows, subject if isinstance(subject, list) else [subject] * len(rows), single)


def _misshapen(value: Any, fields: Sequence[str]) -> list[Trouble]:
    if not isinstance(value, dict):
        return [Trouble("the body must be an object", "body", type(value).__name__, fix='send {"rows": [{…}]}')]
    troubles = [
        Trouble("unknown field", name[:64], name[:64], tuple(fields), None, nearest(name, fields))
        for name in value
        if name not in fields
    ][:20]
    if ("rows" in value) == ("row" in value):
        troubles.append(Trouble("either rows or row must be there", "rows", fix='send {"rows": [{…}]} or {"row": {…}}'))
    elif "rows" in value and not isinstance(value["rows"], list):
        troubles.append(Trouble("rows must be a list", "rows", type(value["rows"]).__name__))
    subject = value.get("subject")
    for one in subject if isinstance(subject, list) else [subject]:
        if one is not None and not (isinstance(one, str) and 0 < len(one) <= LONGEST_TEXT and "\x00" not in one):
            what = f"a subject is a text of 1 to {LONGEST_TEXT} characters"
            return [*troubles, Trouble(what, "subject", type(one).__name__)]
    return troubles
