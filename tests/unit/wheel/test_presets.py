"""`volant new --preset` writes a valid file with the settings of a kind of product, for whatever the data is."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from tests.commands import volant

from volant.cli.new import KINDS
from volant.core.product import read
from volant.errors import BadInput
from volant.tasks.classify import class_order
from volant.wheel.new import new
from volant.wheel.presets import PRESETS


def write(folder, classes=("no", "yes"), count=600):
    rng = np.random.default_rng(0)
    x = rng.normal(size=count)
    rare = np.array(classes, dtype=object)[np.minimum((x + rng.normal(size=count) > 1).astype(int), len(classes) - 1)]
    columns = {"x": x, "place": rng.choice(["a", "b", "c"], count), "flag": rare, "price": np.exp(x) * 100}
    if len(classes) > 2:
        columns["flag"] = rng.choice(classes, count)
    pa.csv.write_csv(pa.table(columns), folder / "rows.csv")
    return str(folder / "rows.csv")


def made(folder, preset, **more):
    target = "price" if preset == "house_prices" else "flag"
    return new("p", write(folder, **more), target, folder=folder / "p", preset=preset)


def test_the_command_names_every_preset():
    assert sorted(KINDS) == sorted(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_a_valid_file_that_says_what_it_is_for(name, tmp_path):
    result = made(tmp_path, name)
    file = read(result.folder).file
    assert file.task.type == PRESETS[name].task == result.task
    assert PRESETS[name].summary in (result.folder / "volant.toml").read_text()


@pytest.mark.parametrize("name", ["churn", "credit_default", "fraud"])
def test_costs_are_those_of_the_classes_in_the_data(name, tmp_path):
    costs = read(made(tmp_path, name, classes=("bleibt", 'will "weg"')).folder).file.decide.costs
    assert costs['will "weg"']["bleibt"] > costs["bleibt"]['will "weg"'] == 1


def test_classes_that_are_numbers_are_named_too(tmp_path):
    costs = read(made(tmp_path, "fraud", classes=("0", "1")).folder).file.decide.costs
    assert costs == {"1": {"0": 50.0}, "0": {"1": 1.0}}
    assert class_order(["1", "0"]) == ("0", "1")


def test_house_prices_come_with_intervals(tmp_path):
    assert read(made(tmp_path, "house_prices").folder).file.task.interval == 0.9


def test_few_rows_still_get_the_larger_share_that_judges(tmp_path):
    split = read(made(tmp_path, "fraud", count=300).folder).file.data.split
    assert (split.by, split.judge) == ("stratified", 0.3)


def test_without_a_preset_nothing_is_added(tmp_path):
    result = new("p", write(tmp_path), "flag", folder=tmp_path / "p")
    text = (result.folder / "volant.toml").read_text()
    assert "[quality]" not in text
    assert "reset" not in text


@pytest.mark.parametrize(
    ("preset", "more", "code", "said"),
    [
        ("frauds", {}, "usage", "did you mean: fraud"),
        ("fraud", {"classes": ("a", "b", "c")}, "target-unfit", "3 classes"),
    ],
)
def test_presets_that_do_not_fit_are_refused(preset, more, code, said, tmp_path):
    with pytest.raises(BadInput) as refused:
        made(tmp_path, preset, **more)
    assert refused.value.code == code
    assert said in refused.value.text()
    assert not (tmp_path / "p").exists()


def test_a_preset_for_another_task_is_refused(tmp_path):
    with pytest.raises(BadInput, match="for the task regress"):
        new("p", write(tmp_path), "flag", folder=tmp_path / "p", preset="house_prices", task="classify")


def test_the_command_takes_a_preset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    status, found = volant("new", "p", "--data", "rows.csv", "--target", "flag", "--preset", "churn")
    assert (status, found["task"]) == (0, "classify")
    assert volant("new", "q", "--data", "rows.csv", "--target", "flag", "--preset", "nonsense")[0] == 2
