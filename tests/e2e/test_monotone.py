"""A direction in the product file reaches the release, and who cannot keep to it stays out."""

from __future__ import annotations

import numpy as np
import pyarrow.csv
import pytest
from tests.products import product

from volant.errors import BadInput
from volant.runtime.load import open_release
from volant.runtime.rows import answers, rows_to_batch
from volant.wheel.handle import ProductHandle


def directed(folder, name, column, direction, learners):
    """A product of one of scikit-learn's tables whose file gives a column a direction."""
    product(folder, name, budget="7 units", extra=f"learners = {learners}\n")
    file = folder / "product" / "volant.toml"
    text = file.read_text()
    assert f"\n{column} = {{ " in text
    file.write_text(text.replace(f"\n{column} = {{ ", f'\n{column} = {{ monotone = "{direction}", '))
    return ProductHandle.at(file.parent)


def test_predictions_follow_the_direction_and_others_say_why_not(tmp_path):
    handle = directed(tmp_path, "diabetes", "bmi", "decreasing", '["linear", "neighbours"]')
    result = handle.train()
    reasons = {e["learner"]: e["reason"] for e in result.record()["leaderboard"] if e["status"] == "unsupported"}
    assert reasons == {"neighbours": "it cannot promise that predictions are monotone in a column"}
    row = pyarrow.csv.read_csv(tmp_path / "diabetes.csv").slice(0, 1).to_pylist()[0]
    row.pop("target")
    rows = [{**row, "bmi": float(bmi)} for bmi in np.linspace(-0.1, 0.2, 25)]
    release = open_release(handle.product.home / "candidates" / result.candidate)
    batch, _ = rows_to_batch(rows, release.signature)
    values = [answer["value"] for answer in answers(release.predict(batch), release.signature)]
    assert (np.diff(values) <= 1e-6).all()


def test_several_classes_cannot_have_a_direction(tmp_path):
    handle = directed(tmp_path, "wine", "alcohol", "increasing", '["linear"]')
    with pytest.raises(BadInput) as refused:
        handle.train()
    assert refused.value.code == "product-file-invalid"
    assert refused.value.troubles[0].where == "volant.toml, columns.alcohol.monotone"
