"""From the bytes of a picture to an array of its pixels: the one way, in training and in serving.

Whatever a file holds (palette, transparency, sixteen bits, CMYK, a turned camera, an animation) comes out as eight
bits of grey or of red, green and blue, upright, of the size that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from volant.columns.media import Unfit, told
from volant.columns.pictures import MOST_PIXELS, opened, orientation
from volant.core.ids import canonical_json

VERSION = 1
"""Rises when the same file comes out differently."""

MODES = ("stretch", "pad", "crop")
_TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270",
          7: "TRANSVERSE", 8: "ROTATE_90"}  # fmt: skip
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_CLEAR = ("RGBA", "LA", "PA", "RGBa", "La")
_READ = ("1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", *_DEEP, *_CLEAR)
"""Pillow's names of how pixels are stored: finer than eight bits, with transparency, and all that are read."""

_DEPTHS = (8, 10, 12, 14, 16)
_FEW, _SMALL = 8, 6_000
"""Pictures below which threads are not worth beginning, and the mean size of their files, in bytes: Python does most of
the work on small ones, so that threads would wait for each other (two took twice as long as one at 32×32)."""

_WHITE = (255, 255, 255, 255)


def key_of(work: str, params: Mapping[str, Any]) -> str:
    """What names work on pictures, so that its results can be kept: what is done, and by which version of Pillow."""
    import PIL

    return canonical_json([work, VERSION, PIL.__version__, dict(params)]).decode()


@dataclass(frozen=True)
class Form:
    """What pictures are brought to: `height` × `width` pixels of `channels` (3, or 1 for grey).

    `mode` is `stretch`; `pad`: all of the picture, `fill` (a shade of grey) around it; or `crop`: its middle, nothing
    around it. Pictures are made smaller with every pixel counted (bilinear with a wide support, as Pillow does).
    """

    height: int
    width: int
    mode: str = "stretch"
    channels: int = 3
    fill: int = 0

    def __post_init__(self) -> None:
        sizes = self.height >= 1 and self.width >= 1 and self.channels in (1, 3)
        if not sizes or self.mode not in MODES or not 0 <= self.fill <= 255:
            raise ValueError(f"pictures cannot be brought to {self}")

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels

    def params(self) -> dict[str, Any]:
        """As the parameters of a step."""
        return asdict(self)


def examine(data: bytes, most_pixels: int = MOST_PIXELS) -> None:
    """Decode a picture as coarsely as its format allows, to know that it can be.

    Raises:
        Unfit: it cannot.
    """

    def decode(data: bytes) -> None:
        image: Any = opened(data, most_pixels)
        orientation(image)
        image.draft(None, (1, 1))
        image.load()
        if image.mode not in _READ:
            raise Unfit("the picture has colours of a kind that is not read")

    told("the picture is damaged", decode, data)


def pixels(data: bytes, form: Form, most_pixels: int = MOST_PIXELS) -> np.ndarray:
    """The pixels of one picture, uint8 (height, width, channels).

    Raises:
        Unfit: it cannot be decoded.
    """
    found: list[np.ndarray] = []
    told("the picture is damaged", lambda data: found.append(_pixels(data, form, most_pixels)), data)
    return found[0]


def many(files: Sequence[bytes], form: Form, threads: int = 1) -> np.ndarray:
    """The pixels of pictures, uint8 (n, height, width, channels), decoded side by side.

    Raises:
        Unfit: one of them cannot be decoded.
    """
    out = np.empty((len(files), *form.shape), dtype=np.uint8)

    def fill(begin: int) -> None:
        for place in range(begin, min(begin + _FEW, len(files))):
            out[place] = pixels(files[place], form)

    begins = range(0, len(files), _FEW)
    if threads < 2 or len(begins) < 2 or sum(map(len, files)) < _SMALL * len(files):
        for begin in begins:
            fill(begin)
        return out
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(fill, begins):
            pass
    return out


def _pixels(data: bytes, form: Form, most_pixels: int) -> np.ndarray:
    image: Any = opened(data, most_pixels)
    turn = orientation(image)
    if image.format == "JPEG":
        side = 2 * max(form.height, form.width)  # twice what is needed, whichever way it is turned and cut
        image.draft(None, (side, side) if form.mode != "crop" else _covering(image.size, side))
    image.load()
    plain = _upright(_plain(image), turn)
    if form.channels == 1 and plain.mode != "L":
        plain = plain.convert("L")
    placed = _placed(plain, form)
    if form.channels == 3 and placed.mode != "RGB":
        placed = placed.convert("RGB")
    array: np.ndarray = np.asarray(placed, dtype=np.uint8).reshape(form.shape)
    return array


def _covering(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The size whose shorter side is `side`."""
    shorter = max(min(size), 1)
    return max(side, size[0] * side // shorter), max(side, size[1] * side // shorter)


def _plain(image: Any) -> Any:
    """Grey (`L`) or `RGB`, whatever it was; what is transparent shows white."""
    mode = image.mode
    if mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if mode in _DEEP:
        return _eight_bits(image)
    if mode in _CLEAR or "transparency" in image.info:
        return _on_white(image.convert("RGBA"))
    return image.convert("L" if mode == "1" else "RGB")


def _on_white(image: Any) -> Any:
    from PIL import Image

    ground = Image.new("RGBA", image.size, _WHITE)
    return Image.alpha_composite(ground, image).convert("RGB")


def _eight_bits(image: Any) -> Any:
    """Finer shades to 256 of them: the least usual depth that holds the brightest pixel becomes white.

    Devices that measure 12 bits store them in 16, where they would all look black.
    """
    from PIL import Image

    shades = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0, posinf=65535.0, neginf=0.0)
    brightest = float(shades.max())
    if image.mode == "F" and brightest <= 1.0:
        white = 1.0
    else:
        white = next((2.0**bits - 1 for bits in _DEPTHS if brightest < 2**bits), max(brightest, 1.0))
    scaled = np.clip(np.rint(shades * (255.0 / white)), 0, 255).astype(np.uint8)
    return Image.fromarray(scaled)


def _upright(image: Any, turn: int) -> Any:
    from PIL import Image

    return image.transpose(getattr(Image.Transpose, _TURNS[turn])) if turn in _TURNS else image


def _placed(image: Any, form: Form) -> Any:
    """The picture at the size and in the way that is asked for."""
    from PIL import Image

    wanted, bilinear = (form.width, form.height), Image.Resampling.BILINEAR
    if image.size == wanted:
        return image
    width, height = image.size
    if form.mode == "stretch":
        return image.resize(wanted, bilinear)
    if form.mode == "crop":
        scale = max(form.width / width, form.height / height)
        across, down = form.width / scale, form.height / scale
        left, top = (width - across) / 2, (height - down) / 2
        return image.resize(wanted, bilinear, box=(left, top, left + across, top + down))
    scale = min(form.width / width, form.height / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    ground = Image.new(image.mode, wanted, form.fill if image.mode == "L" else (form.fill,) * 3)
    ground.paste(image.resize(inner, bilinear), ((form.width - inner[0]) // 2, (form.height - inner[1]) // 2))
    return ground
