"""Releases made by earlier versions load for ever and answer as they did."""

import json
from pathlib import Path

import pytest

from volant.runtime.load import open_release
from volant.runtime.rows import answers, rows_to_batch

KEPT = sorted(path for path in (Path(__file__).parents[2] / "releases").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", KEPT, ids=lambda path: path.name)
def test_a_kept_release_answers_as_it_did(folder):
    case = json.loads(folder.with_suffix(".json").read_text())
    release = open_release(folder)
    batch, _ = rows_to_batch(case["rows"], release.signature)
    now = answers(release.predict(batch), release.signature)
    for answer, before in zip(now, case["answers"], strict=True):
        if "label" in before:
            assert answer["label"] == before["label"]
            assert answer["probabilities"] == pytest.approx(before["probabilities"], abs=1e-5)
        else:
            assert answer == pytest.approx(before, rel=1e-5)


def test_every_kind_of_task_has_a_kept_release():
    assert {"1-classify", "1-regress", "2-regress-intervals"} <= {path.name for path in KEPT}
