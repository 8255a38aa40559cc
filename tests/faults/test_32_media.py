"""Rows 17, 32 to 35 and 39 of the list of faults, against the running service: pictures that are not what they seem."""

from __future__ import annotations

import base64
import io
import socket
import struct
import threading
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.pictures import encoded, picture

from volant.core.records import Field, Pipeline, Signature, Step
from volant.store import open_store
from volant.testing import handmade
from volant.testing.served import served

TEXT = handmade.FILE_TEXT + "[serve]\nmax_body_mb = 4\nmax_rows = 100\nmax_megapixels = 20\n"
CLASSES = ("no", "yes")
GOOD = picture(1)


def pipeline() -> Pipeline:
    """The probability of `yes` is even: what matters here is what comes before."""
    return Pipeline(
        (
            Step("decode_image", ("photo",), "pixels", {"height": 8, "width": 8}),
            Step("constant", ("pixels",), "probability", {"value": [0.5, 0.5]}),
            Step("decide", ("probability",), "label", {"classes": list(CLASSES)}),
        ),
        {"probability": "probability", "label": "label"},
    )


def signature() -> Signature:
    example = base64.b64encode(picture(0, 4, 4)).decode()
    return Signature(
        "classify",
        "churned",
        (Field("photo", "image", required=True, example=example),),
        (Field("label", "category", choices=CLASSES), Field("probability", "number")),
        CLASSES,
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    product = handmade.make_product(tmp_path_factory.mktemp("media"), TEXT)
    with open_store(product.home) as store:
        handmade.promote(store, handmade.write_release(product.home, pipeline(), signature()))
    with served(product.folder) as running:
        running.product = product
        yield running


@pytest.fixture
def ask(service):
    """Send a picture in each of the three ways; afterwards the service must still answer others."""

    def send(data: bytes, kind: str = "image/png") -> list[httpx.Response]:
        url = service.url + "/v1/predict"
        return [
            httpx.post(url, json={"row": {"photo": base64.b64encode(data).decode()}}, timeout=60),
            httpx.post(url, files={"photo": ("x.png", data, kind)}, timeout=60),
            httpx.post(url, content=data, headers={"content-type": kind}, timeout=60),
        ]

    yield send
    assert [answer.status_code for answer in send(GOOD)] == [200, 200, 200]


def refused(answers, status: int) -> None:
    for answer in answers:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert any("photo" in str(trouble.get("where")) for trouble in problem["troubles"])
        for leak in ("Traceback", ".py", ".volant", "site-packages", "PIL", "x.png"):
            assert leak not in answer.text


def test_a_good_picture_is_answered_in_every_way(ask):
    for answer in ask(GOOD):
        assert answer.json()["predictions"][0]["label"] in CLASSES


def test_17_a_form_of_ten_thousand_parts(service, ask):
    part = b'--B\r\nContent-Disposition: form-data; name="photo"\r\n\r\n1\r\n'
    body = part * 10_000 + b"--B--\r\n"
    answer = httpx.post(
        service.url + "/v1/predict", content=body, headers={"content-type": "multipart/form-data; boundary=B"}
    )
    assert answer.status_code == 413


def test_32_a_damaged_picture(ask):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    for form in ("PNG", "JPEG", "GIF"):
        data = encoded(noise, form)
        refused(ask(data[: len(data) // 2], f"image/{form.lower()}"), 422)
    spoilt = bytearray(encoded(noise))
    spoilt[200:260] = bytes(60)
    refused(ask(bytes(spoilt)), 422)


def test_33_a_picture_of_fifty_thousand_squared(ask):
    body = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 1, 0, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    idat = b"IDAT" + zlib.compress(bytes(1_000_000))
    data = head + struct.pack(">I", len(idat) - 4) + idat + struct.pack(">I", zlib.crc32(idat))
    refused(ask(data), 413)


def test_33_a_picture_that_is_small_as_a_file_alone(ask):
    file = io.BytesIO()
    Image.new("1", (6_000, 6_000)).save(file, "PNG")
    assert len(file.getvalue()) < 20_000
    refused(ask(file.getvalue()), 413)


def test_34_another_kind_of_file(ask):
    refused(ask(b"MZ" + bytes(300)), 415)
    refused(ask(b"%PDF-1.7\n" + bytes(300)), 415)
    refused(ask(b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>"), 415)


def test_34_another_kind_than_its_sender_says(service, ask):
    jpeg = encoded(np.zeros((8, 8, 3), np.uint8), "JPEG")
    _, *declared = ask(jpeg, "image/png")
    refused(declared, 415)


def test_34_a_picture_that_is_an_archive_as_well(ask):
    end = b"PK\x05\x06" + bytes(18)
    refused(ask(GOOD + b"PK\x03\x04" + bytes(50) + end), 415)
    refused(ask(GOOD + b"<script>alert(1)</script>"), 415)


def test_35_an_animation_of_thousands(ask):
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    data = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + frame * 100_000 + b";"
    refused(ask(data, "image/gif"), 422)


def test_35_metadata_that_unpacks_without_end(ask):
    chunk = b"zTXtkey\x00\x00" + zlib.compress(bytes(200_000_000), 9)
    data = GOOD[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + GOOD[33:]
    refused(ask(data), 422)
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + struct.pack("<H", 60_000) + bytes(60)
    refused(ask(encoded(np.zeros((8, 8, 3), np.uint8), "JPEG", exif=exif), "image/jpeg"), 422)


def test_sound_is_no_picture(service, ask):
    refused(ask(b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(300), "image/webp"), 415)
    url, wav = service.url + "/v1/predict", b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(300)
    assert httpx.post(url, content=wav, headers={"content-type": "audio/wav"}).status_code == 415
    assert httpx.post(url, files={"sound": ("x.wav", wav, "audio/wav")}).status_code in (415, 422)


def test_39_nothing_is_fetched(service):
    """Addresses are refused, and nobody connects to them."""
    called = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)

        def listen():
            try:
                server.accept()
                called.set()
            except OSError:
                return

        thread = threading.Thread(target=listen)
        thread.start()
        port = server.getsockname()[1]
        for address in (
            f"http://127.0.0.1:{port}/cat.png",
            "http://169.254.169.254/latest/meta-data/",
            "file:///etc/passwd",
            "/etc/passwd",
            "ftp://x/y.png",
            "sha256:" + "0" * 64,
        ):
            url = service.url + "/v1/predict"
            refused([httpx.post(url, json={"row": {"photo": address}})], 422)
            refused([httpx.post(url, files={"photo": (None, address)})], 422)
        thread.join()
    assert not called.is_set()


def test_what_was_refused_is_not_kept(service, ask):
    before = sum(path.stat().st_size for path in (service.product.home / "media").glob("*.seg"))
    refused(ask(GOOD[:80]), 422)
    after = sum(path.stat().st_size for path in (service.product.home / "media").glob("*.seg"))
    assert after == before


def test_the_document_and_the_page_know_pictures(service):
    body = httpx.get(service.url + "/openapi.json").json()["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
    assert {"application/json", "multipart/form-data", "image/*"} <= set(body)
    assert body["multipart/form-data"]["schema"]["required"] == ["photo"]
    page = httpx.get(service.url + "/docs").text
    assert 'type: "file", accept: "image/*"' in page
