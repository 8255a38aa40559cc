"""What a product remembers of its turns: rows that stay in place, looks that are paid for, races that are lost."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.csv
import pytest
from tests.products import product

import volant.wheel.train
from volant.core.records import Feedback
from volant.store import PredictionRecord, open_store
from volant.wheel.collect import collect
from volant.wheel.context import work_on
from volant.wheel.handle import ProductHandle


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    handle = product(tmp_path_factory.mktemp("kept"), "wine")
    handle.train(budget="1 units")
    return handle


def edited(handle, before, after):
    path = handle.product.folder / "volant.toml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    return ProductHandle.at(handle.product.folder)


def sides(handle):
    """The side of each row of the source by its number."""
    with work_on(handle.product) as context:
        dataset = collect(context)
        return dict(zip(dataset.numbers().tolist(), dataset.sides().tolist(), strict=True))


def answers(handle, count):
    """So many answers, each of another user, to predictions of the champion; nobody else has answered them."""
    release = handle.status().champion
    with open_store(handle.product.home) as store:
        log = store.prediction_log()
        start = store.counts()["predictions"]
        output = {"label": "class_0", "probabilities": {"class_0": 0.9, "class_1": 0.05, "class_2": 0.05}}
        told = [
            PredictionRecord(
                id=f"p{start + i}",
                release=release,
                at="2026-01-01T00:00:00.000000+00:00",
                input={"alcohol": 13.0 + start / 1000, "ash": 2.0 + i / 100},
                output=output,
                audit=True,
            )
            for i in range(count)
        ]
        log.append(told)
        log.close()
        store.add_feedback([Feedback(one.id, "correction", "class_0", f"user{i}") for i, one in enumerate(told)])


def test_a_column_that_comes_later_moves_no_row(trained):
    before = sides(trained)
    path = trained.product.folder.parent / "wine.csv"
    text = path.read_text()
    table = pa.csv.read_csv(path)
    pa.csv.write_csv(table.append_column("vineyard", pa.array([i % 7 for i in range(len(table))])), path)
    try:
        assert sides(trained) == before
    finally:
        path.write_text(text)


def test_a_column_that_nobody_looks_at_any_more_moves_no_row(tmp_path):
    handle = product(tmp_path, "wine")
    before = sides(handle)
    path = handle.product.folder / "volant.toml"
    head, _, rest = path.read_text().partition("[columns]")
    ignored = '[columns]\nash = { type = "number", role = "ignored" }\n[train]'
    path.write_text(head + ignored + rest.partition("[train]")[2])
    assert sides(ProductHandle.at(handle.product.folder)) == before


def test_a_larger_judge_share_opens_no_new_account(trained):
    turns = trained.status().turns
    answers(trained, 10)
    trained.improve(budget="1 units")
    assert trained.status().turns == turns + 1
    left = trained.status().alpha_left
    other = edited(trained, "judge = 0.3", "judge = 0.31")
    assert (other.status().turns, other.status().alpha_left) == (turns + 1, left)
    edited(other, "judge = 0.31", "judge = 0.3")
    stricter = edited(trained, "\n[train]\n", "\n[quality]\nalpha = 0.04\n\n[train]\n")
    assert stricter.status().alpha_left == pytest.approx(max(left - 0.01, 0.0)), "what was spent stays spent"
    edited(stricter, "[quality]\nalpha = 0.04\n\n", "")


def test_after_a_turn_nothing_is_left_to_improve_on(trained):
    answers(trained, 5)
    assert trained.status().next_step == "volant improve"
    assert trained.improve(budget="1 units").outcome in ("refused", "promoted")
    assert trained.status().next_step == "volant serve"


def test_whoever_loses_the_race_for_the_champion_finds_it_in_the_history(trained, monkeypatch):
    answers(trained, 5)
    judge, now = volant.wheel.train.judge, trained.status().champion

    def meanwhile(context, *rest):
        context.store.deploy("f" * 64, "promote", "by somebody else", 1, now, {})
        return replace(judge(context, *rest), passed=True)

    monkeypatch.setattr(volant.wheel.train, "judge", meanwhile)
    turn = trained.improve(budget="1 units")
    assert turn.outcome == "refused"
    last = trained.history()[-1]
    assert (last.kind, last.release) == ("refuse", turn.train.candidate)
    assert "judged anew" in last.reason
    assert trained.status().champion == "f" * 64
