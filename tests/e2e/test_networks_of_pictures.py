"""A product of pictures and numbers with a network: trained, reported, compressed, killed and resumed, served."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch")

from tests.unit.learners.test_image_networks import bars

import volant
from volant.errors import BadInput
from volant.runtime.load import open_release

FILE = """
version = 1
name = "bars"
[task]
type = "classify"
target = "label"
[data]
source = "bars.parquet"
[data.split]
judge = 0.25
test = 0.15
[train]
budget = "{budget}"
threads = 1
learners = ["convnet"]
[train.options.convnet]
epochs = {epochs}
widths = "8,16,16"
batch = 32
"""


def made(folder, rows=420, budget="4 units", epochs=6):
    files, labels = bars(rows)
    numbers = np.random.default_rng(1).normal(size=rows)
    table = pa.table({"picture": pa.array(files, pa.binary()), "size": numbers, "label": labels})
    folder.mkdir(exist_ok=True)
    pq.write_table(table, folder / "bars.parquet")
    (folder / "volant.toml").write_text(FILE.format(budget=budget, epochs=epochs))
    return volant.open(folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    handle = made(tmp_path_factory.mktemp("bars"))
    return handle, handle.train()


def test_a_network_is_trained_judged_and_promoted(trained):
    handle, result = trained
    assert result.promoted
    assert {s.metric: s.value for s in result.scores}["accuracy"] > 0.85
    assert result.latency_ms < 25
    curves = list((handle.product.home / "runs").glob("*/learning/*/curves.svg"))
    assert curves
    assert not list((handle.product.home / "runs").glob("*/learning/*/*.safetensors")), "finished fits need none"


def test_the_release_says_the_same_in_batches_of_every_size(trained):
    handle, result = trained
    release = open_release(handle.product.home / "candidates" / result.candidate)
    files, _ = bars(40, seed=8)
    batch = {"picture": np.array([*files], dtype=object), "size": np.zeros(40)}
    whole = release.predict(batch)["probability"]
    for size in (1, 2, 7):
        parts = [
            release.predict({k: v[i : i + size] for k, v in batch.items()})["probability"] for i in range(0, 40, size)
        ]
        assert np.concatenate(parts) == pytest.approx(whole, abs=1e-4)


def test_the_report_shows_what_the_network_sees(trained):
    pytest.importorskip("captum")
    handle, _ = trained
    text = handle.report().read_text()
    for said in ("Where the network looks", "What it learned from", "What throws it off", "What it holds alike"):
        assert said in text
    facts = json.loads(next((handle.product.home / "candidates").glob("*/report.json")).read_text())["pictures"]
    attacks = {(one["name"], one["strength"]): one["accuracy"] for one in facts["attacked"]}
    assert attacks["PGD", 8] <= attacks["FGSM", 1] + 0.05, "a stronger attack does not help"
    assert facts["views"][0]["accuracy"] > 0.8


def test_compress_measures_and_ships_only_what_is_better(trained):
    handle, result = trained
    found = handle.compress(epochs=1.0, only=("int8", "2:4"))
    names = [one.name for one in found.table]
    assert names == ["as it is", "int8", "2:4"]
    by_name = {one.name: one for one in found.table}
    assert by_name["int8"].size_bytes < by_name["as it is"].size_bytes
    assert not by_name["2:4"].fit or by_name["2:4"].faster[1] > 1
    if found.verdict is not None and found.verdict.passed:
        assert handle.status().champion == found.candidate != result.candidate
    else:
        assert handle.status().champion == result.candidate


def test_a_variant_that_there_is_not_is_named(trained):
    handle, _ = trained
    with pytest.raises(BadInput, match="variants") as caught:
        handle.compress(only=("int9",))
    assert caught.value.troubles[0].meant == "int8"


def test_a_service_needs_no_torch(trained):
    handle, result = trained
    folder = handle.product.home / "candidates" / result.candidate
    code = (
        "import sys; from pathlib import Path; from volant.runtime.load import open_release; import numpy as np;"
        f"r = open_release(Path({str(folder)!r}));"
        "r.predict({'picture': np.array([None], dtype=object), 'size': np.zeros(1)});"
        "sys.exit(int(bool({'torch', 'sklearn', 'transformers', 'onnx'} & set(sys.modules))))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SCRIPT = """
import sys
from volant.neural import means
means.Keeper.is_due = lambda self, steps: True
import volant
print(volant.open(sys.argv[1]).train().candidate)
"""


@pytest.mark.slow
def test_kill_9_while_a_network_learns_and_the_same_release_in_the_end(tmp_path):
    whole, cut = (made(tmp_path / name, budget="2 units", epochs=30) for name in ("whole", "cut"))

    def start(handle):
        command = [sys.executable, "-c", SCRIPT, str(handle.product.folder)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    expected = start(whole).communicate()[0].strip()
    process, deadline = start(cut), time.monotonic() + 120
    pattern = "runs/*/learning/*/checkpoint.safetensors"
    while not list(cut.product.home.glob(pattern)) and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.communicate()[0] == ""
    assert list(cut.product.home.glob(pattern)), "it was killed in the middle"
    assert start(cut).communicate()[0].strip() == expected != ""
