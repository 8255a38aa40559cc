"""Two processes train as one: by copies of the model, or by sharing it; a checkpoint of one crew serves another."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

SCRIPT = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from volant.neural.checkpoint import Checkpoint
from volant.neural.crew import crew_here
from volant.neural.curves import Curves
from volant.neural.loop import Loop, Plan
from volant.neural.means import Keeper, Means
from volant.neural.muon import Muon
from volant.neural.optimisers import Adam, Group, Together
from volant.neural.sharded import whole

crew = crew_here()
write, written = Checkpoint.write, []
Checkpoint.write = lambda self, path: (written.append(path), write(self, path))
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.Linear(8, 2))
net = crew.wrap(model)
x = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
y = torch.stack([x[:, 0] * 2, x[:, 1] - x[:, 2]], 1)

class Fit:
    def __init__(self):
        self.model, self.left = net, int(sys.argv[3])
    def loss(self, batch, progress):
        self.left -= 1
        if self.left == 0:
            raise SystemExit(0)
        return ((self.model(batch[0]) - batch[1]) ** 2).mean()
    def judge(self):
        return float(((self.model(x) - y) ** 2).mean())

inner = model
matrices = tuple(p for p in inner.parameters() if p.ndim == 2)
rest = tuple(p for p in inner.parameters() if p.ndim < 2)
optimiser = Together(Muon([Group(matrices, 0.02)]), Adam([Group(rest, 0.01)]))
keeper = Keeper(Path(sys.argv[2]), steps=2)
curves = Curves(Path(f"{sys.argv[2]}-curves-{crew.rank}"))
means = Means(crew=crew, clip=10.0, pieces=2, keeper=keeper, curves=curves)
found = Loop(Fit(), (x, y), optimiser, Plan(8, 16), torch.Generator().manual_seed(3), means=means).run()
weights = [whole(p).flatten().tolist() for p in inner.parameters()]
Path(f"{sys.argv[1]}.{crew.rank}").write_text(str(len(written)))
if crew.rank == 0:
    Path(sys.argv[1]).write_text(json.dumps([crew.size, found.loss, weights]))
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def train(folder, size=1, shared=False, left=0):
    port = str(free_port())
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(size)}
    common |= {"ACCELERATE_USE_CPU": "true", "VOLANT_SHARED": "1" if shared else "0", "OMP_NUM_THREADS": "1"}
    common |= {"GLOO_SOCKET_IFNAME": "lo", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(folder / "out.json"), str(folder / "kept"), str(left)]
    ranks = [
        subprocess.Popen(command, env={**common, "RANK": str(i), "LOCAL_RANK": str(i), "LOCAL_WORLD_SIZE": str(size)})
        for i in range(size)
    ]
    assert [rank.wait(120) for rank in ranks] == [0] * size
    out = folder / "out.json"
    return json.loads(out.read_text()) if out.is_file() else None


def close(a, b):
    return all(x == pytest.approx(y, abs=2e-3) for x, y in zip(a, b, strict=True))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return train(tmp_path_factory.mktemp("alone"))


@pytest.mark.parametrize("shared", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["copied", "shared"])
def test_two_processes_reach_what_one_reaches(tmp_path, alone, shared):
    size, loss, weights = train(tmp_path, 2, shared)
    assert size == 2
    assert loss == pytest.approx(alone[1], rel=0.05)
    assert close(weights, alone[2])
    first, second = (int((tmp_path / f"out.json.{rank}").read_text()) for rank in (0, 1))
    assert first > 0 == second, "checkpoints are written by the first process alone"
    looks = [tmp_path / f"kept-curves-{rank}" / "curves.jsonl" for rank in (0, 1)]
    assert [look.is_file() for look in looks] == [True, False]


@pytest.mark.slow
def test_a_crew_that_was_killed_goes_on_and_ends_the_same(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    expected = train(tmp_path / "whole", 2, True)
    assert train(tmp_path / "cut", 2, True, left=40) is None
    assert train(tmp_path / "cut", 2, True) == expected
