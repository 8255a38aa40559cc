"""What a process of the service has done once it says that it answers."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref

from volant.serve.slot import load
from volant.testing import handmade

CODE = """
import gc, json, os, signal, socket, sys
from pathlib import Path
from volant.core.product import read
from volant.serve.board import Board
from volant.serve.process import Plan, work

product = read(Path(sys.argv[1]))
said = {}

def ready():
    said.update(frozen=gc.get_freeze_count(), left=len(gc.get_objects()), enabled=gc.isenabled())
    os.kill(os.getpid(), signal.SIGTERM)

plan = Plan((("", product),), 1, product.home)
work(plan, 0, socket.create_server(("127.0.0.1", 0)), Board(1), ready)
print(json.dumps(said))
"""


def test_what_was_loaded_is_out_of_the_way_of_the_garbage_collector(tmp_path):
    product = handmade.make_served_product(tmp_path)
    ended = subprocess.run([sys.executable, "-c", CODE, product.folder], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["enabled"], "what requests leave behind is still collected"
    assert found["frozen"] > 20_000
    assert found["left"] < 0.05 * found["frozen"]


def test_a_release_is_let_go_of_without_the_garbage_collector(tmp_path):
    """What is frozen is never collected, so nothing of a release may hold itself."""
    product = handmade.make_served_product(tmp_path)
    [folder] = (product.home / "candidates").iterdir()
    slot = load(folder)
    assert slot.reader is not None
    assert slot.batches is not None
    kept = weakref.ref(slot), weakref.ref(slot.release), weakref.ref(slot.release.runner)
    gc.disable()
    try:
        del slot
        assert [one() for one in kept] == [None] * 3
    finally:
        gc.enable()
