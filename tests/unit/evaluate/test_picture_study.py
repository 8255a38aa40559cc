"""What the report shows of a network for pictures: where it looks, and what throws it off."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image  # noqa: E402

from volant.core.records import Pipeline, Problem, Step  # noqa: E402
from volant.evaluate.pictures import study  # noqa: E402
from volant.evaluate.pictures.heat import grad_cam  # noqa: E402
from volant.evaluate.pictures.network import PictureNetwork  # noqa: E402
from volant.evaluate.report_pictures import pictures_part  # noqa: E402
from volant.neural.image.building import build  # noqa: E402
from volant.neural.image.design import Design  # noqa: E402
from volant.neural.image.export import exported_network  # noqa: E402
from volant.neural.image.rows import ImageRows  # noqa: E402


def digits(n, side):
    """Noise with a bright spot, on the left or on the right."""
    dice = np.random.default_rng(0)
    pictures, right = dice.integers(0, 60, (n, side, side, 1)).astype(np.uint8), dice.integers(0, 2, n)
    for picture, at in zip(pictures, right, strict=True):
        picture[side // 2, side // 4 + at * side // 2] = 255
    return pictures, right


def exported(folder, side, kind="convnet"):
    pictures, right = digits(64, side)
    network = build(Design(kind, (8, 8, 8)), ImageRows.of(pictures, right, np.ones(64), 2), 2, 0).eval()
    (folder / "network.onnx").write_bytes(exported_network(network, torch.from_numpy(pictures[:8])))
    steps = (
        Step("decode_image", ("picture",), "pixels"),
        Step("onnx", ("pixels",), "margin", {"output": "y"}, "network.onnx"),
    )
    return PictureNetwork(Pipeline(steps, {"probability": "margin"}), folder, *steps), pictures, right


@pytest.mark.parametrize("side", [8, 32])
def test_where_a_network_looks_has_places_even_in_small_pictures(tmp_path, side):
    """The last maps of a picture of 8 × 8 are a single number each, which is everywhere the same."""
    network, pictures, _ = exported(tmp_path, side)
    heat = grad_cam(network, pictures[:20])
    assert heat.shape == (20, side, side)
    assert np.median(heat.std(axis=(1, 2))) > 0.05


def test_curves_of_attacks_begin_where_the_attacked_pictures_stand(tmp_path, monkeypatch):
    """There is time to attack a part of the pictures alone: what others say is no part of that curve."""
    network, pictures, right = exported(tmp_path, 8)
    monkeypatch.setattr(study, "_possible", lambda per_row: (64, 10))
    seen = study.Seen(pictures, (), right)
    problem = Problem("classify", "label", (), 64, ("left", "right"), "log_loss")
    found = study._studied(network, seen, problem, 0, "light", seen)
    few = seen.evenly(10)
    assert found["plain"]["attacked"] == (network.said(few.pixels).argmax(axis=1) == few.truth).mean()
    assert found["plain"]["attacked"] != found["plain"]["corrupted"] == found["views"][0]["accuracy"]
    assert pictures_part(found)["attacked"]["names"] == ["FGSM", "PGD"]
    sheet = Image.open(io.BytesIO(base64.b64decode(found["augmented"]["sheet"].partition(",")[2])))
    assert sheet.size == (10 * 96 + 9 * study.GAP, 5 * 96 + 4 * study.GAP), "pictures stand apart"


def test_the_sheet_is_mirrored_where_the_training_rows_allow_it():
    dice = np.random.default_rng(0)
    truth = dice.integers(0, 2, 200)
    pixels = dice.integers(0, 40, (200, 16, 16, 3)).astype(np.uint8)
    pixels[truth == 1, :, :8] += 150
    pixels[truth == 0, :, 8:] += 150
    sided, either = study.Seen(pixels, (), truth), study.Seen(np.roll(pixels, 8, 1).swapaxes(1, 2), (), truth)
    problem = Problem("classify", "side", (), 200, ("left", "right"))
    names = {
        by: study._augmented(sided, one, "standard", problem, 0)["names"]
        for by, one in (("sided", sided), ("either", either))
    }
    assert "flip" not in names["sided"]
    assert "flip" in names["either"]
