"""A file of feedback is taken whole or not at all, and what is wrong with it is told by its rows."""

from types import SimpleNamespace

import pytest

from volant.core.plugins import load
from volant.errors import BadInput, Trouble
from volant.store import Receipt
from volant.wheel import feedback


class Store:
    def add_feedback(self, items):
        unknown = [n for n, item in enumerate(items) if item.prediction_id == "nobody"]
        if unknown:
            troubles = [Trouble("there is no prediction with that id", f"items[{n}].prediction_id") for n in unknown]
            raise BadInput("feedback names unknown predictions", code="prediction-unknown", troubles=troubles)
        return [Receipt(n, item.idempotency_key) for n, item in enumerate(items)]


@pytest.fixture
def take(tmp_path, monkeypatch):
    release = SimpleNamespace(signature=SimpleNamespace(options=("no", "yes")))
    monkeypatch.setattr(feedback, "need_champion", lambda context: release)
    file = SimpleNamespace(task=SimpleNamespace(target="y"))
    context = SimpleNamespace(task=load("tasks", "classify"), store=Store(), product=SimpleNamespace(file=file))

    def importing(text):
        path = tmp_path / "answers.csv"
        path.write_text(text)
        return feedback.import_feedback(context, path)

    return importing


def test_an_unknown_prediction_is_named_by_its_row(take):
    with pytest.raises(BadInput) as refused:
        take("prediction_id,value\na,yes\nnobody,no\n")
    assert [t.where for t in refused.value.troubles] == ["row 1.prediction_id"]


def test_a_key_stands_for_one_answer(take):
    with pytest.raises(BadInput) as refused:
        take("prediction_id,value,idempotency_key\na,yes,k\nb,no,k\n")
    assert refused.value.what == "1 row is not valid feedback"
    assert refused.value.troubles[0].where == "row 1"
    assert take("prediction_id,value,idempotency_key\na,yes,k\na,yes,k\n").accepted == 2
