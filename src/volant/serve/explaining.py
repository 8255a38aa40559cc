"""Explanations: what each column adds to the answers for a few rows, with reasons in words.

They are no predictions: they have no id and are not logged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from volant.core.product import Product
from volant.core.records import Batch, Field
from volant.errors import BadInput, Trouble, VolantError, place_of
from volant.evaluate.explainer import METHODS, Explained, Explainer
from volant.evaluate.reasons import MOST as MOST_REASONS
from volant.evaluate.reasons import is_missing, reasons, shown
from volant.runtime.rows import rows_to_batch
from volant.serve.asked import Asked, rows_of
from volant.serve.body import decode
from volant.serve.problems import HttpError
from volant.serve.slot import Slot

MOST_ROWS = 10
"""Rows that one request may have explained."""

_OPTIONS = ("method", "label", "reasons")
_logger = logging.getLogger("volant.serve")
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True)
class Wish:
    """How to explain: by which method, which class if not the answer's, and how many reasons to put in words."""

    method: str = "shap"
    label: str | None = None
    reasons: int = MOST_REASONS


def read(body: bytes, most: int) -> tuple[Asked, Wish]:
    """What a body asks for: rows as for a prediction, and how to explain them.

    Raises:
        HttpError: 400, 413.
        BadInput: code `input-invalid`.
    """
    value = decode(body)
    asked = rows_of(value, most, _OPTIONS)
    wish = {name: value[name] for name in _OPTIONS if value.get(name) is not None}
    if isinstance(wish.get("reasons"), float) and wish["reasons"].is_integer():
        wish["reasons"] = int(wish["reasons"])  # JSON has one kind of number
    troubles = list(_misshapen(wish))
    if troubles:
        raise BadInput("the request does not have the right form", code="input-invalid", troubles=troubles)
    return asked, Wish(**wish)


def _misshapen(wish: Mapping[str, Any]) -> list[Trouble]:
    troubles = []
    method, label, count = (wish.get(name, default) for name, default in zip(_OPTIONS, ("shap", "", 0), strict=True))
    if method not in METHODS:
        got = method[:64] if isinstance(method, str) else type(method).__name__
        troubles.append(Trouble("there is no such method", "method", got, METHODS))
    if not isinstance(label, str):
        troubles.append(Trouble("a label is a text", "label", type(label).__name__))
    if type(count) is not int or count < 0:
        troubles.append(Trouble("the number of reasons is a whole number from 0", "reasons", type(count).__name__))
    return troubles


class Explaining:
    """Explains rows. What a release needs for exact explanations is prepared when it is first asked for one."""

    def __init__(self, product: Product) -> None:
        self._serve = product.file.serve
        self._ready: tuple[Slot, Explainer] | None = None

    def answer(self, slot: Slot, body: bytes) -> tuple[bytes, int]:
        """The answer to a body, and how many rows it explains.

        Raises:
            VolantError: see `problems.STATUS`.
        """
        asked, wish = read(body, min(MOST_ROWS, self._serve.max_rows))
        try:
            batch, flags = rows_to_batch(
                asked.rows,
                slot.signature,
                unknown_category=self._serve.unknown_category,
                most_pixels=int(self._serve.max_megapixels * 1e6),
            )
        except BadInput as bad:
            raise asked.in_its_words(bad) from None
        batch = slot.of_people_in(batch, asked.subjects)
        explainer = self._explainer(slot)
        told = [self._explained(explainer, _row(batch, i), wish, flag) for i, flag in enumerate(flags)]
        answer = {"release": slot.name, "contract": slot.signature.contract, "explanations": told}
        return _encoder.encode(answer), len(told)

    def _explainer(self, slot: Slot) -> Explainer:
        ready = self._ready
        if ready is None or ready[0] is not slot:
            ready = self._ready = slot, Explainer(slot.release)
        return ready[1]

    def _explained(self, explainer: Explainer, one: Batch, wish: Wish, flags: Mapping[str, str]) -> dict[str, Any]:
        try:
            found = explainer.explain(one, method=wish.method, label=wish.label)
            if not np.isfinite([found.answer, found.base, found.output, *found.parts]).all():
                raise ArithmeticError
        except VolantError:
            raise
        except Exception as error:  # whatever a model's library raises
            _logger.error("a release failed to be explained: %s", place_of(error))
            what = "the model gave no usable answer to one of the rows"
            fix = "look at the release's report, or roll back"
            raise HttpError(500, "prediction-failed", what, fix=fix) from error
        return {**_record(explainer, one, found, wish), **({"flags": flags} if flags else {})}


def _row(batch: Batch, i: int) -> Batch:
    return {name: values[i : i + 1] for name, values in batch.items()}


def _record(explainer: Explainer, one: Batch, found: Explained, wish: Wish) -> dict[str, Any]:
    fields, profile = explainer.release.signature.inputs, explainer.release.profile
    values = [one[field.name][0] for field in fields]
    said = reasons(
        fields,
        values,
        found.parts,
        found.errors,
        profile=profile,
        towards=found.label is not None,
        most=wish.reasons,
    )
    answer = {"value": found.answer} if found.label is None else {"label": found.label, "probability": found.answer}
    return {
        **answer,
        "method": wish.method,
        "how": found.how,
        "scale": found.scale,
        "base": found.base,
        "output": found.output,
        "background": found.background,
        **({} if found.fit is None else {"fit": found.fit}),
        "contributions": _contributions(fields, values, found),
        "reasons": [{"column": r.column, "contribution": r.contribution, "text": r.text} for r in said],
    }


def _contributions(fields: tuple[Field, ...], values: list[Any], found: Explained) -> list[dict[str, Any]]:
    """One per column, the largest first."""
    return [
        {
            "column": fields[i].name,
            "value": _json_cell(values[i]),
            "contribution": float(found.parts[i]),
            "error": float(found.errors[i]),
        }
        for i in np.argsort(-np.abs(found.parts), kind="stable")
    ]


def _json_cell(value: Any) -> Any:
    if is_missing(value):
        return None
    if isinstance(value, np.datetime64 | bytes):
        return shown(value)
    return value.item() if isinstance(value, np.generic) else value
