"""Rows 32 to 35 of the list of faults, in a source: a folder of photographs as people have them, with hostile ones.

What can be read becomes pixels, whatever it is; what cannot is named and counted, before anything is decoded that would
take much memory; and nothing else fails for it.
"""

from __future__ import annotations

import io
import resource
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from tests.pictures import bars, encoded, folder_of_bars

from volant.data.dataset import SplitRule, write_dataset
from volant.data.infer import infer_schema
from volant.data.sources import read_source
from volant.data.sources.beside import with_files
from volant.learners.image.decoding import decoder_for


def saved(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb():
    """A PNG that says it is 50,000 pixels wide and high."""
    head = struct.pack(">IIBBBBB", 50_000, 50_000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1_000_000)))


def film():
    """A GIF of a hundred thousand frames."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + frame * 100_000 + b";"


def turned(pixels, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(pixels), "JPEG", exif=exif.tobytes())


def unreadable():
    """Files that are no pictures, or that must not be decoded."""
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    jpeg, good = encoded(pixels, "JPEG"), encoded(pixels)
    endless = b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + struct.pack("<H", 60_000) + bytes(60)
    return {
        "archive.png": good + b"PK\x03\x04" + bytes(50) + b"PK\x05\x06" + bytes(18),
        "bomb.png": bomb(),
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "document.jpg": b"%PDF-1.7\n" + bytes(300),
        "empty.jpg": b"",
        "exif.jpg": encoded(pixels, "JPEG", exif=endless),
        "film.gif": film(),
        "page.png": good + b"<script>alert(1)</script>",
        "program.png": b"MZ" + bytes(300),
        "unpacks.png": good[:33] + chunk(b"zTXt", b"key\x00\x00" + zlib.compress(bytes(50_000_000), 9)) + good[33:],
    }


def odd():
    """Files that are unusual, and pictures all the same."""
    upright = Image.fromarray(bars(True, 1, 40))
    deep = Image.fromarray((np.asarray(upright.convert("L")).astype(np.uint16)) << 8)
    clear = upright.convert("RGBA")
    clear.putalpha(128)
    frames = [Image.fromarray(bars(True, i, 24)) for i in range(3)]
    return {
        "CAPITALS.JPG": encoded(bars(True, 2, 300), "JPEG"),
        "a name, with ünusual signs 🐈.png": encoded(bars(True, 3)),
        "cmyk.jpg": saved(upright.convert("CMYK"), "JPEG"),
        "deep.png": saved(deep, "PNG"),
        "flat.png": encoded(np.full((1, 500, 3), 90, np.uint8)),
        "grey.jpg": saved(upright.convert("L"), "JPEG"),
        "moving.gif": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "one bit.png": saved(upright.convert("1"), "PNG"),
        "one pixel.png": encoded(np.full((1, 1, 3), 90, np.uint8)),
        "palette.png": saved(upright.convert("P"), "PNG"),
        "png called jpg.jpg": encoded(bars(True, 4)),
        "progressive.jpg": saved(upright, "JPEG", progressive=True),
        "seen through.png": saved(clear, "PNG"),
        "turned.jpg": turned(bars(True, 5, 48), 6),
        "webp.webp": saved(upright, "WEBP"),
    }


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """The dataset of such a folder, and by how many bytes the process grew."""
    place = tmp_path_factory.mktemp("odd")
    folder = folder_of_bars(place / "photos", each=12)
    for name, data in {**unreadable(), **odd()}.items():
        (folder / "upright" / name).write_bytes(data)
    (folder / "upright" / "Thumbs.db").write_bytes(bytes(100))
    (folder / "upright" / ".DS_Store").write_bytes(bytes(100))
    (folder / "lying" / "notes.txt").write_text("not a photograph")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    source = read_source("photos", folder=place)
    schema = infer_schema(source.sample(), "label", source=source)
    files = with_files(source, ["image"])
    dataset = write_dataset(place / "home" / "datasets", schema, files.chunks(), SplitRule())
    return dataset, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def test_what_cannot_be_read_is_named_and_nothing_else(collected):
    dataset, _ = collected
    named = {path.removeprefix("upright/") for path in dataset.facts["unreadable_files"]["image"]}
    assert named == set(unreadable())
    assert dataset.facts["unreadable_count"] == {"image": len(unreadable())}
    assert len(dataset) == 24 + len(unreadable()) + len(odd())


def test_nothing_is_unpacked_to_look_at_it(collected):
    assert collected[1] < 400_000_000


def test_all_others_become_pixels_for_training(collected):
    dataset, _ = collected
    decoder = decoder_for(dataset, "image")
    pixels = decoder.pixels(dataset, 2)
    known = np.array([cell is not None for cell in dataset.batch(["image"])["image"]])
    assert pixels.shape[1:] == decoder.shape
    assert known.sum() == 24 + len(odd())
    spread = pixels[known].reshape(known.sum(), -1).std(axis=1)
    assert (spread == 0).sum() == 2, "only those of one shade have one"
