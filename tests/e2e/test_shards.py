"""Fits on parts of the rows: when a person goes, only the fits on their part are made again."""

import json

import numpy as np
import pyarrow.csv
import pytest
from tests.e2e.test_erasure import CANARY, PERSON, make

from volant.errors import BadInput
from volant.search.fits import Fits
from volant.search.shards import shard_of
from volant.wheel.erase import places_of
from volant.wheel.handle import ProductHandle

SHARDS = 5


def sharded(folder, *, with_person, more="", budget="12 units"):
    """The product of the tests of erasure, in shards."""
    handle = make(folder, with_person=with_person)
    file = handle.product.folder / "volant.toml"
    text = file.read_text().replace('budget = "2 units"', f'budget = "{budget}"\nshards = {SHARDS}')
    text = text.replace("[data.split]", "[data.split]\n" + more) if more.startswith("by") else text + more
    file.write_text(text)
    return ProductHandle.at(handle.product.folder)


@pytest.fixture
def fitted(monkeypatch):
    """The names of the fits that are made."""
    made, make_fit = [], Fits.make

    def noted(self, name, *rest, **more):
        made.append(name)
        return make_fit(self, name, *rest, **more)

    monkeypatch.setattr(Fits, "make", noted)
    return made


def files_of(handle, digest):
    folder = handle.product.home / "candidates" / digest
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".onnx"}


def of_shards(names):
    return sorted(int(name.split("-")[1]) for name in names if not name.endswith("-final"))


def test_only_the_shard_of_whoever_is_erased_is_fitted_again(tmp_path, fitted):
    known, never = sharded(tmp_path / "known", with_person=True), sharded(tmp_path / "never", with_person=False)
    first = known.train()
    assert first.promoted
    assert of_shards(fitted) == sorted(2 * list(range(SHARDS)))
    before = files_of(known, first.candidate)
    assert places_of(known.product.home, CANARY)
    fitted.clear()
    done = known.operations.erase(PERSON)
    mine = int(shard_of(np.array([PERSON]), SHARDS)[0])
    assert done.complete, (done.left, done.found)
    assert done.shards == (mine,)
    assert json.loads(done.report.read_text())["shards"] == [mine]
    assert of_shards(fitted) == [mine, mine]
    after = files_of(known, done.retrained)
    assert len(after) == len(before) == SHARDS
    changed = [name for name in before if before[name] != after[name]]
    assert [name.split("-")[0] for name in changed] == [str(mine)]
    assert not places_of(known.product.home, CANARY)
    assert never.train().candidate == done.retrained


def test_without_a_new_training_the_fits_that_knew_the_person_are_gone_too(tmp_path):
    handle = sharded(tmp_path / "known", with_person=True)
    handle.train()
    kept = handle.product.home / "shards" / "fits"
    assert len(list(kept.iterdir())) == 2 * SHARDS
    mine = int(shard_of(np.array([PERSON]), SHARDS)[0])
    done = handle.operations.erase(PERSON, retrain=False)
    assert not done.complete
    assert sorted({path.name.split("-")[1] for path in kept.iterdir()}) == sorted(
        str(shard) for shard in range(SHARDS) if shard != mine
    )


def test_answers_of_shards_are_as_good_as_most_of_the_rows_allow(tmp_path):
    """Each fit knows a fifth of the rows; their mean is still far better than no model."""
    handle = sharded(tmp_path / "p", with_person=False)
    result = handle.train()
    scores = {score.metric: score.value for score in result.judged}
    assert scores["roc_auc"] > 0.75
    board = {entry.name: entry for entry in result.leaderboard}
    assert board["prior"].score > 1.1 * min(entry.score for entry in result.leaderboard if entry.score is not None)


def test_too_many_shards_for_the_rows_are_refused_by_their_name(tmp_path):
    handle = sharded(tmp_path / "p", with_person=False)
    table = pyarrow.csv.read_csv(tmp_path / "p" / "rows.csv").slice(0, 90)
    pyarrow.csv.write_csv(table, tmp_path / "p" / "rows.csv")
    with pytest.raises(BadInput, match="too few rows for so many shards") as bad:
        handle.train()
    assert bad.value.troubles[0].where == "volant.toml, train.shards"


@pytest.mark.parametrize("more", ['[improve]\nlearning = "warm"\n', 'by = "time"\n'])
def test_what_does_not_go_with_shards_is_refused(tmp_path, more):
    with pytest.raises(BadInput, match="shards"):
        sharded(tmp_path / "p", with_person=False, more=more)
