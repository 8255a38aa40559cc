"""Small pictures for pages that need no other file."""

from __future__ import annotations

import base64
import io
from typing import Any

from volant.columns.media import Unfit
from volant.columns.pictures import size_of
from volant.columns.pixels import Form, pixels

SIDE = 96
_QUALITY = 80


def thumbnail(data: bytes, side: int = SIDE) -> str | None:
    """A picture at most `side` pixels wide and high, as a `data:` URL; None where it cannot be decoded.

    Smaller ones stay as they are, for the page to magnify.
    """
    from PIL import Image

    try:
        width, height = size_of(data)
        scale = min(1.0, side / max(width, height))
        form = Form(max(1, round(height * scale)), max(1, round(width * scale)))
        image: Any = Image.fromarray(pixels(data, form))
    except Unfit:
        return None
    file = io.BytesIO()
    if scale < 1.0:
        image.save(file, "JPEG", quality=_QUALITY)
        return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
