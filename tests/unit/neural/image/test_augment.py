"""Augmentation does what its names say, to whole batches, by the dice of the batch alone."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from volant.neural.feeding import Draw, dice_at  # noqa: E402
from volant.neural.image.augment import OPERATIONS, coloured, erased, mixed, moved, moved_there, warped  # noqa: E402
from volant.neural.image.design import NAMES, PRESETS, Augmentation, chosen  # noqa: E402
from volant.neural.image.rows import Augmented, ImageRows, sheet  # noqa: E402


def rows(n=32, side=12):
    x = np.random.default_rng(0).integers(0, 256, (n, side, side, 3)).astype(np.uint8)
    return ImageRows.of(x, np.arange(n) % 4, np.ones(n), 4)


def fetched(names, epoch=0, seed=0, given=None):
    given = given or rows()
    source = Augmented(given, Augmentation(names), seed=5)
    return source.fetch(Draw(torch.arange(len(given)), epoch, dice_at(seed, epoch)))


def test_nothing_is_done_to_pictures_unless_asked_for():
    pictures, targets, weights = fetched(())
    assert np.array_equal(pictures.numpy(), rows().pictures)
    assert pictures.dtype == torch.uint8
    assert torch.equal(targets, rows().targets)
    assert weights.tolist() == [1.0] * 32


@pytest.mark.parametrize("name", NAMES)
def test_each_way_changes_pictures_within_bounds_and_is_repeatable(name):
    pictures, targets, _ = fetched((name,))
    same, again, _ = fetched((name,))
    assert torch.equal(pictures, same)
    assert torch.equal(targets, again)
    assert pictures.shape == (32, 12, 12, 3)
    assert not np.array_equal(pictures.numpy(), rows().pictures)
    assert float(pictures.min()) >= -1e-3
    assert float(pictures.max()) <= 255.001
    assert float(targets.sum()) == pytest.approx(32)


def test_flips_alternate_between_epochs():
    first, second = (fetched(("flip",), epoch)[0] for epoch in (0, 1))
    plain = torch.from_numpy(rows().pictures)
    assert torch.equal(first.flip(2), second)
    straight = (first == plain).flatten(1).all(dim=1)
    turned = (second == plain).flatten(1).all(dim=1)
    assert torch.equal(straight, ~turned)
    assert 4 < int(straight.sum()) < 28


def test_moved_pictures_hold_the_same_pixels_and_mirrored_edges():
    x = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1).repeat(200, axis=0)
    given = ImageRows.of(x, np.zeros(200), np.ones(200), 2)
    pictures = fetched(("crop",), given=given)[0].numpy()[..., 0]
    seen = {tuple(p[4]) for p in pictures}
    assert (33, 32, 33, 34, 35, 36, 37, 38) in seen, "one to the right, mirrored at the edge"
    assert len(seen) == 9


def test_a_picture_that_is_neither_turned_nor_zoomed_stays_as_it_is():
    x = torch.from_numpy(rows().pictures)
    still = warped(x, Augmentation(("zoom", "rotate"), zoom=1.0, degrees=0.0), dice_at(0))
    assert still == pytest.approx(x.float(), abs=1e-2)


def test_colours_change_brightness_contrast_and_saturation():
    x = torch.from_numpy(rows().pictures).float().clamp(50, 150)
    zero = torch.zeros(32, 1, 1, 1)
    assert float(coloured(x, torch.stack([zero + 0.2, zero, zero])).mean()) == pytest.approx(1.2 * float(x.mean()))
    assert float(coloured(x, torch.stack([zero, zero - 0.5, zero])).std()) < float(x.std())
    grey = coloured(x, torch.stack([zero, zero, zero - 1.0]))
    assert grey[..., 0] == pytest.approx(grey[..., 1])


def test_a_hole_has_its_size():
    x = torch.zeros(50, 20, 20, 3)
    x[:, 0] = 255.0
    hole = (erased(x, 0.4, dice_at(1)) != x).any(dim=3).flatten(1).sum(dim=1)
    assert int(hole.max()) <= 9 * 20


def test_mixing_mixes_targets_as_it_mixes_pictures():
    x = torch.zeros(40, 10, 10, 3)
    x[20:] = 100.0
    targets = torch.nn.functional.one_hot(torch.arange(40) // 20, 2).float()
    for name in ("mixup", "cutmix"):
        pictures, told = mixed(x, targets, Augmentation((name,)), dice_at(2))
        assert pictures.mean(dim=(1, 2, 3)) / 100.0 == pytest.approx(told[:, 1], abs=1e-5)


@pytest.mark.parametrize("place", range(len(OPERATIONS)))
def test_every_operation_works_on_pictures_of_one_colour(place):
    x = torch.full((3, 6, 6, 1), 200.0)
    out = OPERATIONS[place](x, torch.tensor([-0.9, 0.0, 0.9]).view(3, 1, 1, 1))
    assert out.shape == x.shape
    assert bool(torch.isfinite(out).all())


def test_presets_and_lists():
    assert chosen("light") == ("crop", "flip")
    assert chosen("mixup, crop") == ("crop", "mixup")
    assert set(sum(PRESETS.values(), ())) == set(NAMES)
    with pytest.raises(ValueError, match="sparkle"):
        chosen(["sparkle"])


def test_a_sheet_shows_pictures_and_below_what_becomes_of_them():
    made = sheet(rows(), Augmentation(chosen("strong")), 0, across=4, down=3)
    assert made.shape == (36, 48, 3)
    assert np.array_equal(made[:12, :12], rows().pictures[0])
    assert not np.array_equal(made[12:24, :12], rows().pictures[0])


@pytest.mark.parametrize("names", [(), ("flip",), ("crop",), ("crop", "flip")])
def test_pictures_on_a_device_are_moved_as_those_in_memory(names):
    given, how = rows(), Augmentation(names)
    places, flipped = np.arange(len(given)), np.arange(len(given)) % 3 == 0
    flipped &= "flip" in names
    here = moved(given.pictures, places, how, flipped, dice_at(1, 2))
    there = moved_there(torch.from_numpy(given.pictures), how, flipped, dice_at(1, 2))
    assert np.array_equal(here, there.numpy())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "randaugment"])
def test_a_device_that_trains_works_on_the_pixels_itself(name):
    """Pictures without values lie on the device `meta`, which refuses to be mixed with the processor's."""
    source = Augmented(rows(), Augmentation((name,)), 5, torch.device("meta"))
    pictures, targets, weights = source.fetch(Draw(torch.arange(32), 0, dice_at(0, 0)))
    assert pictures.device.type == "meta"
    assert pictures.shape == (32, 12, 12, 3)
    assert targets.device.type == weights.device.type == "cpu"


@pytest.mark.parametrize("place", range(len(OPERATIONS)))
def test_each_operation_of_randaugment_works_where_the_pictures_lie(place):
    found = OPERATIONS[place](torch.empty(3, 8, 8, 3, device="meta"), torch.empty(3, 1, 1, 1, device="meta"))
    assert found.device.type == "meta"
    assert found.shape == (3, 8, 8, 3)
