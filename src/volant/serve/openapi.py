"""The OpenAPI document of a service, typed from the signature of the release that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from volant import __version__
from volant.columns.media import is_media
from volant.core.plugins import column_type
from volant.core.product import Product
from volant.core.protocols import Task
from volant.core.records import Field, Signature
from volant.serve.explain import explanation_schemas
from volant.serve.forms import ARROW, NDJSON
from volant.serve.multipart import FORM
from volant.serve.problems import MEDIA_TYPE
from volant.serve.repeated import LONGEST
from volant.serve.slot import Slot, example_row
from volant.serve.uploads import SUBJECT, accepted

Schema = dict[str, Any]
_ID = "01980000-0000-7000-8000-000000000000"


def document(product: Product, task: Task, slot: Slot | None, *, guarded: bool = False, prefix: str = "") -> bytes:
    """The OpenAPI 3.1 document as JSON; without a release its rows are objects of any kind.

    Args:
        guarded: whether requests need a key.
        prefix: what the paths of the product begin with, where it is served beside others.
    """
    signature = slot.signature if slot is not None else None
    refuses = product.file.serve.unknown_category == "refuse"
    info = {
        "title": product.name,
        "version": f"{signature.contract}" if signature else "0",
        "summary": f"Predicts {product.file.task.target}.",
        "description": _about(product, slot),
        "x-volant": __version__,
    }
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": info,
        **({"servers": [{"url": prefix}]} if prefix else {}),
        "paths": {**_paths(_names(task), signature, guarded), **({} if prefix else _own_paths(guarded))},
        "components": {"schemas": _schemas(task, signature, refuses)},
    }
    if guarded:
        described["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return msgspec.json.encode(described)


def _about(product: Product, slot: Slot | None) -> str:
    if slot is None:
        return "No release answers yet."
    return f"Release `{slot.name}`, contract {slot.signature.contract}. A new release may replace it at any time."


def _names(task: Task) -> list[str]:
    return [kind.name for kind in task.feedback]


def _paths(kinds: Sequence[str], signature: Signature | None, guarded: bool) -> Schema:
    """The paths of a product."""
    rows = {"rows": [example_row(signature) if signature else {}]}
    said = {"feedback": [{"prediction_id": _ID, "kind": kinds[0] if kinds else "", "value": _example_label(signature)}]}
    posts = {
        "predict": _with_files(_post("Predict for rows", "Rows", "Predictions", rows, (409, 500, 504)), signature),
        "explain": _post("Say why, for a few rows", "RowsToExplain", "Explanations", rows, (500, 504)),
        "feedback": _post("Say what is true, or how good an answer was", "Feedback", "Receipts", said, (404,)),
    }
    paths: Schema = {
        f"/v1/{name}": {"post": _locked({"operationId": name, **post}, guarded)} for name, post in posts.items()
    }
    ready = {"200": _json("ready", "Ready"), "503": _refusal("not ready")}
    return {**paths, "/v1/health/ready": {"get": _get("ready", "Whether it can predict", ready)}}


def _own_paths(guarded: bool) -> Schema:
    """The paths of the service as a whole."""
    alive = {"200": _json("alive", "Live")}
    metrics = {"200": {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}}}
    figures = _locked(_get("metrics", "Figures for Prometheus", metrics), guarded)
    return {
        "/v1/health/live": {"get": _get("live", "Whether the process lives", alive)},
        "/metrics": {"get": figures},
    }


def _locked(operation: Schema, guarded: bool) -> Schema:
    """An operation that needs a key, where keys are asked for."""
    if not guarded:
        return operation
    refusals = {"401": _refusal("no key, or a wrong one"), "403": _refusal("a key for something else")}
    refusals["429"] = _refusal("beyond the limits of the key; Retry-After says when to come back")
    responses = dict(sorted({**operation["responses"], **refusals}.items()))
    return {**operation, "security": [{"key": []}], "responses": responses}


def _example_label(signature: Signature | None) -> Any:
    if signature is None:
        return None
    if signature.labels:
        return [signature.labels[0]]
    return signature.classes[0] if signature.classes else 0.0


def _get(name: str, summary: str, responses: Schema) -> Schema:
    return {"operationId": name, "summary": summary, "responses": responses}


def _post(summary: str, takes: str, gives: str, example: Any, refusals: Sequence[int]) -> Schema:
    body = {"required": True, "content": {"application/json": {"schema": _ref(takes), "example": example}}}
    responses = {"200": _json("done", gives)}
    responses |= {str(status): _refusal("refused") for status in sorted({400, 408, 413, 415, 422, 503, *refusals})}
    return {"summary": summary, "requestBody": body, "responses": responses}


_OTHER_FORMS = {NDJSON: "one row per line, as JSON", ARROW: "an Arrow stream of record batches"}


def _with_files(post: Schema, signature: Signature | None) -> Schema:
    """The operation with bodies and answers of other forms, and with files where the release takes such."""
    content = post["requestBody"]["content"]
    for kind in accepted(signature)[1:]:
        says = _OTHER_FORMS.get(kind, "the file alone")
        content[kind.decode()] = {"schema": _form(signature) if kind == FORM and signature else _file(says)}
    for kind in _OTHER_FORMS:
        post["responses"]["200"]["content"][kind.decode()] = {"schema": _file("one prediction per line or row")}
    says = "a repetition with the same key is answered as before and logged once"
    key = {"name": "Idempotency-Key", "in": "header", "required": False, "description": says}
    key["schema"] = _text(pattern="^[!-~]+$", minLength=1, maxLength=LONGEST)
    return {**post, "parameters": [key]}


def _form(signature: Signature) -> Schema:
    fields = {
        field.name: _file("a file; several times for several rows") if is_media(field.type) else _text()
        for field in (*signature.inputs, *signature.beside)
    }
    fields.setdefault(SUBJECT, _text("whom the rows are about"))
    required = {field.name for field in signature.inputs if field.required}
    return _object(fields, optional=[name for name in fields if name not in required], closed=True)


def _file(says: str) -> Schema:
    return {"type": "string", "contentMediaType": "application/octet-stream", "description": says}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(says: str, schema: str) -> Schema:
    return {"description": says, "content": {"application/json": {"schema": _ref(schema)}}}


def _refusal(says: str) -> Schema:
    return {"description": says, "content": {MEDIA_TYPE.decode(): {"schema": _ref("Problem")}}}


def _schemas(task: Task, signature: Signature | None, refuses: bool) -> dict[str, Schema]:
    return {
        "Row": _row(signature, refuses),
        "Rows": _rows(),
        "Prediction": _prediction(signature),
        "Predictions": _object({**_release(), "predictions": _list("Prediction")}),
        **explanation_schemas(signature, _rows(), _release()),
        "Feedback": _object({"feedback": {**_list("FeedbackItem"), "minItems": 1}}, closed=True),
        "FeedbackItem": _feedback_item(task),
        "Receipts": _object({"feedback": _list("Receipt")}),
        "Receipt": _object({"id": _text(), "duplicate": {"type": "boolean"}}),
        "Live": _object({"live": {"type": "boolean"}}),
        "Ready": _object(
            {
                "ready": {"type": "boolean"},
                **_release(),
                "settled": {"type": "boolean", "description": "every process of the service answers by this release"},
                "config_changed": {"type": "boolean", "description": "the product file changed: restart to apply it"},
            }
        ),
        "Problem": _problem(),
    }


def _release() -> dict[str, Schema]:
    return {"release": _text("the release that answers"), "contract": {"type": "integer", "minimum": 1}}


def _text(says: str | None = None, **more: Any) -> Schema:
    return {"type": "string", **({"description": says} if says else {}), **more}


def _list(of: str) -> Schema:
    return {"type": "array", "items": _ref(of)}


def _object(properties: Mapping[str, Schema], *, optional: Sequence[str] = (), closed: bool = False) -> Schema:
    made: Schema = {"type": "object", "properties": dict(properties)}
    made["required"] = [name for name in properties if name not in optional]
    return {**made, "additionalProperties": False} if closed else made


def _rows() -> Schema:
    subject = _text("whom the rows are about", minLength=1, maxLength=1024, pattern="^[^\\u0000]*$")
    whom = {"anyOf": [subject, {"type": "null"}]}
    both = {
        "rows": {**_list("Row"), "minItems": 1},
        "row": _ref("Row"),
        "subject": {
            "anyOf": [whom, {"type": "array", "items": whom, "minItems": 1}],
            "description": "one, or one per row",
        },
    }
    return {**_object(both, optional=list(both), closed=True), "oneOf": [{"required": ["rows"]}, {"required": ["row"]}]}


def _row(signature: Signature | None, refuses: bool) -> Schema:
    if signature is None:
        return {"type": "object"}
    properties = {field.name: _field(field, refuses) for field in signature.inputs}
    beside = {field.name: _field(field, False) for field in signature.beside}
    for described in beside.values():
        described["description"] = "no model sees it; it is logged, so that fairness can be judged"
    properties |= beside
    optional = [*beside, *(field.name for field in signature.inputs if not field.required)]
    properties.setdefault(signature.target, {"description": "ignored"})
    return _object(properties, optional=[*optional, signature.target], closed=True)


def _field(field: Field, refuses: bool) -> Schema:
    """What a caller may send in a field. Where unknown categories are answered, the known ones are but a hint."""
    column: Schema = column_type(field.type).json_schema()
    if field.choices:
        known, says = {"enum": [*field.choices, None]}, column.pop("description", "")
        column = {"description": says, **(known if refuses else {"anyOf": [known, column]})}
    if field.example is not None:
        column["examples"] = [field.example]
    return {**column, "x-type": field.type}


def _prediction(signature: Signature | None) -> Schema:
    shared: Schema = {"id": _text("name it in feedback", format="uuid")}
    last: Schema = {
        "flags": {"type": "object", "additionalProperties": {"type": "string"}, "description": "fields to look at"},
        "audit": {"type": "boolean", "description": "drawn for labelling, whatever was predicted"},
        "release": _text("the release that answered this row, where it is another one"),
        "contract": {"type": "integer", "minimum": 1},
    }
    own = ["flags", "release", "contract"]
    if signature is None:
        return _object({**shared, **last}, optional=own)
    chance = {name: {"type": "number", "minimum": 0, "maximum": 1} for name in signature.options}
    if signature.labels:
        labels = {"type": "array", "items": _text(enum=list(signature.labels)), "uniqueItems": True}
        return _object({**shared, "labels": labels, "probabilities": _object(chance), **last}, optional=own)
    if not signature.classes:
        numbers = {field.name: _number(field.name) for field in signature.outputs}
        return _object({**shared, **numbers, **last}, optional=own)
    label = _text(enum=list(signature.classes))
    return _object({**shared, "label": label, "probabilities": _object(chance), **last}, optional=own)


_ENDS = {"low": "the lower end of the interval around value", "high": "its upper end"}


def _number(name: str) -> Schema:
    says = _ENDS.get(name)
    return {"type": "number", **({"description": says} if says else {})}


def _feedback_item(task: Task) -> Schema:
    says = "; ".join(f"{kind.name}: {kind.says}" for kind in task.feedback)
    properties = {
        "prediction_id": _text("the id that came with the answer"),
        "kind": _text(says, enum=_names(task)),
        "value": {"description": "what is true, or how good the answer was; see kind"},
        "actor": _text("who says so; without one the request is an anonymous actor of its own"),
        "source": _text("where it comes from", default="user"),
        "event_at": _text("when it was said, if not now", format="date-time"),
        "idempotency_key": _text("a repetition with the same source and key is stored once"),
        "supersedes": _text("the id of an earlier receipt of the same actor that this one replaces"),
        "rationale": _text("why, in words"),
        "valid": {"type": "boolean", "default": True, "description": "false takes back what this one supersedes"},
    }
    return _object(properties, optional=list(properties)[3:], closed=True)


def _problem() -> Schema:
    words = {name: _text() for name in ("what", "where", "got", "meant", "fix")}
    trouble = {**words, "choices": {"type": "array", "items": _text()}}
    properties = {
        "type": _text(format="uri-reference"),
        "title": _text(),
        "status": {"type": "integer"},
        "detail": _text(),
        "code": _text(),
        "request_id": _text(),
        "troubles": {"type": "array", "items": _object(trouble, optional=list(trouble)[1:])},
    }
    return _object(properties)
