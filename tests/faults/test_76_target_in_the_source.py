"""Row 76, reading: the target is missing, or has no values."""

import pyarrow as pa
import pytest

from volant.data.infer import infer_schema, infer_task
from volant.errors import BadInput


def test_a_missing_target_names_the_nearest():
    with pytest.raises(BadInput) as raised:
        infer_schema(pa.table({"churned": ["yes"], "age": ["3"]}), "Churned")
    assert (raised.value.code, raised.value.exit_status) == ("target-missing", 2)
    assert raised.value.troubles[0].meant == "churned"


def test_a_target_without_values():
    with pytest.raises(BadInput) as raised:
        infer_schema(pa.table({"churned": ["", "NA", None], "age": ["3", "4", "5"]}), "churned")
    assert raised.value.code == "target-missing"


@pytest.mark.parametrize("values", [["yes"] * 30, [1] * 30])
def test_a_constant_target_is_read_as_one_class(values):
    assert infer_task(pa.array(values), "y")[0] == "classify"
