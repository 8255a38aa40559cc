"""A training that was killed goes on where it stood: to the same weights, from whole files only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

torch = pytest.importorskip("torch")

from volant.neural.checkpoint import Checkpoint, read  # noqa: E402
from volant.neural.curves import Curves, Point  # noqa: E402
from volant.neural.loop import Loop, Plan, torch_threads  # noqa: E402
from volant.neural.means import Keeper, Means  # noqa: E402
from volant.neural.muon import Muon  # noqa: E402
from volant.neural.optimisers import Adam, Group, Together  # noqa: E402
from volant.neural.schedules import cosine  # noqa: E402

PLAN = Plan(epochs=6, batch=16, average=0.9)


class Killed(Exception):
    pass


class Noisy:
    """A network with normalisation and dropout, whose dropout draws from the dice of the loop."""

    def __init__(self, dice, killed_at=None, slow=0.0):
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.GELU(), torch.nn.Linear(8, 1)
        )
        self.dice, self.killed_at, self.calls, self.slow = dice, killed_at, 0, slow

    def loss(self, batch, progress):
        self.calls += 1
        if self.calls == self.killed_at:
            raise Killed
        time.sleep(self.slow)
        x, y = batch
        kept = (torch.rand(x.shape, generator=self.dice) > 0.2).float()
        return ((self.model(x * kept)[:, 0] - y) ** 2).mean()

    def judge(self):
        return float((self.model(rows()[0])[:, 0] - rows()[1]).abs().mean())


def rows():
    x = torch.randn(150, 4, generator=torch.Generator().manual_seed(1))
    return x, x[:, 0] * x[:, 1]


def trained(keeper=None, killed_at=None, plan=PLAN, slow=0.0):
    dice = torch.Generator().manual_seed(5)
    with torch_threads(1), torch.random.fork_rng(devices=[]):
        noisy = Noisy(dice, killed_at, slow)
        model = noisy.model
        matrices = (model[0].weight,)
        rest = tuple(p for p in model.parameters() if p is not model[0].weight)
        optimiser = Together(
            Muon([Group(matrices, 0.02, rate_schedule=cosine)]), Adam([Group(rest, 0.02, rate_schedule=cosine)])
        )
        found = Loop(noisy, rows(), optimiser, plan, dice, means=Means(keeper=keeper)).run()
    return noisy, found


def same(a, b):
    return all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


@pytest.mark.parametrize("killed_at", [2, 13, 33, 59])
def test_a_resumed_training_ends_with_the_same_weights(tmp_path, killed_at):
    whole, expected = trained()
    keeper = Keeper(tmp_path / "checkpoint", steps=3)
    with pytest.raises(Killed):
        trained(keeper, killed_at)
    resumed, found = trained(keeper)
    assert same(whole.model, resumed.model)
    assert found == expected
    assert resumed.calls <= whole.calls - killed_at + 4


def test_a_training_that_was_killed_twice_ends_the_same(tmp_path):
    keeper = Keeper(tmp_path / "checkpoint", steps=1)
    for killed_at in (8, 20):
        with pytest.raises(Killed):
            trained(keeper, killed_at)
    assert same(trained()[0].model, trained(keeper)[0].model)


def test_a_checkpoint_of_another_training_is_left_alone(tmp_path):
    keeper = Keeper(tmp_path / "checkpoint", steps=1)
    with pytest.raises(Killed):
        trained(keeper, 20)
    other = Plan(epochs=5, batch=16)
    assert same(trained(plan=other)[0].model, trained(keeper, plan=other)[0].model)


def test_a_damaged_checkpoint_is_begun_anew(tmp_path):
    path = tmp_path / "checkpoint"
    with pytest.raises(Killed):
        trained(Keeper(path, steps=1), 20)
    path.write_bytes(path.read_bytes()[:1000])
    assert read(path, "anything") is None
    assert same(trained()[0].model, trained(Keeper(path, steps=1))[0].model)


def test_no_half_a_checkpoint_is_ever_seen(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    Checkpoint("a", {"x": torch.ones(3)}, {"n": 1}).write(path)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space"):
        Checkpoint("a", {"x": torch.zeros(3)}, {"n": 2}).write(path)
    assert read(path, "a").facts == {"n": 1}


SCRIPT = """
import sys, hashlib
from pathlib import Path
from tests.unit.neural.test_resuming import trained
from volant.neural.means import Keeper
noisy, _ = trained(Keeper(Path(sys.argv[1]), steps=1), slow=float(sys.argv[2]))
whole = b"".join(v.numpy().tobytes() for v in noisy.model.state_dict().values())
print(hashlib.sha256(whole).hexdigest())
"""


def start(path, slow):
    command = [sys.executable, "-c", SCRIPT, str(path), str(slow)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_after_kill_9_the_digest_is_the_same(tmp_path):
    expected = start(tmp_path / "whole", 0.0).communicate()[0]
    process, path = start(tmp_path / "cut", 0.05), tmp_path / "cut"
    deadline = time.monotonic() + 60
    while not path.is_file() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    assert process.communicate()[0] == "", "it was killed before its end"
    assert start(path, 0.0).communicate()[0] == expected != ""


def test_curves_are_drawn_and_looks_that_are_done_again_replace_the_first_ones(tmp_path):
    for step in (10, 20):
        Curves(tmp_path).add(Point(step, step / 10, step / 40, 1.0 / step, 2.0 / step, {"accuracy": step / 40}))
    Curves(tmp_path).add(Point(20, 2.0, 0.5, 0.01, None, {}, seconds=8.0, rows_per_second=100.0))
    lines = (tmp_path / "curves.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert '"loss": 0.01' in lines[1]
    picture = (tmp_path / "curves.svg").read_text()
    assert picture.count("<polyline") == 3
    assert "accuracy" in picture


def test_progress_says_how_fast_it_is_and_how_long_it_takes():
    said = Point(5, 1.0, 0.25, 0.5, 0.6, {"accuracy": 0.7}, seconds=10.0, rows_per_second=1234.0).text()
    assert said == "epoch 1.0, loss 0.5000, 0.6000 held out, accuracy 0.7000, 1,234 rows/s, 30 s left"
