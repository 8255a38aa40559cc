from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from volant.core.records import Column, Schema
from volant.data.dataset import SplitRule, write_dataset
from volant.testing.poison import flip_labels

SCHEMA = Schema((Column("x", "number"), Column("y", "category", "target")))


@pytest.fixture
def dataset(tmp_path):
    rows = pa.record_batch({"x": pa.array(np.arange(200.0)), "y": pa.array([str(i % 3) for i in range(200)])})
    return write_dataset(tmp_path, SCHEMA, [rows], SplitRule())


def targets(rows) -> list[str]:
    return rows.table(["y"]).column(0).to_pylist()


def test_only_training_labels_are_flipped(dataset, tmp_path):
    spoilt = flip_labels(dataset, tmp_path, 0.4)
    changed = np.array(targets(dataset)) != np.array(targets(spoilt))
    train = dataset.sides() == "train"
    assert changed[train].sum() == round(0.4 * train.sum())
    assert not changed[~train].any()
    assert (dataset.sides() == spoilt.sides()).all()
    assert dataset.table(["x"]).equals(spoilt.table(["x"]))


def test_the_original_stays(dataset, tmp_path):
    spoilt = flip_labels(dataset, tmp_path, 0.4)
    assert spoilt.digest != dataset.digest
    assert flip_labels(dataset, tmp_path, 0.4).digest == spoilt.digest
    assert flip_labels(dataset, tmp_path, 0.4, seed=1).digest != spoilt.digest
