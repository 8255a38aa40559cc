"""Checks of pictures: what is wrong with them is found, and nothing where all is well."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageEnhance
from tests.pictures import bars, digit, encoded

from volant.core import plugins
from volant.core.protocols import CheckContext
from volant.core.records import Column, Schema
from volant.testing.rows import MemoryRows

CLASSES = ("cat", "dog")
CONTEXT = CheckContext(task=plugins.load("tasks", "classify"), target="label")
SCHEMA = Schema((Column("photo", "image"), Column("label", "category", "target")))
ROWS = 120


def photo(seed: int, size: int = 48, ground: int | None = None) -> Image.Image:
    """A made-up photograph: smooth fields of colour with some noise, on a background of its own."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=np.int64)
    pixels = np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
    if ground is not None:
        pixels[:6] = pixels[-6:] = pixels[:, :6] = pixels[:, -6:] = ground
    return Image.fromarray(pixels)


def saved(image: Image.Image, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def files(count: int = ROWS) -> list[bytes | None]:
    return [saved(photo(seed)) for seed in range(count)]


def labels(count: int = ROWS) -> list[str]:
    return [CLASSES[i % 2] for i in range(count)]


def rows(cells, told=None) -> MemoryRows:
    told = labels(len(cells)) if told is None else told
    return MemoryRows.of(SCHEMA, pa.table({"photo": pa.array(cells, pa.large_binary()), "label": told}))


def run(name, data, context=CONTEXT):
    return list(plugins.load("checks", name).run(data, None, context))


@pytest.mark.parametrize("name", plugins.names("checks"))
def test_no_check_finds_fault_with_good_pictures(name):
    found = run(name, rows(files()))
    assert [f.what for f in found if f.check != "class_imbalance"] == []


@pytest.mark.parametrize("name", plugins.names("checks"))
def test_every_check_bears_pictures_that_are_missing(name):
    some: list[bytes | None] = files(60)
    some[3:9] = [None] * 6
    run(name, rows(some))
    run(name, rows([None] * 60))
    run(name, rows(files(1)))


def test_unreadable_files_are_named_and_many_of_them_stop():
    notes = {"unreadable_files": {"photo": ["a/1.png", "b/2.png"]}}
    context = CheckContext(unreadable={"photo": [1, 7]}, unreadable_count={"photo": 2}, notes=notes)
    [found] = run("unreadable_media", rows(files()), context)
    assert found.severity == "warn"
    assert "a/1.png, b/2.png" in found.what
    assert (found.count, found.rows, found.column) == (2, (1, 7), "photo")
    context = CheckContext(unreadable={"photo": [1]}, unreadable_count={"photo": 30}, notes={})
    assert run("unreadable_media", rows(files()), context)[0].severity == "stop"
    assert run("mixed_formats", rows(files()), context) == []


def test_blank_dark_and_bright_pictures():
    some = files()
    some[5] = encoded(np.full((40, 40, 3), 90, np.uint8))
    some[6] = encoded(np.asarray(photo(6)) // 12)
    some[7] = encoded(np.uint8(236) + np.asarray(photo(7)) // 14)
    found = {f.what.split(" is ")[1].split(" (")[0]: f.rows for f in run("blank_pictures", rows(some))}
    assert found == {"of one colour": (5,), "nearly black": (6,), "nearly white": (7,)}


def test_drawings_on_white_are_not_called_bright():
    rng = np.random.default_rng(0)
    drawings = []
    for _ in range(60):
        pixels = np.full((32, 32, 3), 255, np.uint8)
        pixels[int(rng.integers(10, 20)), 12:18] = 0
        drawings.append(encoded(pixels))
    assert run("blank_pictures", rows(drawings)) == []


def test_odd_sizes():
    some = files()
    some[4] = saved(photo(1).resize((5, 5)))
    some[8] = saved(photo(2).resize((400, 40)))
    found = {f.rows: f.what for f in run("odd_sizes", rows(some))}
    assert "far smaller" in found[(4,)]
    assert "far longer or wider" in found[(8,)]


CHANGES = {
    "saved as JPEG": lambda image: saved(image, "JPEG", quality=60),
    "made smaller": lambda image: saved(image.resize((32, 32), Image.Resampling.BILINEAR)),
    "brightened": lambda image: saved(ImageEnhance.Brightness(image).enhance(1.15)),
    "another format": lambda image: saved(image, "BMP"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_almost_copies(change):
    some = files()
    copies = {101: 20, 102: 21, 103: 22}
    for copy, original in copies.items():
        some[copy] = CHANGES[change](photo(original))
    told = labels()
    for copy, original in copies.items():
        told[copy] = told[original]
    told[102] = CLASSES[1 - CLASSES.index(told[21])]
    found = run("near_pictures", rows(some, told))
    assert found[0].count == 3
    assert set(found[0].rows) == set(copies)
    across = next(f for f in found if "side of the split" in f.what)
    assert set(across.rows) == {20, 101, 21, 102}, "rows 22 and 103 are on one side"
    [wrong] = [f for f in found if "different labels" in f.what]
    assert set(wrong.rows) == {21, 102}


def test_digits_by_different_hands_are_no_copies():
    from sklearn.datasets import load_digits

    drawings = [digit(shades) for shades in load_digits().images[:400]]
    found = run("near_pictures", rows(drawings))
    assert not found or found[0].count < 12


@pytest.mark.parametrize("way", ["background", "format", "size"])
def test_what_is_around_a_picture_gives_its_class_away(way):
    some = []
    for i, label in enumerate(labels()):
        dog = label == "dog"
        if way == "background":
            some.append(saved(photo(i, ground=30 if dog else 220)))
        elif way == "format":
            some.append(saved(photo(i), "JPEG" if dog else "PNG"))
        else:
            some.append(saved(photo(i, size=40 if dog else 48)))
    [found] = run("picture_leaks", rows(some))
    assert {"background": "background colour", "format": "format", "size": "size in pixels"}[way] in found.what
    assert found.severity == "warn"


def test_backgrounds_that_tell_nothing_are_left_alone():
    some = [saved(photo(i, ground=int(np.random.default_rng(i).integers(0, 255)))) for i in range(ROWS)]
    assert run("picture_leaks", rows(some)) == []


def test_places_in_metadata_are_personal():
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    exif[0x8825] = exif.get_ifd(0x8825)
    some = files()
    some[9] = saved(photo(9), "JPEG", exif=exif)
    [found] = run("personal_data", rows(some))
    assert "where they were taken" in found.what
    assert found.rows == (9,)


def test_equal_pictures_with_different_labels_conflict():
    some = files()
    some[50:60] = some[41:51]
    found = run("conflicting_duplicates", rows(some))
    assert found
    assert found[0].count >= 9


def test_one_picture_with_two_labels_is_enough_beside_pictures_that_are_gone():
    some = files()
    some[50], some[3], some[5] = some[41], None, None
    [found] = run("conflicting_duplicates", rows(some))
    assert found.count == 1
    assert set(found.rows) == {41, 50}


def test_wrong_labels_of_pictures_are_found():
    some = [encoded(bars(tall=i % 2 == 1, seed=i, side=32)) for i in range(600)]
    told = labels(600)
    swapped = list(range(0, 600, 30))
    for i in swapped:
        told[i] = CLASSES[1 - CLASSES.index(told[i])]
    [found] = run("wrong_labels", rows(some, told))
    assert len(set(found.rows) & set(swapped)) >= 15
    assert 12 <= found.count <= 30
