"""Every example's product file is valid, says clearly what it lacks, and trains on a sample of its real data."""

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from volant.core.product import read
from volant.wheel.handle import ProductHandle

EXAMPLES = Path(__file__).parents[2] / "examples"
PRODUCTS = sorted(path.parent.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.glob("**/volant.toml"))
PUBLIC = [product for product in PRODUCTS if product != "digits"]
"""Those whose data comes from elsewhere."""

SAMPLE, FEW = 1_500, 200
DATA = Path(os.environ.get("VOLANT_DATA", "data"))


def prepare_of(product):
    """The script that writes a product's data: beside its file, or one folder above."""
    folder = EXAMPLES / product
    return next(place / "prepare.py" for place in (folder, folder.parent) if (place / "prepare.py").is_file())


def test_there_is_an_example_per_preset():
    from volant.wheel.presets import PRESETS

    assert {product.split("/")[0] for product in PRODUCTS} >= set(PRESETS)


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_product_file_is_valid_and_its_readme_shows_how_to_run_it(product):
    file = read(EXAMPLES / product).file
    readme = (prepare_of(product).parent / "README.md").read_text(encoding="utf-8")
    assert "prepare.py" in readme
    assert f"volant -C examples/{product} train" in readme
    assert file.data.source in prepare_of(product).read_text(encoding="utf-8")


@pytest.mark.parametrize("product", PUBLIC)
def test_without_the_data_it_says_what_is_missing(product, tmp_path):
    environment = {**os.environ, "VOLANT_DATA": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, prepare_of(product), tmp_path], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "set VOLANT_DATA" in ran.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def sample_of_table(path):
    head, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = random.Random(0).sample(rows, min(SAMPLE, len(rows)))
    path.write_text("".join([head, *kept]), encoding="utf-8")


def sample_of_folder(path):
    files = sorted(file for file in path.rglob("*") if file.is_file())
    for file in random.Random(0).sample(files, max(len(files) - FEW, 0)):
        file.unlink()


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "tabular_a" / "tables.json").is_file(), reason="VOLANT_DATA names no public tables")
@pytest.mark.parametrize("product", PRODUCTS)
def test_it_trains_on_a_sample_of_the_real_data(product, tmp_path):
    script = prepare_of(product)
    spec = importlib.util.spec_from_file_location("prepare", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.prepare(tmp_path)
    folder = tmp_path / product.split("/")[1] if "/" in product else tmp_path
    source = folder / read(EXAMPLES / product).file.data.source
    (sample_of_folder if source.is_dir() else sample_of_table)(source)
    text = (EXAMPLES / product / "volant.toml").read_text(encoding="utf-8")
    settings = '\n[train]\nbudget = "6 units"\nlearners = ["boosted_trees", "image_features"]\n'
    (folder / "volant.toml").write_text(text + settings, encoding="utf-8")
    result = ProductHandle.at(folder).train()
    assert result.report.is_file()
    assert result.verdict.reasons
    decided = {score.metric: score.value for score in result.scores}
    assert decided[result.metric] == pytest.approx(decided[result.metric])
