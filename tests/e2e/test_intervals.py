"""Products that promise intervals are trained, judged and answered like any other, whatever roles columns have."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from volant.errors import BadInput
from volant.wheel.handle import ProductHandle
from volant.wheel.new import new

FAST = '[train]\nbudget = "6 units"\nthreads = 1\nlearners = ["linear"]\n'


def table(folder, count=500):
    """Rows of people over time, with weights and an error that grows with x."""
    rng = np.random.default_rng(0)
    x, who = rng.uniform(0, 1, count), np.sort(rng.integers(0, 150, count))
    y = 3 * x + (0.1 + x) * rng.normal(size=count)
    when = np.datetime64("2025-01-01") + np.arange(count) * np.timedelta64(1, "D")
    columns = {"x": x, "who": [f"p{i}" for i in who], "w": rng.uniform(0.5, 2, count), "when": when.astype(str), "y": y}
    folder.mkdir(exist_ok=True)
    pa.csv.write_csv(pa.table(columns), folder / "rows.csv")
    return folder / "rows.csv"


def made(folder, roles="", split='by = "random"', count=500):
    """A product on these rows, without intervals; columns but x are ignored unless `roles` says what they are for."""
    new("p", str(table(folder, count)), "y", folder=folder / "p")
    file = folder / "p" / "volant.toml"
    given = dict(line.split(" = ", 1) for line in ROLES.splitlines() + roles.splitlines())
    kept = file.read_text().split("[columns]")[0].split("[data.split]")[0]
    columns = "\n".join(f"{name} = {value}" for name, value in given.items())
    file.write_text(f"{kept}\n[columns]\n{columns}\n[data.split]\n{split}\njudge = 0.2\ntest = 0.3\n{FAST}")
    return ProductHandle.at(file.parent)


ROLES = 'who = { role = "ignored" }\nw = { role = "ignored" }\nwhen = { role = "ignored" }'


def promise(handle, share=0.8, extra=""):
    """The same product with intervals."""
    file = handle.product.folder / "volant.toml"
    text = file.read_text().replace("[task]\n", f"[task]\ninterval = {share}\n")
    file.write_text(text + extra)
    return ProductHandle.at(handle.product.folder)


def test_the_same_work_gives_the_same_release_whose_intervals_are_reported(tmp_path):
    first, second = (promise(made(tmp_path / name)).train() for name in "ab")
    assert first.candidate == second.candidate
    scores = {score.metric: score for score in first.scores}
    assert scores["coverage"].low < 0.8 < scores["coverage"].high
    assert '<section id="intervals">' in first.report.read_text(encoding="utf-8")


def test_a_file_of_rows_is_answered_with_intervals(tmp_path):
    handle = promise(made(tmp_path))
    assert handle.train().promoted
    handle.predict(tmp_path / "rows.csv", tmp_path / "answers.csv")
    answers = pa.csv.read_csv(tmp_path / "answers.csv")
    assert answers.column_names == ["value", "low", "high"]
    low, value, high = (answers.column(name).to_numpy() for name in ("low", "value", "high"))
    assert ((low <= value) & (value <= high)).all()
    truth = pa.csv.read_csv(tmp_path / "rows.csv").column("y").to_numpy()
    assert 0.75 < np.mean((low <= truth) & (truth <= high)) < 0.9


@pytest.mark.parametrize(
    ("roles", "split"),
    [
        ('who = { type = "id", role = "subject" }', 'by = "group"'),
        ('w = { role = "weight" }', 'by = "random"'),
        ('when = { role = "time" }', 'by = "time"'),
    ],
)
def test_subjects_weights_and_time_are_taken_into_account(tmp_path, roles, split):
    result = promise(made(tmp_path, roles, split)).train()
    scores = {score.metric: score for score in result.scores}
    assert 0.7 < scores["coverage"].value < 0.93


def test_a_product_that_is_served_already_gets_intervals_though_its_numbers_are_the_same(tmp_path):
    handle = made(tmp_path)
    before = handle.train()
    assert before.promoted
    after = promise(handle).train()
    assert after.promoted, after.verdict.reasons
    assert after.verdict.champion == before.candidate
    assert any("interval_score is" in reason for reason in after.verdict.reasons)
    assert [event.contract for event in ProductHandle.at(handle.product.folder).history()][:2] in ([1, 2], [2, 1])
    again = ProductHandle.at(handle.product.folder).train()
    assert "nothing has changed" in again.note


def test_a_product_gets_no_intervals_with_numbers_that_are_worse(tmp_path):
    handle = made(tmp_path)
    assert handle.train().promoted
    file = handle.product.folder / "volant.toml"
    file.write_text(file.read_text().replace('learners = ["linear"]', 'learners = ["prior"]'))
    refused = promise(handle).train()
    assert not refused.promoted
    assert any(reason.startswith("rmse is") for reason in refused.verdict.reasons)


def test_the_gate_holds_intervals_to_their_minimum(tmp_path):
    result = promise(made(tmp_path), extra="[quality]\nminimum = { interval_score = 0.1 }\n").train()
    assert not result.promoted
    assert any(reason.startswith("interval_score is") for reason in result.verdict.reasons)


def test_too_few_rows_for_the_promise_are_told(tmp_path):
    with pytest.raises(BadInput, match="too few rows to promise"):
        promise(made(tmp_path, count=300), share=0.99).train()
