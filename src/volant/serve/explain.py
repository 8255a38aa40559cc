"""`POST /v1/explain`: a few rows in, what each column adds to their answers out, with reasons in words.

Explanations are made elsewhere, with a short queue of their own, so that predictions never wait for them in line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from volant.core.records import Signature
from volant.evaluate.additive import SCALES
from volant.evaluate.explainer import EXACT, METHODS, SAMPLED, SURROGATE
from volant.evaluate.reasons import MOST as MOST_REASONS
from volant.serve.deck import Deck
from volant.serve.elsewhere import Elsewhere
from volant.serve.explaining import MOST_ROWS
from volant.serve.http import Request, Response
from volant.serve.keys import ANYONE, Guard


class Explain:
    """The endpoint."""

    def __init__(self, deck: Deck, elsewhere: Elsewhere, guard: Guard) -> None:
        self._deck = deck
        self._elsewhere = elsewhere
        self._guard = guard

    async def __call__(self, request: Request) -> Response:
        traffic = self._deck.need_traffic()
        self._guard.refuse_if_used_up(request.holder)
        answer, rows = await self._elsewhere.explain(traffic, request.body)
        self._guard.charge(request.holder or ANYONE, rows)
        return Response(answer)


def explanation_schemas(
    signature: Signature | None, rows: Mapping[str, Any], release: Mapping[str, Any]
) -> dict[str, Any]:
    """The schemas of bodies and answers; `rows` and `release` are what predictions have too."""
    number, text = {"type": "number"}, {"type": "string"}
    classes = list(signature.options) if signature is not None else []
    asked = {
        **rows["properties"],
        "rows": {**rows["properties"]["rows"], "maxItems": MOST_ROWS},
        "method": {"enum": [*METHODS, None], "default": "shap", "description": "lime is a local surrogate"},
        "label": {
            **({"enum": [*classes, None]} if classes else {"type": "null"}),
            "description": "the class to explain, if not the answer's",
        },
        "reasons": {
            "type": ["integer", "null"],
            "minimum": 0,
            "default": MOST_REASONS,
            "description": "how many, in words",
        },
    }
    contribution = {
        "column": text,
        "value": {"description": "as it was understood"},
        "contribution": number,
        "error": {**number, "minimum": 0, "description": "standard error, 0 where it is exact"},
    }
    answer = {"label": {**text, "enum": classes}, "probability": number} if classes else {"value": number}
    told = {
        **answer,
        "method": {**text, "enum": list(METHODS)},
        "how": {**text, "enum": [EXACT, SAMPLED, SURROGATE]},
        "scale": {**text, "enum": list(SCALES), "description": "; ".join(f"{k}: {v}" for k, v in SCALES.items())},
        "base": {**number, "description": "the mean over typical rows"},
        "output": {**number, "description": "base plus all contributions"},
        "background": {"type": "integer", "description": "how many typical rows it is compared with"},
        "fit": {**number, "description": "R² of a local surrogate"},
        "contributions": {"type": "array", "items": _closed(contribution)},
        "reasons": {"type": "array", "items": _closed({"column": text, "contribution": number, "text": text})},
        "flags": {"type": "object", "additionalProperties": text, "description": "fields to look at"},
    }
    listed = {"type": "array", "items": {"$ref": "#/components/schemas/Explanation"}}
    return {
        "RowsToExplain": {**rows, "properties": asked},
        "Explanation": _closed(told, ("fit", "flags")),
        "Explanations": _closed({**release, "explanations": listed}),
    }


def _closed(properties: Mapping[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required}
