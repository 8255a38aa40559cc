"""charset-normalizer: which legacy encoding a few lines of bytes are most likely in."""

from __future__ import annotations

import re

_TRIED = ("gb18030", "cp1252", "big5", "cp932", "cp1251", "latin_1")
_CLOSE = 0.02
_CYRILLIC = re.compile("[\u0400-\u04ff]")
_LETTERS = re.compile(r"[^\W\d_]")


def guess(sample: bytes) -> str:
    """The encoding, one of `gb18030`, `cp1252`, `big5`, `cp932`, `cp1251` and `latin_1`.

    Among encodings in which the bytes look equally tidy, the one named first here wins.
    """
    from charset_normalizer import from_bytes

    found = from_bytes(sample, cp_isolation=list(_TRIED), threshold=0.3)
    tidy = {match.encoding: match.chaos for match in found}
    tidy |= {match: found[0].chaos for match in (found[0].could_be_from_charset if len(found) else ())}
    if "cp1251" in tidy and not _mostly_cyrillic(sample):
        del tidy["cp1251"]
    best = min(tidy.values(), default=0.0)
    choices = [name for name in _TRIED if name in tidy and tidy[name] <= best + _CLOSE]
    return next((name for name in (*choices, "cp1252") if _decodes(sample, name)), "latin_1")


def _mostly_cyrillic(sample: bytes) -> bool:
    text = sample.decode("cp1251", "replace")
    return len(_CYRILLIC.findall(text)) > len(_LETTERS.findall(text)) / 2


def _decodes(sample: bytes, encoding: str) -> bool:
    try:
        sample.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
