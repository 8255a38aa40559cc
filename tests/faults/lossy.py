"""A disk that forgets what was not flushed, and one whose flushes fail, for processes that preload `lossy.c`."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_NOTE = struct.Struct("<QQQQqqQ")
_WRITE, _FLUSH = ord("W"), ord("S")


@dataclass(frozen=True)
class Note:
    """A write, with what it overwrote, or a flush."""

    kind: int
    inode: int
    begun: int
    ended: int
    offset: int
    size: int
    old: bytes


class LossyDisk:
    """Watches the files in a folder. `environment` is what processes on it are started with."""

    def __init__(self, folder: Path, place: Path) -> None:
        self.folder = folder
        self._log, self._fail, library = place / "notes", place / "fail", place / "lossy.so"
        compiler = shutil.which("cc")
        if compiler is None or not Path("/proc/self/fd").is_dir():
            pytest.skip("there is no C compiler here, or no /proc")
        source = Path(__file__).with_name("lossy.c")
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
        self.environment = {
            "LD_PRELOAD": str(library),
            "LOSSY_FOLDER": str(folder),
            "LOSSY_LOG": str(self._log),
            "LOSSY_FAIL": str(self._fail),
        }

    def break_flushes(self) -> None:
        """Let every flush fail from now on."""
        self._fail.touch()

    def mend_flushes(self) -> None:
        """Let flushes work again."""
        self._fail.unlink()

    def lose_power(self) -> int:
        """Take back every write that was never flushed; how many there were. Nobody may be writing any more."""
        notes = self._notes()
        flushes: dict[int, int] = {}
        for note in notes:
            if note.kind == _FLUSH:
                flushes[note.inode] = max(flushes.get(note.inode, 0), note.begun)
        lost = [n for n in notes if n.kind == _WRITE and n.ended > flushes.get(n.inode, 0)]
        paths = {path.stat().st_ino: path for path in self.folder.rglob("*") if path.is_file()}
        for note in sorted(lost, key=lambda n: -n.begun):
            if note.inode in paths:
                self._undo(paths[note.inode], note)
        for path in self.folder.rglob("*-shm"):
            path.unlink()
        self._log.unlink(missing_ok=True)
        return len(lost)

    @staticmethod
    def _undo(path: Path, note: Note) -> None:
        with path.open("r+b") as file:
            if note.old:
                os.pwrite(file.fileno(), note.old, note.offset)
            file.truncate(note.size)

    def _notes(self) -> list[Note]:
        data = self._log.read_bytes() if self._log.exists() else b""
        notes, place = [], 0
        while place + _NOTE.size <= len(data):
            *facts, length = _NOTE.unpack_from(data, place)
            place += _NOTE.size
            notes.append(Note(*facts, old=data[place : place + length]))
            place += length
        return notes
