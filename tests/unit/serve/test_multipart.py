"""Forms: what clients send is taken apart, and what is malformed is refused."""

from __future__ import annotations

import httpx
import pytest

from volant.serve.multipart import MOST_PARTS, parts_of
from volant.serve.problems import HttpError

KIND = b"multipart/form-data; boundary=X"


def body(*parts: bytes) -> bytes:
    return b"".join(b"--X\r\n" + part + b"\r\n" for part in parts) + b"--X--\r\n"


def field(name: str, value: bytes = b"1") -> bytes:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value


def test_what_a_client_library_sends():
    request = httpx.Request(
        "POST",
        "http://x",
        files={"photo": ("a b.png", b"\x00\r\n--bytes", "image/png")},
        data={"age": "3", "größe": "é"},
    )
    found = parts_of(request.read(), request.headers["content-type"].encode())
    assert [(p.name, p.data, p.is_file, p.media_type) for p in found] == [
        ("age", b"3", False, ""),
        ("größe", "é".encode(), False, ""),
        ("photo", b"\x00\r\n--bytes", True, "image/png"),
    ]


def test_what_a_browser_sends():
    part = b'Content-Disposition: form-data; name="a%22b"; filename="C:\\x;y.png"\r\nContent-Type: image/png\r\n\r\nPNG'
    (found,) = parts_of(body(part), b'multipart/form-data; boundary="X"')
    assert (found.name, found.data, found.is_file) == ('a"b', b"PNG", True)


def test_a_name_may_come_again_and_values_may_be_empty():
    found = parts_of(body(field("a"), field("a", b""), field("b", b"\r\n")), KIND)
    assert [(p.name, p.data) for p in found] == [("a", b"1"), ("a", b""), ("b", b"\r\n")]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", KIND),
        (b"--Y\r\n\r\n\r\n--Y--", KIND),
        (b"preamble\r\n" + body(field("a")), KIND),
        (body(field("a"))[:-6], KIND),
        (body(field("a")) + b"more", KIND),
        (b"--Xtra\r\n" + field("a") + b"\r\n--X--", KIND),
        (body(b"no head at all"), KIND),
        (body(b"\r\n\r\nvalue"), KIND),
        (body(b"Content-Disposition: form-data\r\n\r\n1"), KIND),
        (body(b'Content-Disposition: attachment; name="a"\r\n\r\n1'), KIND),
        (body(b'Content-Disposition: form-data; name=""\r\n\r\n1'), KIND),
        (body(b'Content-Disposition: form-data; name="\xff"\r\n\r\n1'), KIND),
        (body(b'Content-Disposition: form-data; name="a"\r\n folded: x\r\n\r\n1'), KIND),
        (body(b'Content-Disposition: form-data; name="a"\r\n' + b"X: " + b"y" * 5_000 + b"\r\n\r\n1"), KIND),
        (body(b'Content-Transfer-Encoding: base64\r\nContent-Disposition: form-data; name="a"\r\n\r\n1'), KIND),
        (body(field("a")), b"multipart/form-data"),
        (body(field("a")), b"multipart/form-data; boundary="),
        (body(field("a")), b"multipart/form-data; boundary=" + b"X" * 71),
        (body(field("a")), b'multipart/form-data; boundary="X\r\nY"'),
    ],
)
def test_what_is_malformed_is_refused(content, kind):
    with pytest.raises(HttpError) as bad:
        parts_of(content, kind)
    assert bad.value.status == 400


def test_17_ten_thousand_parts():
    with pytest.raises(HttpError) as bad:
        parts_of(body(*[field("a")] * 10_000), KIND)
    assert bad.value.status == 413
    assert len(parts_of(body(*[field("a")] * MOST_PARTS), KIND)) == MOST_PARTS
