"""Strict `multipart/form-data`: a body that is whole in memory, taken apart in one pass, or refused.

What browsers, curl and HTTP libraries send is taken. Preambles, nested parts, encodings of parts and header lines that
are folded are not; nothing is guessed. Source: RFC 7578, and RFC 2046 section 5.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from volant.serve.problems import HttpError

MOST_PARTS = 1_000
LONGEST_HEAD = 4_096
FORM = b"multipart/form-data"

_BOUNDARY = re.compile(
    rb"""multipart/form-data\s*;\s*boundary=(?:"([0-9A-Za-z'()+_,./:=? -]{1,70})"|([0-9A-Za-z'+_./:-]{1,70}))\s*""",
    re.IGNORECASE,
)
_HEADER = re.compile(rb"([A-Za-z-]{1,64}):[ \t]*([^\r\n\0]*?)[ \t]*")
_DISPOSITION = re.compile(rb'form-data((?:;[ \t]*[A-Za-z*]+=(?:"[^"\r\n]*"|[^";\s]+))+)', re.IGNORECASE)
_PARAMETER = re.compile(rb';[ \t]*([A-Za-z*]+)=(?:"([^"\r\n]*)"|([^";\s]+))')
_AS_IT_IS = (b"binary", b"8bit", b"7bit")
_ESCAPED = ((b"%22", b'"'), (b"%0D", b"\r"), (b"%0A", b"\n"), (b"%0d", b"\r"), (b"%0a", b"\n"))


@dataclass(frozen=True)
class Part:
    """One field of a form. `media_type` is what its sender says it is, in lower case, or empty."""

    name: str
    data: bytes
    is_file: bool
    media_type: str = ""


def parts_of(body: bytes, content_type: bytes) -> list[Part]:
    """The parts of a body in their order.

    Raises:
        HttpError: 400 for what is malformed, 413 for too many parts.
    """
    found = _BOUNDARY.fullmatch(content_type.strip())
    if found is None:
        raise _malformed("the boundary is missing, or has characters that no boundary has")
    return list(_parts(body, b"--" + (found[1] or found[2]).rstrip()))


def _parts(body: bytes, mark: bytes) -> Iterator[Part]:
    if not body.startswith(mark):
        raise _malformed("the body does not begin with the boundary")
    place, count = len(mark), 0
    while body[place : place + 2] != b"--":
        count += 1
        if count > MOST_PARTS:
            what = f"a form may have at most {MOST_PARTS} parts"
            raise HttpError(413, "request-too-large", what, where="body", fix="send several requests")
        if body[place : place + 2] != b"\r\n":
            raise _malformed("a boundary does not end its line")
        end = body.find(b"\r\n" + mark, place)
        if end < 0:
            raise _malformed("the last part is not closed")
        yield _part(body, place + 2, end)
        place = end + 2 + len(mark)
    if body[place + 2 :].strip(b"\r\n \t"):
        raise _malformed("something follows the last boundary")


def _part(body: bytes, start: int, end: int) -> Part:
    stop = body.find(b"\r\n\r\n", start, min(end + 4, start + LONGEST_HEAD))
    if stop < 0:
        raise _malformed("the head of a part is missing, or too long")
    headers: dict[bytes, bytes] = {}
    for line in body[start:stop].split(b"\r\n"):
        found = _HEADER.fullmatch(line)
        if found is None or found[1].lower() in headers:
            raise _malformed("a line in the head of a part is malformed")
        headers[found[1].lower()] = found[2]
    if headers.get(b"content-transfer-encoding", b"binary").lower() not in _AS_IT_IS:
        raise _malformed("a part is encoded; send its bytes as they are")
    name, is_file = _named(headers.get(b"content-disposition", b""))
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
    return Part(name, body[stop + 4 : end], is_file, kind)


def _named(disposition: bytes) -> tuple[str, bool]:
    """The name of a part, and whether it is a file."""
    found = _DISPOSITION.fullmatch(disposition)
    given = {m[1].lower(): m[2] if m[2] is not None else m[3] for m in _PARAMETER.finditer(found[1])} if found else {}
    name = given.get(b"name", b"")
    for code, byte in _ESCAPED:
        name = name.replace(code, byte)
    try:
        text = name.decode()
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise _malformed("a part has no name")
    return text, b"filename" in given or b"filename*" in given


def _malformed(what: str) -> HttpError:
    fix = "send multipart/form-data as RFC 7578 has it"
    return HttpError(400, "request-invalid", f"the form is malformed: {what}", where="body", fix=fix)
