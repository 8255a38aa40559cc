"""`volant simulate` works with any product: people who do not exist answer what its own service predicts."""

import pytest
from tests.commands import volant
from tests.products import product
from tests.tagged import table_of_things

from volant.testing.rehearsal import rehearse
from volant.testing.simulate import crowd

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    handle = product(tmp_path_factory.mktemp("rehearsed"), "wine")
    handle.train(budget="4 units")
    return handle


def test_rounds_are_told_and_their_answers_kept(trained):
    data = trained.product.folder.parent / "wine.csv"
    found = rehearse(trained, data, crowd(10, malicious=0.2), rounds=2)
    assert [one.number for one in found.rounds] == [1, 2]
    assert sum(one.answers for one in found.rounds) == 178 == trained.status().feedback
    assert all(one.right > 0.8 for one in found.rounds)
    assert 0 < sum(one.wrong for one in found.rounds) < 90


def test_a_file_without_the_truth_is_refused(trained, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("alcohol,ash\n13,2\n")
    status, said = volant("-C", trained.product.folder, "simulate", "--data", path)
    assert (status, said["error"]) == (2, "column-missing")


def test_people_answer_about_several_labels_too(tmp_path):
    handle = table_of_things(tmp_path, 240)
    handle.train()
    people = crowd(10, malicious=0.2, lazy=0.2, biased=0.2, colluding=0.2, slip=0.5)
    found = rehearse(handle, next(tmp_path.glob("*.csv")), people)
    assert found.rounds[0].answers == 240 == handle.status().feedback
    assert found.rounds[0].right > 0.5
    assert found.rounds[0].wrong > 24
