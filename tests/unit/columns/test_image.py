"""Pictures: what is recognised and read, what they look like as pixels, and what hostile bytes come to."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image as Pillow
from tests.pictures import encoded, picture

from volant.columns.image import Image
from volant.columns.media import DAMAGED, OTHER, TOO_LARGE, Unfit
from volant.columns.pictures import gif_frames, has_place, opened, size_of
from volant.columns.pixels import Form, many, pixels

KIND = Image()
PNG = picture()
GROUND = Form(8, 8)


def code_of(cell, kind=KIND):
    with pytest.raises(Unfit) as bad:
        kind.parse_cell(cell)
    return bad.value.code


def png_header(width: int, height: int) -> bytes:
    """A PNG of a size that nobody decodes: only its head is sound."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + bytes(64)


@pytest.mark.parametrize(
    "cell",
    [
        PNG,
        memoryview(PNG),
        base64.b64encode(PNG).decode(),
        " " + base64.b64encode(PNG).decode() + "\r\n",
        "data:image/png;base64," + base64.b64encode(PNG).decode(),
        {"bytes": PNG, "path": "a.png"},
    ],
    ids=["bytes", "view", "base64", "spaces", "data url", "hugging face"],
)
def test_a_picture_is_read_from_many_forms(cell):
    assert KIND.parse_cell(cell) == PNG


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "PPM"])
def test_formats(form):
    smooth = np.add.outer(np.arange(24), np.arange(32)).astype(np.uint8)[..., None].repeat(3, axis=2) * 4
    data = encoded(smooth, form)
    assert KIND.parse_cell(data) == data
    assert size_of(data) == (32, 24)
    assert abs(pixels(data, GROUND).astype(int) - pixels(encoded(smooth), GROUND)).mean() < 4


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
def test_kinds_of_pixels_come_out_alike(mode):
    shades = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (32, 1))
    image = Pillow.fromarray(shades if mode != "I;16" else shades.astype(np.uint16) * 16)
    image = image.convert("RGB" if mode == "CMYK" else "L").convert(mode) if mode != "I;16" else image
    file = io.BytesIO()
    image.save(file, "TIFF")
    found = pixels(KIND.parse_cell(file.getvalue()), GROUND).astype(int)
    assert found.shape == (8, 8, 3)
    assert found[:, 0].mean() < 40
    assert found[:, -1].mean() > 215


def test_what_is_transparent_shows_white():
    file = io.BytesIO()
    Pillow.new("RGBA", (4, 4), (255, 0, 0, 0)).save(file, "PNG")
    assert (pixels(file.getvalue(), Form(2, 2)) == 255).all()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_camera_is_turned_back(form, turn):
    upright = np.zeros((24, 24, 3), np.uint8)
    upright[:12, :12] = 255
    undo = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}.get(turn, 1)
    names = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270",
             7: "TRANSVERSE", 8: "ROTATE_90"}  # fmt: skip
    held = Pillow.fromarray(upright)
    held = held.transpose(getattr(Pillow.Transpose, names[undo])) if undo > 1 else held
    exif = Pillow.Exif()
    exif[0x0112] = turn
    file = io.BytesIO()
    held.save(file, form, exif=exif)
    assert (pixels(file.getvalue(), Form(2, 2))[:, :, 0] > 127).tolist() == [[True, False], [False, False]]


def test_the_first_picture_of_an_animation_counts():
    frames = [Pillow.fromarray(np.full((8, 8, 3), shade, np.uint8)) for shade in (200, 20, 90)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert gif_frames(file.getvalue()) == 3
    assert abs(int(pixels(KIND.parse_cell(file.getvalue()), GROUND).mean()) - 200) < 10


def test_ways_to_bring_pictures_to_a_size():
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 255
    data = encoded(wide)
    assert pixels(data, Form(10, 10, "crop")).min() > 200
    padded = pixels(data, Form(8, 8, "pad", fill=77))
    assert (padded[0] == 77).all()
    assert (padded[-1] == 77).all()
    assert pixels(data, Form(4, 8, channels=1)).shape == (4, 8, 1)
    with pytest.raises(ValueError, match="brought"):
        Form(0, 8)
    with pytest.raises(ValueError, match="brought"):
        Form(8, 8, "squeeze")


@pytest.mark.parametrize("side", [12, 90])
def test_many_pictures_are_what_each_is(side):
    """Small ones are decoded by one thread, larger ones by several."""
    noise = np.random.default_rng(side).integers(0, 255, (20, side, side, 3), dtype=np.uint8)
    files = [encoded(one) for one in noise]
    together = many(files, GROUND, threads=3)
    assert (together == np.stack([pixels(data, GROUND) for data in files])).all()


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_truncated_file_is_damaged(form, cut):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encoded(noise, form)
    assert code_of(data[: int(len(data) * cut)]) in (DAMAGED, OTHER)


def test_flipped_bits_never_do_more_than_be_refused():
    rng = np.random.default_rng(0)
    for form in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"):
        data = encoded(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8), form)
        for _ in range(60):
            spoilt = bytearray(data)
            for place in rng.integers(0, len(data), 3):
                spoilt[place] = int(rng.integers(256))
            try:
                read = KIND.parse_cell(bytes(spoilt))
            except Unfit:
                continue
            assert pixels(read, GROUND).shape == (8, 8, 3)


REFUSED = {
    "words": (b"no picture at all", OTHER),
    "pdf": (b"%PDF-1.7 and so on", OTHER),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", OTHER),
    "heic": (b"\x00\x00\x00\x18ftypheic....", OTHER),
    "zip at its end": (PNG + b"PK\x05\x06" + bytes(18), OTHER),
    "script in a gif": (b"GIF89a/*" + b"<script>alert(1)</script>" + bytes(40), OTHER),
    "php at its end": (PNG + b"<?php system($_GET[0]); ?>", OTHER),
    "50,000 squared": (png_header(50_000, 50_000), TOO_LARGE),
    "too wide": (png_header(70_000, 2), TOO_LARGE),
    "zeros": (bytes(200), OTHER),
    "address": ("https://example.org/cat.png", DAMAGED),
    "file address": ("file:///etc/passwd", DAMAGED),
    "reference": ("sha256:" + "0" * 64, DAMAGED),
    "raw data url": ("data:image/png,raw", DAMAGED),
    "no base64": ("not base64 !", DAMAGED),
    "gone": ({"bytes": None, "path": "gone.png"}, DAMAGED),
    "empty": ({"bytes": b"", "path": "empty.png"}, DAMAGED),
    "object": ({"url": "x"}, DAMAGED),
    "number": (7, DAMAGED),
    "list": ([1, 2], DAMAGED),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_why(name):
    cell, code = REFUSED[name]
    assert code_of(cell) == code


def test_a_file_may_not_be_larger_than_its_cap():
    small = Image(most_bytes=len(PNG) - 1)
    assert code_of(PNG, small) == TOO_LARGE
    assert code_of(base64.b64encode(PNG).decode(), small) in (TOO_LARGE, DAMAGED)
    assert code_of(base64.b64encode(bytes(9 * len(PNG))).decode(), small) == TOO_LARGE


def test_a_webp_is_measured_before_room_is_made_for_it():
    data = bytearray(encoded(np.zeros((4, 4, 3), np.uint8), "WEBP", lossless=True))
    data[21:25] = ((16383) | (16383 << 14)).to_bytes(4, "little")
    assert code_of(bytes(data)) == TOO_LARGE


def test_a_text_that_unpacks_to_far_more_is_refused():
    bomb = zlib.compress(bytes(80_000_000), 9)
    chunk = b"zTXtkey\x00\x00" + bomb
    data = PNG[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + PNG[33:]
    assert code_of(data) == DAMAGED


def test_metadata_without_end_is_refused():
    entries = b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + struct.pack("<H", 60_000) + bytes(60)
    assert code_of(encoded(np.zeros((8, 8, 3), np.uint8), "JPEG", exif=entries)) == DAMAGED


def test_an_animation_of_thousands_is_refused():
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    data = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + frame * 1_200 + b";"
    assert code_of(data) == DAMAGED


def test_a_jpeg_of_a_hundred_passes_is_refused():
    data = encoded(np.zeros((8, 8, 3), np.uint8), "JPEG")
    assert code_of(data[:-2] + b"\xff\xda\x00\x02" * 100 + data[-2:]) == DAMAGED


def test_where_a_picture_was_taken_is_seen():
    exif = Pillow.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    exif[0x8825] = exif.get_ifd(0x8825)
    assert has_place(opened(encoded(np.zeros((8, 8, 3), np.uint8), "JPEG", exif=exif)))
    assert not has_place(opened(PNG))


@pytest.mark.parametrize(
    "values",
    [
        pa.array([PNG] * 5, pa.binary()),
        pa.array([PNG] * 5, pa.large_binary()),
        pa.array([{"bytes": PNG, "path": "a"}] * 5),
        pa.array([base64.b64encode(PNG).decode()] * 5),
        pa.array(["data:image/png;base64," + base64.b64encode(PNG).decode()] * 5),
    ],
    ids=["binary", "large", "struct", "base64", "data url"],
)
def test_columns_of_pictures_are_recognised(values):
    assert KIND.recognise("photo", values).confidence > 0.9


@pytest.mark.parametrize(
    "values", [pa.array([b"raw"] * 5), pa.array(["a.png"] * 5), pa.array([1.5]), pa.array([{"a": 1}])]
)
def test_other_columns_are_not(values):
    assert KIND.recognise("photo", values).confidence == 0.0


def test_damaged_cells_of_a_column_are_listed():
    cells = [PNG if i % 10 else b"\x89PNG\r\n\x1a\nrubbish" for i in range(200)]
    parsed = KIND.parse(pa.array([*cells, None], pa.binary()))
    assert parsed.unreadable.tolist() == list(range(0, 200, 10))
    assert parsed.values.null_count == 21
