"""What the product file says of silence and signals is read as feedback is: in the classes of the data."""

from types import SimpleNamespace

import pytest

from volant.core.clock import Clock
from volant.core.loop_file import FeedbackSection, ImproveSection
from volant.core.plugins import load
from volant.errors import BadInput
from volant.wheel.learn import rule_of


def rule(classes=("no", "yes"), **feedback):
    made = FeedbackSection.model_validate({"maturity": "1d", **feedback})
    file = SimpleNamespace(feedback=made, improve=ImproveSection(), quality=SimpleNamespace(min_rows=30))
    product = SimpleNamespace(file=file)
    return rule_of(SimpleNamespace(product=product, task=load("tasks", "classify"), clock=Clock()), classes)


def test_another_case_is_the_same_class():
    made = rule(silence="No", signals={"bought": {"when": "buy", "kind": "correction", "value": "YES"}})
    assert made.silence == "no"
    assert made.signals[0].value == "yes"


def test_silence_is_no_class_that_nobody_has_ever_seen():
    with pytest.raises(BadInput) as refused:
        rule(silence="nope")
    assert refused.value.code == "product-file-invalid"
    assert refused.value.troubles[0].where == "volant.toml, feedback.silence"
    assert refused.value.troubles[0].choices == ("no", "yes")


def test_a_signal_that_nothing_can_be_made_of_is_found_before_anything_is_trained(tmp_path):
    from tests.products import product

    odd = '[feedback.signals.bought]\nwhen = "buy"\nkind = "rating"\nvalue = "sideways"\n'
    handle = product(tmp_path, "wine", extra=odd)
    for stage in (handle.check, handle.train):
        with pytest.raises(BadInput) as refused:
            stage()
        assert refused.value.code == "product-file-invalid"
        assert refused.value.troubles[0].where == "volant.toml, feedback.signals.bought"
