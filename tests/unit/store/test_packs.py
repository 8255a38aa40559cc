"""Media: kept once, found again, never half there, and gone when they are to be gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pyarrow as pa
import pytest

from volant.errors import Failure
from volant.store import open_store
from volant.store.media_log import MediaLog
from volant.store.pack import SUFFIX, as_digests
from volant.store.packs import Packs


def filled(folder, files) -> tuple[Packs, list[str]]:
    packs = Packs(folder)
    with packs.writing() as writer:
        names = [writer.add(data) for data in files]
        writer.commit()
    return packs, names


def names_in(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


FILES = [bytes([i]) * (i + 1) for i in range(100)]


def test_what_was_put_in_is_found(tmp_path):
    packs, names = filled(tmp_path, FILES)
    assert packs.read_all(names) == FILES
    assert packs.read_all([names[7], None, "0" * 64, names[7]]) == [FILES[7], None, None, FILES[7]]
    assert packs.has([names[0], "f" * 64]).tolist() == [True, False]
    assert Packs(tmp_path).read(names[99]) == FILES[99]


def test_a_file_is_kept_once(tmp_path):
    packs, _ = filled(tmp_path, [*FILES, *FILES])
    assert len(packs.all_digests()) == len(FILES)
    filled(tmp_path, FILES)
    assert len(names_in(tmp_path)) == 1, "nothing was new, so there is no second pack"
    _, more = filled(tmp_path, [b"new", FILES[3]])
    assert len(names_in(tmp_path)) == 2
    packs.refresh()
    assert len(packs.all_digests()) == len(FILES) + 1
    assert packs.read(more[0]) == b"new"


def test_a_pack_is_plain_arrow(tmp_path):
    filled(tmp_path, FILES)
    (name,) = names_in(tmp_path)
    with pa.memory_map(str(tmp_path / name)) as source:
        table = pa.ipc.open_file(source).read_all()
    assert table.column("data").to_pylist() == FILES


def test_nothing_is_there_before_it_is_committed(tmp_path):
    packs = Packs(tmp_path)
    with packs.writing() as writer:
        name = writer.add(b"x" * 20_000_000)
        assert names_in(tmp_path) == []
        assert packs.read(name) is None
    assert packs.read(name) is None
    assert names_in(tmp_path) == []
    with packs.writing() as writer:
        writer.add(b"y")
    assert names_in(tmp_path) == []


def test_a_damaged_pack_is_named(tmp_path):
    filled(tmp_path, FILES)
    (name,) = names_in(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(Failure) as bad:
        Packs(tmp_path).refresh()
    assert bad.value.code == "artifact-damaged"
    assert name in str(bad.value)


def test_files_that_nobody_names_are_swept(tmp_path):
    packs, names = filled(tmp_path, FILES)
    filled(tmp_path, [b"one more"])
    kept = {bytes.fromhex(name) for name in names[::2]}
    view = packs.views([names[4]])[0]
    gone = packs.rewrite(lambda digests: np.array([d.tobytes() in kept for d in digests]))
    assert gone == 51
    assert packs.has(names).tolist() == [True, False] * 50
    assert packs.read_all(names[::2]) == FILES[::2]
    assert bytes(view) == FILES[4], "who reads goes on reading"
    assert len(names_in(tmp_path)) == 1
    assert packs.rewrite(lambda digests: np.zeros(len(digests), bool)) == 50
    assert names_in(tmp_path) == []


def test_a_sweep_waits_until_nobody_writes(tmp_path):
    packs, names = filled(tmp_path, FILES)
    done = threading.Event()

    def sweep():
        Packs(tmp_path).rewrite(lambda digests: np.zeros(len(digests), bool))
        done.set()

    with packs.writing() as writer:
        assert writer.add(FILES[0]) == names[0]
        thread = threading.Thread(target=sweep)
        thread.start()
        assert not done.wait(0.2)
        assert packs.has([names[0]]).all(), "what a writer relies on stays while it writes"
        writer.commit()
    assert done.wait(20)
    thread.join()


def test_other_processes_packs_are_seen(tmp_path):
    reader = Packs(tmp_path)
    reader.refresh()
    _, names = filled(tmp_path, FILES)
    assert reader.read(names[5]) == FILES[5]


KILLED = """
import sys
from pathlib import Path
from volant.store.packs import Packs
packs = Packs(Path(sys.argv[1]))
number = 0
while True:
    with packs.writing() as writer:
        for _ in range(20):
            writer.add(b"%d " % number * 40_000)
            number += 1
        writer.commit()
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_whole_packs(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(3):
        done = int(process.stdout.readline())
    time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    packs, names = filled(tmp_path, [b"%d " % number * 40_000 for number in range(done)])
    assert packs.has(names).all()
    assert all(data == b"%d " % number * 40_000 for number, data in enumerate(packs.read_all(names)))
    assert not list(tmp_path.glob(".unfinished-*")), "what was half there is swept away by the next writer"


def test_what_a_service_is_sent_is_read_at_once_and_packed_later(tmp_path):
    log, reader = MediaLog(tmp_path), Packs(tmp_path)
    names = [log.keep(data) for data in [*FILES, *FILES]]
    assert reader.read_all(names) == [*FILES, *FILES]
    assert sum(path.stat().st_size for path in tmp_path.glob("*.seg")) < 100 * 60 + sum(map(len, FILES))
    assert reader.pack_segments() == 0, "a segment that is written to stays"
    log.close()
    assert reader.pack_segments() == 100
    assert not list(tmp_path.glob("*.seg"))
    assert reader.read_all(names) == [*FILES, *FILES]


def test_a_torn_end_of_a_segment_is_left_out(tmp_path):
    log = MediaLog(tmp_path)
    names = [log.keep(data) for data in FILES]
    log.close()
    (path,) = tmp_path.glob("*.seg")
    path.write_bytes(path.read_bytes()[:-20])
    packs = Packs(tmp_path)
    assert packs.pack_segments() == 99
    assert packs.has(names).tolist() == [True] * 99 + [False]


def test_the_store_packs_what_was_logged(tmp_path):
    with open_store(tmp_path) as store:
        log = store.media_log()
        name = log.keep(b"picture")
        assert store.media.read(name) == b"picture"
        log.close()
        store.index_segments()
        assert [path.suffix for path in (tmp_path / "media").iterdir() if path.suffix] == [SUFFIX]
        assert store.media.read(name) == b"picture"


def test_hashes_that_begin_alike_are_told_apart(tmp_path):
    packs = Packs(tmp_path)
    digests = [bytes(8) + bytes([i]) * 24 for i in range(5)]
    with packs.writing() as writer:
        for i, digest in enumerate(digests):
            writer.put(digest, bytes([i]))
        writer.commit()
    assert packs.read_all([d.hex() for d in reversed(digests)]) == [bytes([i]) for i in (4, 3, 2, 1, 0)]
    assert as_digests([digests[1].hex(), None]).tolist() == [list(digests[1]), [0] * 32]
