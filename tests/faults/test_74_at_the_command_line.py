"""Row 74: an empty file, a header only, one row, one class: said before training, and nothing is left behind."""

import pytest
from tests.commands import product, table, volant


@pytest.mark.parametrize("text", ["", "\n\n", "x,y\n"])
def test_new_leaves_no_folder_for_a_table_without_rows(tmp_path, text):
    (tmp_path / "data.csv").write_text(text)
    status, said = volant("-C", tmp_path, "new", "shop", "--data", tmp_path / "data.csv", "--target", "y")
    assert (status, said["error"]) == (2, "source-empty")
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


@pytest.mark.parametrize("text", [table(1), table(5), table(y=lambda n: "yes")])
def test_too_little_to_learn_from_is_refused_by_check_and_by_train(tmp_path, text):
    folder = product(tmp_path, text)
    status, found = volant("-C", folder, "check")
    assert status == 1
    stops = [f["what"] for f in found["findings"] if f["severity"] == "stop"]
    status, said = volant("-C", folder, "train", "--budget", "2 units")
    assert (status, said["error"]) == (1, "check-refused")
    assert {t["what"] for t in said["troubles"]} <= set(stops)
    assert not list((folder / ".volant").glob("candidates/*"))
