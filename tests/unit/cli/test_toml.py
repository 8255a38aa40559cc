"""The TOML that `volant config` writes is read back as it was."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volant.cli.toml import dumps
from volant.core import plugins
from volant.core.product import ProductFile, parse

# TOML texts hold every character but surrogates.
texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | texts
values = scalars | st.lists(scalars, max_size=3)
tables = st.recursive(
    st.dictionaries(texts, values, max_size=4),
    lambda inner: st.dictionaries(texts, values | inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None)
@given(tables)
def test_any_table_comes_back(record):
    assert tomllib.loads(dumps(record)) == record


def test_what_is_not_set_is_a_comment():
    assert dumps({"url": None}) == "# url is not set\n"


def test_what_toml_has_no_word_for():
    with pytest.raises(TypeError, match="object"):
        dumps({"x": object()})


FULL = """
version = 1
name = "churn"
[task]
type = "classify"
target = "left \\"us\\""
[data]
source = "c.csv"
missing = ["", "n/a"]
[columns."a b.c"]
type = "number"
[columns."é"]
role = "ignored"
[quality.minimum]
roc_auc = 0.8
[serve]
key = "${KEY}"
"""


def test_a_product_file_with_every_default_comes_back(monkeypatch):
    known = {"tasks": ("classify",), "columns": ("number",)}
    monkeypatch.setattr(plugins, "names", lambda kind: known.get(kind, ()))
    file = parse(FULL)
    again = parse(dumps(file.model_dump(mode="json")))
    assert again == file
    assert set(tomllib.loads(dumps(file.model_dump(mode="json")))) == set(ProductFile.model_fields)
