"""Sources of pictures: folders, archives, patterns, and tables that name files."""

from __future__ import annotations

import base64
import json
import os
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pictures import folder_of_bars, picture

from volant.core.records import Schema
from volant.data.dataset import SplitRule, write_dataset
from volant.data.infer import infer_schema
from volant.data.sources import read_source
from volant.data.sources.beside import with_files
from volant.errors import BadInput


@pytest.fixture
def photos(tmp_path):
    return folder_of_bars(tmp_path / "photos", 20)


def read(source) -> pa.Table:
    return pa.Table.from_batches(list(source.chunks()))


def kinds(source, target=None):
    schema = infer_schema(source.sample(), target, source=source)
    return {column.name: (column.type, column.role) for column in schema.columns}


def test_a_folder_per_class(photos, tmp_path):
    (photos / "notes.txt").write_text("about these pictures")
    (photos / ".DS_Store").write_text("x")
    source = read_source("photos", folder=tmp_path)
    table = read(source)
    assert table.column_names == ["image", "label", "file"]
    assert table.column("label").to_pylist() == ["lying"] * 20 + ["upright"] * 20
    assert table.column("file")[0].as_py() == "lying/0000.png"
    first = table.column("image")[0].as_py()
    assert first["bytes"] == (photos / "lying" / "0000.png").read_bytes()
    assert source.notes["left_out"] == ["notes.txt"]
    assert source.answer == "label"
    assert kinds(source, "label") == {
        "image": ("image", "input"),
        "label": ("category", "target"),
        "file": ("id", "ignored"),
    }


def test_folders_named_train_and_test_part_the_data(photos, tmp_path):
    root = tmp_path / "parted"
    root.mkdir()
    photos.rename(root / "train")
    folder_of_bars(root / "Test", 3)
    source = read_source("parted", folder=tmp_path)
    table = read(source)
    assert set(table.column("label").to_pylist()) == {"lying", "upright"}
    assert set(table.column("part").to_pylist()) == {"train", "Test"}
    assert kinds(source, "label")["part"] == ("category", "ignored")


def test_pictures_without_folders_have_no_label(photos, tmp_path):
    source = read_source("photos/lying", folder=tmp_path)
    assert read(source).column_names == ["image", "file"]
    assert source.answer is None


def test_names_of_other_systems_and_things_that_are_no_files(photos, tmp_path):
    odd = os.fsencode(photos) + b"/lying/caf\xe9.png"
    with open(odd, "wb") as file:  # noqa: PTH123 - the name is bytes
        file.write(picture(1))
    (photos / "lying" / "two\nlines.png").write_bytes(picture(2))
    os.mkfifo(photos / "lying" / "pipe.png")
    (photos / "lying" / "device.png").symlink_to("/dev/zero")
    (photos / "lying" / "gone.png").symlink_to("nowhere.png")
    table = read(read_source("photos", folder=tmp_path))
    found = {cell["path"]: cell["bytes"] for cell in table.column("image").to_pylist()}
    assert found["lying/caf\\xe9.png"] == picture(1)
    assert found["lying/two\nlines.png"] == picture(2)
    assert found["lying/pipe.png"] is None
    assert found["lying/device.png"] is None
    assert "lying/gone.png" not in found
    assert len(read_source("photos", folder=tmp_path).fingerprint) == 64


def test_a_changed_picture_changes_the_source(photos, tmp_path):
    before = read_source("photos", folder=tmp_path).fingerprint
    assert read_source("photos", folder=tmp_path).fingerprint == before
    (photos / "lying" / "0000.png").write_bytes(picture(5))
    assert read_source("photos", folder=tmp_path).fingerprint != before


def test_a_pattern(photos, tmp_path):
    table = read(read_source("photos/*/000*.png", folder=tmp_path))
    assert len(table) == 20
    assert set(table.column("label").to_pylist()) == {"lying", "upright"}
    with pytest.raises(BadInput) as bad:
        read_source("photos/*/*.jpg", folder=tmp_path)
    assert bad.value.code == "source-missing"


@pytest.mark.parametrize("inside", ["", "photos/"])
def test_an_archive(photos, tmp_path, inside):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(photos.rglob("*.png")):
            archive.write(path, inside + path.relative_to(photos).as_posix())
        archive.writestr("__MACOSX/._x.png", b"x")
    assert read(read_source("all.zip", folder=tmp_path)).equals(read(read_source("photos", folder=tmp_path)))


def test_an_archive_reaches_nothing_outside(tmp_path):
    (tmp_path / "secret.png").write_bytes(picture(1))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("../secret.png", picture(2))
        archive.writestr("a/b.png", b"")
    table = read(read_source("all.zip", folder=tmp_path))
    assert table.column("file").to_pylist() == ["a/b.png"], "what points outside is left out"
    assert not list(tmp_path.glob("a"))


def test_a_damaged_archive_is_named(tmp_path):
    (tmp_path / "all.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(BadInput) as bad:
        read_source("all.zip", folder=tmp_path)
    assert bad.value.code == "source-unreadable"
    assert "all.zip" in str(bad.value)


def test_a_folder_without_pictures_is_a_folder_of_tables(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "data" / "chart.png").write_bytes(picture())
    assert read(read_source("data", folder=tmp_path)).column_names == ["x", "y"]


def table_of_paths(photos, form):
    paths = sorted(path.relative_to(photos.parent).as_posix() for path in photos.rglob("*.png"))
    rows = [{"photo": path, "size": i, "kind": path.split("/")[1]} for i, path in enumerate(paths)]
    if form == "csv":
        lines = ["photo,size,kind", *(f"{row['photo']},{row['size']},{row['kind']}" for row in rows)]
        (photos.parent / "t.csv").write_text("\n".join(lines) + "\n")
    elif form == "jsonl":
        (photos.parent / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), photos.parent / "t.parquet")
    return f"t.{form}", paths


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_column_of_paths(photos, form):
    name, paths = table_of_paths(photos, form)
    source = read_source(name, folder=photos.parent)
    assert kinds(source, "kind")["photo"] == ("image", "input")
    cells = read(with_files(source, ["photo"])).column("photo").to_pylist()
    assert [cell["path"] for cell in cells] == paths
    assert [cell["bytes"] for cell in cells] == [(photos.parent / path).read_bytes() for path in paths]


def test_paths_stay_texts_where_the_product_says_so(photos):
    name, _ = table_of_paths(photos, "csv")
    source = read_source(name, folder=photos.parent)
    schema = infer_schema(source.sample(), "kind", {"photo": {"type": "text", "role": None}}, source=source)
    assert schema["photo"].type == "text"


def test_a_changed_file_changes_a_table_that_names_it(photos):
    name, paths = table_of_paths(photos, "csv")

    def mark():
        return with_files(read_source(name, folder=photos.parent), ["photo"]).fingerprint

    before = mark()
    assert mark() == before
    (photos.parent / paths[3]).write_bytes(picture(9))
    assert mark() != before


def test_addresses_and_absent_files_are_not_read(photos):
    (photos.parent / "t.csv").write_text(
        "photo,y\nhttp://example.org/a.png,1\ngone.png,2\nNA,3\nphotos/lying/0001.png,4\n"
    )
    cells = read(with_files(read_source("t.csv", folder=photos.parent), ["photo"])).column("photo").to_pylist()
    assert [cell and cell["bytes"] is not None for cell in cells] == [False, False, None, True]


@pytest.mark.parametrize("way", ["../secret.png", "photos/../../secret.png", "{}/secret.png", "..\\\\secret.png"])
def test_paths_that_leave_the_folder_are_not_followed(photos, way):
    home = photos.parent / "home"
    home.mkdir()
    (photos.parent / "secret.png").write_bytes(picture(1))
    (home / "good.png").write_bytes(picture(2))
    (home / "t.csv").write_text(f"photo,y\n{way.format(photos.parent)},1\n{home}/good.png,2\nsub/../good.png,3\n")
    cells = read(with_files(read_source("t.csv", folder=home), ["photo"])).column("photo").to_pylist()
    assert [cell["bytes"] is not None for cell in cells] == [False, True, True]


def test_paths_relative_to_another_folder(photos):
    tables = photos.parent / "tables"
    tables.mkdir()
    paths = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    (tables / "t.csv").write_text("photo,kind\n" + "".join(f"{path},{path.split('/')[0]}\n" for path in paths))
    lost = infer_schema(
        read_source("t.csv", folder=tables).sample(), "kind", source=read_source("t.csv", folder=tables)
    )
    assert lost["photo"].type != "image"
    assert "data.files names their folder" in lost["photo"].reason
    found = read_source("t.csv", folder=tables, files="../photos")
    assert kinds(found, "kind")["photo"] == ("image", "input")
    assert all(cell["bytes"] for cell in read(with_files(found, ["photo"])).column("photo").to_pylist())
    with pytest.raises(BadInput) as told:
        read_source("t.csv", folder=tables, files="../gone")
    assert told.value.code == "source-missing"


@pytest.mark.parametrize("nested", [True, False])
def test_bytes_in_parquet(photos, nested):
    files = [{"bytes": path.read_bytes(), "path": path.name} for path in sorted(photos.rglob("*.png"))]
    column = files if nested else [file["bytes"] for file in files]
    labels = ["a", "b"] * 20
    pq.write_table(pa.table({"image": column, "label": labels}), photos.parent / "t.parquet")
    source = read_source("t.parquet", folder=photos.parent)
    assert kinds(source, "label")["image"] == ("image", "input")


def test_base64_in_json_lines(photos):
    path = photos.parent / "t.jsonl"
    rows = [{"photo": "data:image/png;base64," + base64.b64encode(picture(i)).decode(), "y": i % 2} for i in range(30)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = read_source("t.jsonl", folder=photos.parent)
    assert kinds(source, "y")["photo"] == ("image", "input")
    dataset = dataset_of(source, "y", photos.parent)
    assert [bytes(cell) for cell in dataset.batch(["photo"])["photo"]] == [picture(i) for i in range(30)]


def dataset_of(source, target, place, **more):
    schema: Schema = infer_schema(source.sample(), target, source=source)
    files = with_files(source, [c.name for c in schema.columns if c.type == "image"])
    return write_dataset(place / "home" / "datasets", schema, files.chunks(), SplitRule(), **more)


def test_78_unreadable_pictures_are_named_and_counted(photos, tmp_path):
    (photos / "lying" / "0003.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    (photos / "upright" / "0007.png").write_bytes(b"")
    dataset = dataset_of(read_source("photos", folder=tmp_path), "label", tmp_path)
    assert len(dataset) == 40
    assert dataset.facts["unreadable"] == {"image": [3, 27]}
    assert dataset.facts["unreadable_count"] == {"image": 2}
    assert dataset.facts["unreadable_files"] == {"image": ["lying/0003.png", "upright/0007.png"]}
    cells = dataset.batch(["image"])["image"]
    assert [i for i, cell in enumerate(cells) if cell is None] == [3, 27]


def test_78_they_are_left_out_only_if_the_product_says_so(photos, tmp_path):
    (photos / "lying" / "0003.png").write_bytes(b"no picture")
    dataset = dataset_of(read_source("photos", folder=tmp_path), "label", tmp_path, leave_out=True)
    assert len(dataset) == 39
    assert 3 not in dataset.numbers()
    assert dataset.numbers()[-1] == 39
    assert dataset.facts["unreadable_count"] == {"image": 1}
    assert all(cell is not None for cell in dataset.batch(["image"])["image"])
