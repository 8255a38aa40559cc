"""A file of feedback is taken whole or not at all, and what is wrong with it is told by its rows."""

from types import SimpleNamespace

import pytest

from volant.core.plugins import load
from volant.errors import BadInput, Trouble
from volant.store import Receipt
from volant.wheel import feedback


class Store:
    def tombstones(self):
        return SimpleNamespace(holds=lambda name: name == "eve")

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


def test_of_a_file_what_erased_actors_said_is_left_out_and_counted(take):
    made = take("prediction_id,value,actor\na,yes,eve\na,yes,ann\n")
    assert (made.accepted, made.erased) == (1, 1)
    with pytest.raises(BadInput) as refused:
        take("prediction_id,value,actor\na,yes,eve\nnobody,no,ann\n")
    assert [t.where for t in refused.value.troubles] == ["row 1.prediction_id"]


def test_what_was_superseded_is_not_exported(tmp_path):
    def row(id, **more):
        facts = {name: None for name in feedback.COLUMNS} | {"id": id, "value": "yes", "prediction_id": "p"} | more
        return SimpleNamespace(valid=True, record=lambda: facts)

    rows = [row("a"), row("b", supersedes="a", kind="comment"), row("c")]
    context = SimpleNamespace(store=SimpleNamespace(feedback_rows=lambda: rows))
    made = feedback.export_feedback(context, tmp_path / "out.jsonl")
    assert made.rows == 2
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2
