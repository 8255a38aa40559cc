"""Files in requests: bodies that are a form of parts, or one file alone, as the rows that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from volant.columns.media import is_media
from volant.core.plugins import column_type
from volant.core.records import Field, Signature
from volant.errors import BadInput, Trouble
from volant.serve.forms import FORMS
from volant.serve.http import JSON, Takes, media_type
from volant.serve.multipart import FORM, Part, parts_of
from volant.serve.problems import HttpError

SUBJECT = "subject"
_ALIKE = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/tif": "image/tiff",
    "image/x-ms-bmp": "image/bmp",
    "image/x-bmp": "image/bmp",
    "image/x-portable-graymap": "image/x-portable-anymap",
    "image/x-portable-pixmap": "image/x-portable-anymap",
    "image/x-portable-bitmap": "image/x-portable-anymap",
}
"""Other names of media types."""

_encoder = msgspec.json.Encoder()
_SAYS_NOTHING = ("", "application/octet-stream", "binary/octet-stream", "text/plain")


def files_in(signature: Signature) -> tuple[Field, ...]:
    """The inputs whose cells are files."""
    return tuple(field for field in signature.inputs if is_media(field.type))


def accepted(signature: Signature | None) -> tuple[bytes, ...]:
    """The media types of bodies that a release takes; `image/*` are all kinds of pictures."""
    files = files_in(signature) if signature is not None else ()
    alone = signature is not None and len(files) == len(signature.inputs) == 1
    return (*FORMS, *((FORM,) if files else ()), *((f"{files[0].type}/*".encode(),) if alone else ()))


@dataclass(frozen=True)
class TakesFiles(Takes):
    """The body of a request for predictions: of the media types that the release takes which answers now."""

    signature: Callable[[], Signature | None] = lambda: None

    def refuse(self, headers: Mapping[bytes, bytes]) -> None:
        (self._forms if headers.get(b"content-type") in FORMS else Takes(self.most, self._accepted())).refuse(headers)

    @cached_property
    def _forms(self) -> Takes:
        return Takes(self.most, FORMS)

    def _accepted(self) -> tuple[bytes, ...]:
        """What the release takes which answers now; only what is unusual needs to know."""
        signature = self.signature()  # where nobody answers yet, that is what is said
        return accepted(signature) if signature is not None else (*FORMS, FORM, b"image/*")


def as_json(body: bytes, content_type: bytes, signature: Signature) -> bytes:
    """A body as JSON, with its files in base64, so that all who answer read one language.

    Raises:
        HttpError: 400, 413, 415.
        BadInput: code `input-invalid`.
    """
    if content_type == JSON or media_type(content_type) == JSON:
        return body
    return _encoder.encode(_value_of(body, content_type, signature))


def _value_of(body: bytes, content_type: bytes, signature: Signature) -> Any:
    """What a body asks for, in the form that JSON has it; files are bytes.

    Raises:
        HttpError: 400, 413, 415.
        BadInput: code `input-invalid`.
    """
    kind, files = media_type(content_type), files_in(signature)
    if kind == FORM and files:
        return _of_form(parts_of(body, content_type), signature)
    if len(files) != 1 or len(signature.inputs) != 1:  # who answers changed on the way
        Takes(len(body), accepted(signature)).refuse({b"content-type": content_type})
    field = files[0]
    return {"row": {field.name: _declared(field, body, kind.decode("latin-1"), f"row.{field.name}")}}


def _of_form(parts: Sequence[Part], signature: Signature) -> dict[str, Any]:
    """Rows of a form: a field that comes several times has one value per row, any other is that of all rows."""
    known = {field.name: field for field in (*signature.inputs, *signature.beside)}
    columns: dict[str, list[Any]] = {}
    for part in parts:
        cell = _cell(part, known.get(part.name))
        columns.setdefault(part.name, []).append(cell)
    rows = max((len(values) for values in columns.values()), default=0)
    uneven = [
        Trouble(f"the field comes {len(values)} times, others {rows} times", name[:64], fix="send it once, or per row")
        for name, values in columns.items()
        if len(values) not in (1, rows)
    ]
    if uneven or not rows:
        what = "the fields of the form do not make rows" if uneven else "the form has no fields"
        raise BadInput(what, code="input-invalid", where="body", troubles=uneven)
    subject = None if SUBJECT in known else columns.pop(SUBJECT, None)
    made = [{name: values[i if len(values) > 1 else 0] for name, values in columns.items()} for i in range(rows)]
    asked: dict[str, Any] = {"row": made[0]} if rows == 1 else {"rows": made}
    return asked if subject is None else {**asked, SUBJECT: subject[0] if len(subject) == 1 else subject}


def _cell(part: Part, field: Field | None) -> Any:
    """A file as bytes, anything else as text; a file that nobody chose is missing."""
    if field is None and part.is_file:
        return ""  # the field is unknown, which is said where all fields are looked at
    if field is not None and is_media(field.type):
        if part.is_file or part.media_type not in _SAYS_NOTHING:
            return _declared(field, part.data, part.media_type, part.name) if part.data else None
    elif part.is_file and field is not None:
        what = f"a {field.type} cannot be sent as a file"
        raise BadInput(what, code="input-invalid", where=part.name, got="a file", fix="send it as a plain field")
    try:
        return part.data.decode()
    except UnicodeDecodeError:
        raise HttpError(400, "request-invalid", "a field is not UTF-8", where=part.name[:64]) from None


def _declared(field: Field, data: bytes, said: str, where: str) -> bytes:
    """The bytes of a file, which must be what their sender says they are.

    Raises:
        HttpError: 415.
    """
    found = column_type(field.type).media_type(data)
    said = _ALIKE.get(said, said)
    if said not in _SAYS_NOTHING and said != f"{field.type}/*" and found is not None and found != said:
        what = "the file is of another kind than its sender says"
        raise HttpError(415, "media-type", what, where=where, got=found, choices=[said])
    return data
