"""Files of pictures: which format they have, how large they are, and whether they may be opened. Pillow decodes them.

A file's bytes decide, never its name. Only the decoder of the format that the first bytes tell is tried, sizes are
looked at before anything is decoded, and of metadata nothing is read but the orientation.
"""

from __future__ import annotations

import io
import re
import struct
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from volant.columns.media import OTHER, TOO_LARGE, Unfit, told

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_BYTES = 32_000_000
MOST_PIXELS = 64_000_000
"""Pixels of a picture, width times height: 8,000 by 8,000."""

MOST_FRAMES = 1_000
MOST_SCANS = 64
"""Passes of a progressive JPEG; each can cost as much as decoding the whole picture."""

MOST_METADATA = 1_000_000
MOST_ENTRIES = 1_000
LONGEST_SIDE = 65_535

FORMATS = {
    "PNG": ("image/png", "PIL.PngImagePlugin", "PngImageFile"),
    "JPEG": ("image/jpeg", "PIL.JpegImagePlugin", "JpegImageFile"),
    "GIF": ("image/gif", "PIL.GifImagePlugin", "GifImageFile"),
    "WEBP": ("image/webp", "PIL.WebPImagePlugin", "WebPImageFile"),
    "BMP": ("image/bmp", "PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("image/tiff", "PIL.TiffImagePlugin", "TiffImageFile"),
    "AVIF": ("image/avif", "PIL.AvifImagePlugin", "AvifImageFile"),
    "PNM": ("image/x-portable-anymap", "PIL.PpmImagePlugin", "PpmImageFile"),
}
"""The formats that are read: their media type, and what of Pillow decodes them."""

ENDINGS = frozenset(
    [".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".avif"]
) | {".pgm", ".ppm", ".pbm", ".pnm"}
"""Endings of the names of such files, in lower case."""

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"P4", "PNM"),
    (b"P5", "PNM"),
    (b"P6", "PNM"),
    (b"BM", "BMP"),
)
_OTHERS = (
    (re.compile(rb"....ftyp(?:heic|heix|heim|heis|hevc|mif1|msf1)", re.DOTALL), "HEIC"),
    (re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?(?:<!DOCTYPE svg[^>]*>\s*)?<svg", re.DOTALL), "SVG"),
    (re.compile(rb"%PDF-"), "PDF"),
    (re.compile(rb"8BPS"), "PSD"),
    (re.compile(rb"PK\x03\x04"), "ZIP"),
    (re.compile(rb"\x00\x00\x00\x0cjP  "), "JPEG 2000"),
    (re.compile(rb"\x00\x00\x01\x00"), "ICO"),
)
"""Formats that are known and not read."""

_ORIENTATION, _PLACE, _SHORT = 0x0112, 0x8825, 3
"""Tags of EXIF, and the type of a number of two bytes."""

_ZIP_END = b"PK\x05\x06"
_SCRIPT = re.compile(rb"<script|<\?php|<html|<!doctype html|%PDF-", re.IGNORECASE)
_ENDS_LOOKED_AT = 65_557


def format_of(data: bytes) -> str | None:
    """The format that the first bytes tell, one of `FORMATS`, or None."""
    for beginning, name in _BEGINNINGS:
        if data.startswith(beginning):
            return name if name not in ("PNM", "BMP") or _plausible(data, name) else None
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return "AVIF" if data[4:12] in (b"ftypavif", b"ftypavis") else None


def _plausible(data: bytes, name: str) -> bool:
    """Two letters say little: what follows them must fit, too."""
    if name == "PNM":
        return data[2:3].isspace() or data[2:3] == b"#"
    return len(data) > 26 and struct.unpack_from("<I", data, 14)[0] in (12, 16, 40, 52, 56, 64, 108, 124)


def media_type(data: bytes) -> str | None:
    """`image/png` and the like by the first bytes, or None."""
    name = format_of(data)
    return FORMATS[name][0] if name else None


def opened(data: bytes, most_pixels: int = MOST_PIXELS) -> Image:
    """A file as a picture of Pillow's whose pixels are not decoded yet.

    Raises:
        Unfit: the format is not one of `FORMATS`, the file is a second kind of file as well, or it is too large.
        Exception: whatever the decoder makes of damaged bytes.
    """
    name = format_of(data)
    if name is None:
        raise _unknown(data)
    if _is_something_else_too(data):
        raise Unfit("the picture is also a file of another kind, which pictures from cameras never are", OTHER)
    if (announced := _announced(data, name)) is not None:  # some decoders make room for all pixels when they open
        _refuse_large(*announced, most_pixels)
    if name == "JPEG" and data.count(b"\xff\xda") > MOST_SCANS:
        raise Unfit("the JPEG has more passes than cameras and programs write")
    image: Any = _decoder(name)(io.BytesIO(data))
    _refuse_large(*image.size, most_pixels)
    _refuse_films(image, data, name)
    return image  # type: ignore[no-any-return]


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of a picture as it is shown, by its head alone.

    Raises:
        Unfit: it cannot be opened.
    """
    found: list[tuple[int, int]] = []

    def look(data: bytes) -> None:
        image: Any = opened(data)
        width, height = image.size
        found.append((height, width) if orientation(image) >= 5 else (width, height))

    told("the picture is damaged", look, data)
    return found[0]


@cache
def _decoder(name: str) -> Any:
    _, module, kind = FORMATS[name]
    return getattr(import_module(module), kind)


def _unknown(data: bytes) -> Unfit:
    other = next((name for pattern, name in _OTHERS if pattern.match(data[:1_000])), None)
    if other is not None:
        return Unfit(f"{other} is not read: save the picture as JPEG or PNG", OTHER)
    return Unfit("these are not the bytes of a picture (PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF or PNM)", OTHER)


def _refuse_large(width: int, height: int, most_pixels: int) -> None:
    if width * height > most_pixels or max(width, height) > LONGEST_SIDE:
        raise Unfit(f"the picture has more than {most_pixels / 1e6:g} million pixels", TOO_LARGE)
    if width < 1 or height < 1:
        raise Unfit("the picture has no pixels")


def _is_something_else_too(data: bytes) -> bool:
    """Whether the bytes would also pass for an archive, a PDF, or a page with a script in it."""
    tail = data[-_ENDS_LOOKED_AT:]
    place = tail.rfind(_ZIP_END)
    if (
        place >= 0
        and len(tail) >= place + 22
        and struct.unpack_from("<H", tail, place + 20)[0] == len(tail) - place - 22
    ):
        return True
    return bool(_SCRIPT.search(data[:4_096]) or _SCRIPT.search(data[-4_096:]))


def _announced(data: bytes, name: str) -> tuple[int, int] | None:
    """Width and height as the head of a file says them, where that is easily told."""
    if name == "WEBP":
        return _webp_size(data)
    place, numbers = {"PNG": (16, ">II"), "GIF": (6, "<HH"), "BMP": (18, "<ii")}.get(name, (0, ""))
    if not numbers or len(data) < place + struct.calcsize(numbers) or (name == "BMP" and data[14] == 12):
        return None
    width, height = struct.unpack_from(numbers, data, place)
    return abs(width), abs(height)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height by the first chunk. Source: RFC 9649, sections 2.5 to 2.7."""
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(data) >= 30:
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    raise Unfit("the WebP is damaged")


def _refuse_films(image: Any, data: bytes, name: str) -> None:
    """The first picture of an animation stands for it; what has thousands is no picture."""
    frames = gif_frames(data) if name == "GIF" else 1 if name == "TIFF" else int(getattr(image, "n_frames", 1))
    if frames > MOST_FRAMES:
        raise Unfit(f"the animation has more than {MOST_FRAMES:,} pictures")


def gif_frames(data: bytes) -> int:
    """Pictures in a GIF by its blocks, without decoding any; counting ends beyond `MOST_FRAMES`."""
    place = 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 0x80 else 0)
    found = 0
    while place < len(data) and found <= MOST_FRAMES:
        block = data[place]
        if block == 0x2C and place + 9 < len(data):
            found += 1
            flags = data[place + 9]
            place = _after_blocks(data, place + 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
        elif block == 0x21:
            place = _after_blocks(data, place + 2)
        else:
            break
    return found


def _after_blocks(data: bytes, place: int) -> int:
    while place < len(data) and data[place]:
        place += data[place] + 1
    return place + 1


def orientation(image: Any) -> int:
    """How a picture must be turned, 1 to 8, as its EXIF says; 1 where that says nothing.

    Raises:
        Unfit: the metadata is larger than that of any camera, or damaged.
    """
    value = exif(image).get(_ORIENTATION, 1)
    return value if 1 <= value <= 8 else 1


def has_place(image: Any) -> bool:
    """Whether the EXIF of a picture tells where it was taken."""
    return _PLACE in exif(image)


def exif(image: Any) -> dict[int, int]:
    """The entries of the first directory of a picture's EXIF: the first number of each, by tag.

    Nothing else is looked at, and no pointer is followed. Source: CIPA DC-008, section 4.6.

    Raises:
        Unfit: the metadata is larger than that of any camera, or damaged.
    """
    raw = image.info.get("exif")
    if not isinstance(raw, bytes):
        return {}
    if len(raw) > MOST_METADATA:
        raise Unfit("the picture's metadata is larger than that of any camera")
    body = raw.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(body[:2])
    if order is None or len(body) < 8:
        return {}
    (start,) = struct.unpack_from(f"{order}I", body, 4)
    if start + 2 > len(body):
        return {}
    (count,) = struct.unpack_from(f"{order}H", body, start)
    if count > MOST_ENTRIES:
        raise Unfit("the picture's metadata is damaged")
    places = range(start + 2, min(start + 2 + 12 * count, len(body) - 11), 12)
    return dict(_entry(body, place, order) for place in places)


def _entry(body: bytes, place: int, order: str) -> tuple[int, int]:
    tag, kind = struct.unpack_from(f"{order}HH", body, place)
    (value,) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", body, place + 8)
    return int(tag), int(value)
