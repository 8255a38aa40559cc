"""Row 76: the target is missing, constant, among the features, or of a kind that the task does not take."""

import pytest
from tests.commands import product, table, volant


def test_a_target_that_is_not_there_names_the_nearest(tmp_path):
    folder = product(tmp_path, table().replace(",y\n", ",Y\n"))
    status, said = volant("-C", folder, "check")
    assert (status, said["error"]) == (2, "target-missing")
    assert said["troubles"][0]["choices"] == ["x", "Y"]


@pytest.mark.parametrize("copy", [lambda y: y, lambda y: {"yes": "A", "no": "B"}[y]])
def test_a_copy_of_the_target_is_refused(tmp_path, copy):
    lines = [line.split(",") for line in table().splitlines()[1:]]
    text = "x,y,again\n" + "".join(f"{x},{y},{copy(y)}\n" for x, y in lines)
    status, said = volant("-C", product(tmp_path, text), "train", "--budget", "2 units")
    assert (status, said["error"]) == (1, "check-refused")
    assert said["troubles"][0]["where"] == "again"


def test_texts_are_no_target_of_a_regression_and_the_reason_says_so(tmp_path):
    folder = product(tmp_path, table())
    file = folder / "volant.toml"
    file.write_text(file.read_text().replace("classify", "regress"))
    _, found = volant("-C", folder, "check")
    whats = [f["what"] for f in found["findings"] if f["check"] == "target_values"]
    assert whats == ["not one value of the target can be read as a number"]


@pytest.mark.parametrize("make", [lambda n: f"k{n % 60}", lambda n: "1e308" if n % 20 == 0 else n % 7 / 3])
def test_what_stops_training_is_found_by_check(tmp_path, make):
    folder = product(tmp_path, table(y=make))
    file = folder / "volant.toml"
    file.write_text(file.read_text().replace("classify", "classify" if make(1) == "k1" else "regress"))
    assert volant("-C", folder, "check")[0] == 1
    status, said = volant("-C", folder, "train", "--budget", "2 units")
    assert (status, said["error"]) == (1, "check-refused")
