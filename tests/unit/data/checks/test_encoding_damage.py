"""Damage by wrong encodings, and languages that must not look like it."""

from __future__ import annotations

import numpy as np
import pytest

from volant.core.protocols import CheckContext
from volant.data.checks.encoding_damage import damaged

SOUND = [
    "plain words",
    "déjà vu à Orléans, où l’été",
    "Größe ÄÖÜ Straße",
    "Ærøskøbing på Ø",
    "São Paulo, não é?",
    "Łódź, Kraków",
    "Москва и область",
    "你好,世界",
    "质量很好，物流也快！",
    "他說:「開放」",
    "東京タワー",
    "서울특별시",
    "naïve façade — “quoted” … £20 €30 ½ °C",
    "ÉCOLE ÊTRE ÀÉÈÊ",
    "mañana ¿qué? ¡sí!",
    "😀👍🏽",
    "a\tb\r\nc",
    "µm ±5 ²³",
]


@pytest.mark.parametrize("text", SOUND)
def test_sound_texts(text):
    assert not damaged(text)


@pytest.mark.parametrize(
    ("text", "wrote", "read"),
    [
        ("café", "utf-8", "latin-1"),
        ("café", "utf-8", "cp1252"),
        ("Größe und Maß", "utf-8", "latin-1"),
        ("it’s “here”", "utf-8", "cp1252"),
        ("你好", "utf-8", "latin-1"),
        ("中国制造", "gbk", "latin-1"),
        ("质量很好，物流也快", "gbk", "cp1252"),
        ("你好世界", "utf-8", "gbk"),
        ("这家店不错呀", "utf-8", "gb18030"),
    ],
)
def test_damaged_texts(text, wrote, read):
    assert damaged(text.encode(wrote).decode(read, "ignore"))


@pytest.mark.parametrize("text", ["caf\ufffd", "锟斤拷锟斤拷", "a\x00b"])
def test_lost_characters(text):
    assert damaged(text)


def test_columns_with_damage(checks, make, run, clean):
    columns = clean()
    columns["color"][[4, 6]] = "blÃ¼"
    (found,) = run(checks["encoding_damage"], make(columns))
    assert (found.column, found.rows, found.count) == ("color", (4, 6), 2)


def test_damaged_names(checks, make, run, clean):
    (found,) = run(checks["encoding_damage"], make(clean() | {"Ã¢ge": np.arange(600.0)}))
    assert found.column == "Ã¢ge"


def test_damage_that_only_the_reader_saw(checks, make, run, clean):
    context = CheckContext(target="y", notes={"encoding_damage": [3, 5], "encoding_damage_count": 9})
    (found,) = run(checks["encoding_damage"], make(clean()), context)
    assert (found.rows, found.count) == ((3, 5), 9)
