"""Turns of the wheel that are cut short, whose traffic is of subjects, or whose product file changed in between."""

import shutil
import subprocess
import sys
import time

import pytest
from tests.e2e.test_wheel import answer, split_product
from tests.products import product

from volant.data.dataset import open_dataset
from volant.errors import BadInput, Refused
from volant.store import Store
from volant.wheel.handle import ProductHandle

IMPROVE = "import sys, volant; volant.open(sys.argv[1]).improve()"


def test_a_turn_that_was_killed_is_turned_again(tmp_path):
    handle, rows, labels = split_product(tmp_path, 200)
    handle.train(budget="1 units")
    answer(handle, rows[:200], labels[:200])
    process = subprocess.Popen([sys.executable, "-c", IMPROVE, str(handle.product.folder)])
    until = time.monotonic() + 60
    while len(list((handle.product.home / "runs").iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert handle.status().turns == 0
    assert handle.improve().outcome in ("promoted", "refused")
    assert handle.status().turns == 1
    assert handle.improve().outcome == "nothing-to-learn"


def test_a_run_that_was_cut_short_before_it_was_recorded_goes_on(tmp_path, monkeypatch):
    handle = product(tmp_path, "wine", budget="1 units")

    def cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_run", cut)
        with pytest.raises(KeyboardInterrupt):
            handle.train()
    assert handle.train().candidate
    assert len(list((handle.product.home / "runs").iterdir())) == 1


def test_traffic_stays_on_the_side_of_its_subject(tmp_path):
    handle = product(tmp_path, "wine")
    path = tmp_path / "wine.csv"
    head, *lines = path.read_text().splitlines()
    owned = [f'"P{i % 40}",{line}' for i, line in enumerate(lines)]
    path.write_text("\n".join([f'"person",{head}', *owned]) + "\n")
    handle = edited(without_types(handle), "[train]", '[columns]\nperson = { type = "id", role = "subject" }\n[train]')
    rows = [dict(zip(head.replace('"', "").split(",")[:-1], line.split(",")[:-1], strict=True)) for line in lines]
    rows = [{**row, "alcohol": float(row["alcohol"]) + 0.001} for row in rows]
    labels = [line.rpartition(",")[2].strip('"') for line in lines]
    handle.train(budget="1 units")
    people = [f"P{i % 60}" for i in range(len(rows))]
    records = answer(handle, rows, labels, subjects=people)
    turn = handle.improve(budget="1 units")
    assert turn.labels.accepted > 50
    whose = {record.id: record.subject for record in records}
    dataset = open_dataset(handle.product.home / "datasets" / turn.train.dataset)
    named = zip(dataset.references(), dataset.table(["person"]).column(0).to_pylist(), dataset.sides(), strict=True)
    sides: dict[str, set[str]] = {}
    for reference, person, side in named:
        assert person == whose.get(reference, person)
        sides.setdefault(person, set()).add(side)
    assert len(sides) == 60
    assert all(len(found) == 1 for found in sides.values())


def edited(handle, before, after):
    path = handle.product.folder / "volant.toml"
    path.write_text(path.read_text().replace(before, after))
    return ProductHandle.at(handle.product.folder)


def without_types(handle):
    path = handle.product.folder / "volant.toml"
    head, _, rest = path.read_text().partition("[columns]")
    path.write_text(head + "[train]" + rest.partition("[train]")[2])
    return ProductHandle.at(handle.product.folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("changed")
    product(folder, "wine").train(budget="1 units")
    return folder


@pytest.fixture
def changing(trained, tmp_path):
    """A trained product of its own for each test."""
    shutil.copytree(trained, tmp_path / "copy")
    return ProductHandle.at(tmp_path / "copy" / "product")


def refused(call):
    with pytest.raises(BadInput) as bad:
        call()
    return bad.value


def rewrite(handle, change):
    path = handle.product.folder.parent / "wine.csv"
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join(change(head, lines)) + "\n")
    return without_types(handle)


def test_a_column_that_the_champion_needs_and_that_is_gone_is_named(changing):
    handle = rewrite(changing, lambda head, lines: [line.split(",", 1)[1] for line in (head, *lines)])
    for call in (handle.train, handle.improve):
        error = refused(call)
        assert error.code == "column-missing"
        assert "alcohol" in str(error)
    assert len(handle.history()) == 1


def test_a_column_that_changed_its_type_is_named(changing):
    def words(head, lines):
        return [head, *(f"{'weak' if i % 2 else 'strong'},{line.split(',', 1)[1]}" for i, line in enumerate(lines))]

    handle = rewrite(changing, words)
    assert refused(handle.train).code == "column-type"
    assert len(handle.history()) == 1


def test_another_target_is_another_product(changing):
    handle = edited(without_types(changing), 'target = "target"', 'target = "alcohol"')
    handle = edited(handle, 'type = "classify"', 'type = "regress"')
    error = refused(handle.train)
    assert error.code == "product-file-invalid"
    assert {t.where for t in error.troubles} == {"volant.toml, task.type", "volant.toml, task.target"}


def test_a_slice_by_a_column_that_is_not_there_is_refused_before_training(changing):
    handle = edited(changing, "[train]", '[quality]\nslices = ["colour"]\n[train]')
    error = refused(handle.train)
    assert error.code == "column-missing"
    assert error.troubles[0].where == "volant.toml, quality.slices"
    assert len(list((handle.product.home / "runs").iterdir())) == 1


def test_without_rows_that_judge_nothing_passes(changing):
    handle = edited(without_types(changing), "judge = 0.3", "judge = 0.0001")
    result = handle.train(budget="1 units")
    assert not result.promoted
    assert "0 rows to judge by" in result.verdict.reasons[0]
    assert handle.history()[-1].kind == "refuse"


def test_without_any_rows_to_evaluate_on_nothing_is_trained(changing):
    handle = edited(edited(without_types(changing), "judge = 0.3", "judge = 0.0001"), "test = 0.2", "test = 0.0")
    with pytest.raises(Refused) as bad:
        handle.train()
    assert "no rows are left to evaluate on" in bad.value.troubles[0].what
    assert "data.split" in (bad.value.troubles[0].fix or "")
    assert len(list((handle.product.home / "runs").iterdir())) == 1
