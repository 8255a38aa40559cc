"""Numbers as a person reads them."""

from __future__ import annotations

import doctest

import pytest

from volant.cli import drawing, toml


@pytest.mark.parametrize("module", [drawing, toml], ids=lambda module: module.__name__)
def test_examples(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 ms"), (59.96, "60.0 s"), (120, "2 min 0 s"), (8000, "2 h 13 min")]
)
def test_durations(seconds, said):
    assert drawing.duration(seconds) == said


@pytest.mark.parametrize("share", [-0.5, 0.0, 0.5, 1.0, 1.5])
def test_a_bar_is_always_as_wide(share):
    assert len(drawing.bar(share).plain.split()[0]) == 20
