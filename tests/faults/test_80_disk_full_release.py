"""Fault 80: when the disk runs full while an artifact is written, there is no half artifact."""

from __future__ import annotations

import pytest

from volant.errors import Failure
from volant.store import commit_folder, write_file_atomic


def model(size: int):
    def build(folder):
        (folder / "pipeline.json").write_text("{}")
        (folder / "model.onnx").write_bytes(bytes(size))

    return build


def test_no_half_artifact_and_the_old_one_stays(small_disk):
    commit_folder(model(100_000), small_disk.folder / "old")
    with pytest.raises(Failure) as caught:
        commit_folder(model(5_000_000), small_disk.folder / "new")
    assert caught.value.code == "store-full"
    assert [path.name for path in small_disk.folder.iterdir()] == ["old"]
    assert (small_disk.folder / "old" / "model.onnx").stat().st_size == 100_000
    commit_folder(model(100_000), small_disk.folder / "new")
    assert (small_disk.folder / "new" / "model.onnx").exists()


def test_no_half_file(small_disk):
    path = small_disk.folder / "manifest.json"
    write_file_atomic(path, b"old")
    with pytest.raises(Failure) as caught:
        write_file_atomic(path, bytes(5_000_000))
    assert caught.value.code == "store-full"
    assert [(p.name, p.read_bytes()) for p in small_disk.folder.iterdir()] == [("manifest.json", b"old")]
