"""What personal data looks like: e-mail and network addresses, telephone, identity and card numbers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date

PROVINCES = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "37",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "50",
        "51",
        "52",
        "53",
        "54",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "81",
        "82",
        "83",
    ]
)
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
MOBILE = re.compile(r"(?<!\d)(?:(?:\+|00)?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?!\d)")
LANDLINE = re.compile(r"(?<!\d)\(?0\d{2,3}\)?[ -]\d{7,8}(?!\d)")
AMERICAN = re.compile(r"(?<![\d-])(?:\+?1[ .-]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?![\d-])")
INTERNATIONAL = re.compile(r"(?<![\d+])\+[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]?\d{2,4}){1,4}(?!\d)")
CHINESE_ID = re.compile(r"(?<!\d)\d{17}[\dXx](?![\dA-Za-z])")
AMERICAN_ID = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
CARD = re.compile(
    r"(?<![\d.-])[3-6]\d{3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{1,7}(?![\d.-])|(?<![\d.-])3\d{3}[ -]?\d{6}[ -]?\d{5}(?!\d)"
)
ADDRESS4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
ADDRESS6 = re.compile(r"(?<![:0-9A-Za-z])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{0,4}(?![:0-9A-Za-z])")


def chinese_identity(text: str) -> bool:
    """Whether 18 characters are a resident identity number: province, date of birth and check digit.

    Source: GB 11643-1999; ISO 7064, MOD 11-2.
    """
    if text[:2] not in PROVINCES or len(text) != 18:
        return False
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(text[:17], WEIGHTS, strict=True))
    return 1880 <= born.year <= 2100 and "10X98765432"[total % 11] == text[17].upper()


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others.

    Source: ISO/IEC 7812-1, annex B.
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    known = (
        digits[0] in "456"
        or digits[:2] in ("34", "35", "36", "37", "38")
        or digits[:2] in ("51", "52", "53", "54", "55")
    )
    return 14 <= len(digits) <= 19 and known and len(set(digits)) > 3 and luhn(digits)


def _ip(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.version == 6 or any(int(part) > 31 for part in text.split("."))


def _anything(text: str) -> bool:
    return bool(text)


KINDS: Mapping[str, tuple[Sequence[re.Pattern[str]], Callable[[str], bool]]] = {
    "e-mail addresses": ((EMAIL,), _anything),
    "Chinese identity numbers": ((CHINESE_ID,), chinese_identity),
    "American social security numbers": ((AMERICAN_ID,), _anything),
    "payment card numbers": ((CARD,), _card),
    "telephone numbers": ((MOBILE, LANDLINE, AMERICAN, INTERNATIONAL), _anything),
    "network addresses": ((ADDRESS4, ADDRESS6), _ip),
}


def whole(kind: str, text: str) -> bool:
    """Whether a cell is nothing but data of this kind."""
    patterns, valid = KINDS[kind]
    text = text.strip()
    return any(pattern.fullmatch(text) is not None for pattern in patterns) and valid(text)


def inside(kind: str, text: str) -> bool:
    """Whether a cell holds data of this kind among other words."""
    patterns, valid = KINDS[kind]
    return any(valid(found.group()) for pattern in patterns for found in pattern.finditer(text))


def personal(text: str) -> bool:
    """Whether a text holds personal data of any kind that is known here."""
    return any(inside(kind, text) for kind in KINDS)
