"""Tables that nothing can be made of: what stops them is named before training, with its true reason."""

import pytest
from tests.commands import product, table, volant

from volant.core.clock import Machine

QUICK = '[train]\nbudget = "2 units"\nthreads = 1\n{more}\n[quality.limits]\nlatency_ms = 1000\n'
WEIGHT = '[columns.w]\ntype = "number"\nrole = "weight"\n'
GROUP = '[columns.g]\nrole = "group"\n[data.split]\nby = "group"\njudge = 0.2\ntest = 0.2\n'


@pytest.mark.parametrize("word", ["1e300", "1e-300", "-1", "inf"])
def test_weights_that_cannot_be_reckoned_with_are_refused(tmp_path, word):
    here = product(tmp_path, table(w=lambda n: word if n == 7 else 2), WEIGHT)
    status, told = volant("-C", here, "check")
    assert status == 2
    assert told["what"] == "the weights in 'w' must be zero, or between 1e-12 and 1e+12"
    assert told["troubles"][0]["got"].startswith("row 7 and 0 more")


@pytest.mark.parametrize("command", ["check", "train"])
def test_rows_that_all_weigh_nothing_stop_training(tmp_path, command):
    here = product(tmp_path, table(w=lambda _: 0), WEIGHT)
    status, told = volant("-C", here, command)
    assert status == 1
    whats = [one["what"] for one in told.get("findings", []) + told.get("troubles", [])]
    assert "all rows that train weigh nothing" in whats


@pytest.mark.parametrize("command", ["check", "train"])
@pytest.mark.parametrize(("key", "side"), [("g", "evaluate on"), ("other", "train on")])
def test_one_group_alone_cannot_be_divided(tmp_path, command, key, side):
    here = product(tmp_path, table(200, g=lambda _: "all"), GROUP.replace("test", f'key = "{key}"\ntest'))
    status, told = volant("-C", here, command)
    whats = [one["what"] for one in told.get("findings", []) + told.get("troubles", [])]
    assert status == 1
    expected = f"no rows are left to {side}: the 200 rows are of 1 value of 'g', each on one side"
    assert expected in whats


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ('learners = ["image_features"]', "image_features: none of the input columns is an image"),
        (
            'learners = ["boosted_trees"]\noptions.boosted_trees.leaves = 0',
            "what was tried failed, first boosted_trees",
        ),
    ],
)
def test_the_note_says_why_the_baseline_stands_alone(tmp_path, settings, note):
    here = product(tmp_path, table(300), QUICK.format(more=settings))
    _, told = volant("-C", here, "train")
    assert note in told["note"]


def test_a_full_disk_asks_for_room_on_the_disk(tmp_path, monkeypatch):
    here = product(tmp_path, table())
    small = Machine(cores=2, memory=8 * 1024**3, disk=100_000)
    monkeypatch.setattr(Machine, "here", lambda *_: small)
    status, told = volant("-C", here, "train")
    [trouble] = told["troubles"]
    assert status == 1
    assert trouble["what"].endswith("of disk, and 0.1 MB are free")
    assert "make room on the disk" in trouble["fix"]


def test_a_home_that_cannot_be_made_says_what_the_system_said(tmp_path):
    here = product(tmp_path, table())
    (here / ".volant").write_text("no folder")
    status, told = volant("-C", here, "check")
    assert status == 3
    assert told["troubles"][0]["got"] in ("File exists", "Not a directory")


def test_where_the_gate_refused_nobody_is_told_to_train_first(tmp_path):
    here = product(tmp_path, table(60), QUICK.format(more='learners = ["linear"]'))
    asked = ("-C", here, "predict", "--input", tmp_path / "data.csv", "--output", tmp_path / "out.csv")
    assert volant(*asked)[1]["troubles"][0]["fix"] == "run `volant train` first"
    assert volant("-C", here, "train")[0] == 1
    assert "`volant history` shows why" in volant(*asked)[1]["troubles"][0]["fix"]
