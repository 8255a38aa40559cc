"""Answers of a product whose segments have offsets of their own."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from volant.errors import BadInput
from volant.runtime.load import open_release
from volant.wheel.handle import ProductHandle
from volant.wheel.new import new

CITIES = 12


def made(folder, personal):
    """A product whose cities differ, and whose learner is held back so much that it hardly sees them."""
    rng = np.random.default_rng(0)
    city, x = rng.integers(0, CITIES, 1500), rng.normal(size=1500).round(4)
    own = 2.0 * rng.normal(size=CITIES)
    yes = rng.random(1500) < 1 / (1 + np.exp(-x - own[city]))
    folder.mkdir()
    table = {"x": x, "city": [f"c{one}" for one in city], "y": ["yes" if one else "no" for one in yes]}
    pa.csv.write_csv(pa.table(table), folder / "rows.csv")
    new("cities", str(folder / "rows.csv"), "y", folder=folder / "product")
    file = folder / "product" / "volant.toml"
    train = '[train]\nbudget = "5 units"\nthreads = 1\nlearners = ["linear"]\n'
    train += f'personal = "{personal}"\n' if personal else ""
    file.write_text(file.read_text() + train + "[train.options.linear]\nstrength = 0.002\n")
    return ProductHandle.at(folder / "product")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("personal")
    found = {name: made(folder / (name or "alike"), name) for name in ("city", "")}
    return {name: (handle, handle.train()) for name, handle in found.items()}


def test_answers_are_better_where_segments_differ(trained):
    judged = {name: {s.metric: s.value for s in result.judged} for name, (_, result) in trained.items()}
    assert judged["city"]["log_loss"] < 0.95 * judged[""]["log_loss"]


def test_the_release_adds_them_and_knows_what_to_do_with_strangers(trained):
    handle, result = trained["city"]
    release = open_release(handle.product.home / "candidates" / result.candidate)
    steps = json.loads((release.folder / "pipeline.json").read_bytes())["steps"]
    step = next(one for one in steps if one["op"] == "offset_by_group")
    assert len(step["params"]["values"]) == CITIES
    cities = np.array([*step["params"]["values"], "nowhere", None], dtype=object)
    answer = release.predict({"x": np.zeros(len(cities)), "city": cities})["probability"]
    assert answer.sum(axis=1) == pytest.approx(np.ones(len(cities)))
    assert np.ptp(answer[:CITIES, 1]) > 0.4
    assert answer[CITIES] == pytest.approx(answer[CITIES + 1], abs=0.05)


def test_a_column_that_is_no_category_is_refused_by_its_name(tmp_path):
    with pytest.raises(BadInput, match="categories") as bad:
        made(tmp_path / "p", "x").train()
    assert bad.value.troubles[0].where == "volant.toml, train.personal"
