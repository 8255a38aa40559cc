"""How large a network is, and how large its pictures are, where a deadline decides."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.unit.learners.test_image_networks import fitted, rows  # noqa: E402

from volant.core.protocols import RunContext  # noqa: E402
from volant.neural.image import building, export  # noqa: E402
from volant.neural.image.design import Design, Recipe  # noqa: E402
from volant.neural.image.rows import ImageRows  # noqa: E402

DESIGNS = tuple(Design("convnet", widths) for widths in ((8, 8, 8), (16, 16, 16), (32, 32, 32)))


@pytest.fixture
def pace(monkeypatch):
    """Seconds per row as the test sets them, by the width of the design; how often designs were tried."""
    tried: list[int] = []

    def set(seconds):
        def per_row(design, *_):
            tried.append(design.widths[0])
            return seconds(design.widths[0])

        monkeypatch.setattr(building, "seconds_per_row", per_row)
        return tried

    return set


def images(count):
    nothing = np.zeros((count, 8, 8, 1), np.uint8)
    return ImageRows.of(nothing, np.zeros(count, np.int64), np.ones(count), 2, None)


def chosen(count, seconds):
    return building.largest(DESIGNS, images(count), 2, Recipe(1, 0, 0.1), seconds, (0.0, 4.0, 5.0))


def test_many_pictures_are_passed_through_some_times(pace):
    pace(lambda width: 1e-5 * width)
    design, epochs = chosen(20_000, 20.0)
    assert (design.widths[0], round(epochs)) == (16, 6), "the widest would see them three times"


def test_of_few_pictures_the_narrow_network_is_taken_however_often_they_pass(pace):
    tried = pace(lambda width: 1e-4 * width)
    design, epochs = chosen(200, 12.0)
    assert design.widths[0] == 8
    assert epochs == pytest.approx(75.0, rel=0.01)
    assert tried == [8], "what is sure to be too large is not tried"


@pytest.mark.parametrize(
    ("side", "needed", "seconds", "expected"),
    [(96, 10.0, 10.5, None), (96, 10.0, 5.0, 64), (96, 10.0, 3.0, 48), (96, 10.0, 0.1, 32), (32, 10.0, 1.0, None)],
)
def test_pictures_are_as_large_as_there_is_time_for(side, needed, seconds, expected):
    assert building.smaller_side(side, needed, seconds) == expected


@pytest.mark.parametrize(("per_row", "side"), [(1e-9, 64), (1.0, 32)])
def test_a_fit_with_a_deadline_looks_at_smaller_pictures_where_time_is_short(tmp_path, pace, per_row, side):
    pace(lambda width: per_row)
    context = RunContext(seed=1, seconds=1.5)
    _, model = fitted("convnet", rows(40, size=(72, 72)), tmp_path / "fit", context=context, side=0)
    assert model.facts()["side"] == side
    assert (tmp_path / "fit" / "network.onnx").is_file()


def test_without_a_deadline_pictures_stay_as_they_are(tmp_path, pace):
    pace(lambda width: 1.0)
    _, model = fitted("convnet", rows(40, size=(72, 72)), tmp_path / "fit", epochs=1, widths="8,8,8")
    assert model.facts()["side"] == 64


@pytest.mark.parametrize(("last", "expected"), [(True, 1_024), (False, 64)])
def test_the_export_that_will_serve_is_compared_on_many_rows(tmp_path, monkeypatch, last, expected):
    seen = []
    real = export.exported_network
    monkeypatch.setattr(export, "exported_network", lambda net, some, *rest: seen.append(len(some)) or real(net, some))
    given = rows(1_100, size=(8, 8))
    fitted("convnet", given, tmp_path / "fit", None if last else rows(20, size=(8, 8)), epochs=1, widths="8,8,8")
    assert seen == [expected]
