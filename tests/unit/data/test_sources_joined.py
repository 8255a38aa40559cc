"""Columns of yes and no as one column of labels."""

from __future__ import annotations

import pytest

from volant.data.sources import read_source
from volant.data.sources.joined import joined
from volant.errors import BadInput


@pytest.fixture
def source(tmp_path):
    text = "x,cat,dog,odd\n1,yes,no,u\n2,no,no,v\n3,yes,yes,w\n4,,yes,x\n5,,,y\n"
    (tmp_path / "pets.csv").write_text(text)
    return read_source("pets.csv", folder=tmp_path)


def test_columns_become_one_and_what_is_empty_stays_open(source):
    made = joined(source, "pets", ("cat", "dog"))
    table = made.sample()
    assert table.column_names == ["x", "odd", "pets"]
    assert table.column("pets").to_pylist() == ['["cat"]', "[]", '["cat","dog"]', '{"dog":true}', None]


@pytest.mark.parametrize(
    ("target", "labels", "code"),
    [
        ("pets", ("cat", "bird"), "column-missing"),
        ("x", ("cat",), "product-file-invalid"),
        ("pets", ("odd",), "column-type"),
    ],
)
def test_what_does_not_fit_is_refused(source, target, labels, code):
    with pytest.raises(BadInput) as raised:
        joined(source, target, labels).sample()
    assert raised.value.code == code
