"""The loop goes on: what stands in its way for a while does not end it."""

import pytest

from volant.cli import loop
from volant.errors import BadInput, Refused


class Stop:
    """Says stop after so many rounds, and remembers how long was waited between them."""

    def __init__(self, rounds):
        self.left, self.waited = rounds, []

    def wait(self, seconds):
        self.waited.append(seconds)
        return len(self.waited) >= self.left


class Plain:
    as_json = True


BUSY = Refused("another volant is busy with loop", code="busy")
BROKEN = BadInput("the product file is being written", code="product-file-syntax")


def rounds(monkeypatch, *outcomes):
    left = iter(outcomes)

    def one(shell, heard, *, once, budget):
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(loop, "_round", one)
    stop = Stop(len(outcomes))
    loop._rounds(Plain(), None, 30.0, stop)
    return stop.waited


def test_a_loop_waits_while_another_volant_turns_the_wheel(monkeypatch, capsys):
    assert rounds(monkeypatch, BUSY, BUSY, 3, BUSY, 4) == [30.0] * 5
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_fault_is_told_once_and_tried_again_less_and_less_often(monkeypatch, capsys):
    assert rounds(monkeypatch, 1, BROKEN, BROKEN, BROKEN, 2, BROKEN) == [30.0, 60.0, 120.0, 240.0, 30.0, 60.0]
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_what_is_wrong_from_the_start_ends_it(monkeypatch):
    with pytest.raises(BadInput):
        rounds(monkeypatch, BROKEN, 1)


@pytest.mark.parametrize("text", ["0s", "10000000000d", "soon"])
def test_a_time_between_two_looks_is_one_that_can_be_waited_for(text):
    with pytest.raises(BadInput) as refused:
        loop._seconds(text)
    assert refused.value.troubles[0].where == "--poll"
