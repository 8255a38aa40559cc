"""47, 48: a damaged release is never used, the others serve on, and there is always a way back."""

import shutil

import pytest
from tests.products import product

from volant.errors import BadInput
from volant.wheel.handle import ProductHandle


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """A product with two releases, the second one champion."""
    handle = product(tmp_path_factory.mktemp("twice"))
    handle.train(budget="1 units")
    assert handle.train().promoted
    return handle


@pytest.fixture
def handle(twice, tmp_path):
    shutil.copytree(twice.product.folder.parent, tmp_path / "copy")
    return ProductHandle.at(tmp_path / "copy" / "product")


def champions(handle):
    return [event.release for event in handle.history() if event.kind != "refuse"]


def folder_of(handle, digest):
    return handle.product.home / "candidates" / digest


def code_of(call, *arguments):
    with pytest.raises(BadInput) as refused:
        call(*arguments)
    return refused.value.code


def test_nothing_answers_with_a_damaged_champion_and_rolling_back_helps(handle):
    before, champion = champions(handle)
    path = folder_of(handle, champion) / "pipeline.json"
    path.write_bytes(path.read_bytes()[:100])
    assert code_of(handle.explain, 1) == "artifact-damaged"
    assert code_of(handle.improve) == "artifact-damaged"
    assert handle.rollback().release == before
    assert handle.explain(1).release == before
    assert code_of(handle.promote, champion) == "artifact-damaged"
    assert handle.status().champion == before


def test_a_release_that_is_damaged_is_not_rolled_back_to(handle):
    before, champion = champions(handle)
    (folder_of(handle, before) / "signature.json").unlink()
    assert code_of(handle.rollback) == "artifact-damaged"
    assert handle.status().champion == champion
    assert len(champions(handle)) == 2


def test_training_again_mends_a_release_and_judges_by_what_is_left(handle):
    before, champion = champions(handle)
    (folder_of(handle, champion) / "pipeline.json").write_text("{")
    result = handle.train()
    assert result.candidate == champion
    assert result.verdict.champion == before
    assert handle.explain(1).release == champion
    shutil.rmtree(folder_of(handle, before))
    shutil.rmtree(folder_of(handle, champion))
    result = handle.train()
    assert (result.candidate, result.promoted, result.verdict.champion) == (champion, True, None)


def test_promoting_the_champion_again_leaves_the_way_back(handle):
    before, champion = champions(handle)
    handle.promote(champion)
    assert handle.rollback().release == before


def test_a_damaged_dataset_is_read_from_its_source_again(handle):
    before = handle.train().dataset
    path = handle.product.home / "datasets" / before / "main.parquet"
    path.write_bytes(path.read_bytes()[:1000])
    assert handle.check(train_checks=False).dataset == before
    assert handle.train().dataset == before


def test_what_a_killed_training_left_behind_is_swept_away(handle):
    left = handle.product.home / "candidates" / ".new-left"
    left.mkdir()
    (left / "pipeline.json").write_text("{")
    handle.train()
    assert not left.exists()
