"""Small products that end-to-end tests share."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

from volant.wheel.handle import ProductHandle
from volant.wheel.new import new

LOADERS = {"cancer": load_breast_cancer, "wine": load_wine, "diabetes": load_diabetes, "digits": load_digits}


def write_csv(path: Path, name: str = "cancer") -> Path:
    """One of scikit-learn's tables as CSV, the target in the column `target`."""
    frame = LOADERS[name]()
    columns = {n.replace(" ", "_"): frame.data[:, i] for i, n in enumerate(frame.feature_names)}
    classes = getattr(frame, "target_names", None)
    columns["target"] = frame.target if name == "diabetes" else [str(classes[i]) for i in frame.target]
    pa.csv.write_csv(pa.table(columns), path)
    return path


def product(folder: Path, name: str = "cancer", *, extra: str = "", budget: str = "7 units") -> ProductHandle:
    """A new product on one of scikit-learn's tables, with a work budget so that results repeat."""
    folder.mkdir(parents=True, exist_ok=True)
    new(name, str(write_csv(folder / f"{name}.csv", name)), "target", folder=folder / "product")
    file = folder / "product" / "volant.toml"
    text = file.read_text().split("[data.split]")[0] if "[data.split]" in extra else file.read_text()
    settings = f'\n[train]\nbudget = "{budget}"\nthreads = 1\n{extra}'
    file.write_text(text + settings)
    return ProductHandle.at(folder / "product")
