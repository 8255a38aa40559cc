from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from volant.errors import Failure
from volant.store import commit_folder, disk, staged_folder, write_file_atomic
from volant.store.artifacts import PREFIX, sweep


def fill(folder: Path, text: str = "x") -> str:
    (folder / "deep").mkdir()
    (folder / "deep" / "a.txt").write_text(text)
    return text


def unfinished(parent: Path) -> list[Path]:
    return list(parent.glob(f"{PREFIX}*"))


def test_a_folder_appears_whole(tmp_path):
    final = tmp_path / "candidates" / "abc"
    assert commit_folder(fill, final) == "x"
    assert (final / "deep" / "a.txt").read_text() == "x"
    assert unfinished(final.parent) == []


def test_an_existing_folder_is_kept(tmp_path):
    final = tmp_path / "abc"
    commit_folder(fill, final)
    assert commit_folder(lambda folder: fill(folder, "y"), final) == "y"
    assert (final / "deep" / "a.txt").read_text() == "x"
    assert unfinished(tmp_path) == []


def test_nothing_is_seen_before_the_end_and_nothing_stays_after_an_error(tmp_path):
    final = tmp_path / "abc"

    def stumble(folder):
        fill(folder)
        assert not final.exists()
        raise RuntimeError("stumbled")

    with pytest.raises(RuntimeError, match="stumbled"):
        commit_folder(stumble, final)
    assert list(tmp_path.iterdir()) == []


def test_the_same_as_a_block(tmp_path):
    with staged_folder(tmp_path / "abc") as folder:
        fill(folder)
    assert (tmp_path / "abc" / "deep" / "a.txt").exists()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), RuntimeError("IoError: No space left on device")])
def test_a_full_disk_is_told_as_such(tmp_path, error):
    def stumble(_folder):
        raise error

    with pytest.raises(Failure) as caught:
        commit_folder(stumble, tmp_path / "abc")
    assert caught.value.code == "store-full"
    assert list(tmp_path.iterdir()) == []


def test_content_is_flushed_before_the_name_is_given(tmp_path, monkeypatch):
    final = tmp_path / "abc"
    flushed = []
    sync = disk.sync_path
    monkeypatch.setattr(disk, "sync_path", lambda path: (flushed.append((path.name, final.exists())), sync(path)))
    commit_folder(fill, final)
    names = [name for name, visible in flushed if not visible]
    assert "a.txt" in names
    assert "deep" in names
    assert flushed[-1] == (tmp_path.name, True)


def test_what_a_killed_process_left_is_swept_and_what_a_live_one_does_is_not(tmp_path):
    code = (
        "import sys, time, pathlib, volant.store as s\n"
        "with s.staged_folder(pathlib.Path(sys.argv[1]) / 'abc') as f:\n"
        "    (f / 'x').write_text('x'); print('in', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "in\n"
    commit_folder(fill, tmp_path / "other")
    assert len(unfinished(tmp_path)) == 1
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    commit_folder(fill, tmp_path / "abc")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["abc", "other"]


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.json"
    write_file_atomic(path, b"one")
    write_file_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_file_atomic(path, b"one")

    def full(_descriptor, _content):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(disk, "write_all", full)
    with pytest.raises(Failure) as caught:
        write_file_atomic(path, b"two")
    assert caught.value.code == "store-full"
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_were_left_are_swept_too(tmp_path):
    (tmp_path / f"{PREFIX}x").write_text("half")
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []
