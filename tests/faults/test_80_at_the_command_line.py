"""Row 80: the disk runs full while a release is written; the one before it stays, and nothing is half there."""

from tests.commands import product, table, volant

from volant.wheel import check, train


def test_a_release_that_does_not_fit_leaves_nothing(small_disk, monkeypatch):
    folder = product(small_disk.folder, table(300))
    filler = small_disk.folder / "filler"
    monkeypatch.setattr(check, "_too_large", lambda estimate: [])  # it would refuse to begin
    assert volant("-C", folder, "train", "--budget", "1 unit")[0] == 0
    before = volant("-C", folder, "status")[1]["champion"]

    def fill(rows):
        try:
            filler.write_bytes(bytes(10_000_000))
        except OSError:
            return facts(rows)
        raise AssertionError("the disk is not full")

    facts = train.profile
    monkeypatch.setattr(train, "profile", fill)
    status, said = volant("-C", folder, "train", "--budget", "4 units")
    assert (status, said["error"]) == (3, "store-full")
    assert [path.name for path in (folder / ".volant" / "candidates").iterdir()] == [before]
    monkeypatch.undo()
    monkeypatch.setattr(check, "_too_large", lambda estimate: [])
    filler.unlink()
    assert volant("-C", folder, "status")[1]["champion"] == before
    assert volant("-C", folder, "train", "--budget", "4 units")[1]["candidate"]
