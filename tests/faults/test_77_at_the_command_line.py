"""Row 77: columns without values, infinite values, 1e308, dates in two formats: noticed, and trained on."""

import pytest
from tests.commands import product, table, volant

ODD = {
    "no values": lambda n: "",
    "infinite": lambda n: "-inf" if n % 3 else "inf",
    "huge": lambda n: "-1e308" if n % 2 else "1e308",
    "some infinite": lambda n: "inf" if n % 7 == 0 else n / 3,
    "digits": lambda n: "9" * 400 if n % 9 == 0 else n,
    "constant": lambda n: 2**63,
    "dates": lambda n: f"2020-01-{n % 28 + 1:02d}" if n % 2 else f"{n % 28 + 1:02d}/02/2021",
}


def test_a_table_of_odd_columns_is_checked_and_trained(tmp_path):
    folder = product(tmp_path, table(**ODD))
    status, found = volant("-C", folder, "check")
    assert status == 0
    assert {f["column"] for f in found["findings"]} >= {"infinite", "huge", "some infinite", "dates"}
    status, made = volant("-C", folder, "train", "--budget", "4 units")
    assert made["promoted"] == (status == 0)
    assert made["candidate"]


@pytest.mark.parametrize(
    ("make", "got"),
    [(lambda n: n - 5, "row 0 and 4 more"), (lambda n: "inf" if n == 3 else 1.5 + n % 2, "row 3 and 0 more"),
     (lambda n: "abc"[n % 3], "category")],
)  # fmt: skip
def test_weights_that_are_none_are_refused_and_nothing_is_left(tmp_path, make, got):
    folder = product(tmp_path, table(w=make), '[columns]\nw = { role = "weight" }\n')
    status, said = volant("-C", folder, "train", "--budget", "2 units")
    assert (status, said["error"]) == (2, "column-type")
    assert said["troubles"][0]["got"].startswith(got)
    assert not list((folder / ".volant").glob("datasets/*"))
