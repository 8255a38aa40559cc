"""A product with a release made by hand, ready to serve: nothing is trained, no model file is needed.

The release predicts whether a customer left, from age and plan: a logistic curve over age.
"""

from __future__ import annotations

import json
from pathlib import Path

from volant.core.ids import file_digest, files_digest
from volant.core.product import FILE, Product, read
from volant.core.records import Field, Pipeline, Signature, Step
from volant.store import Store, open_store

CLASSES = ("no", "yes")
PLANS = ("basic", "gold")
FILE_TEXT = """
version = 1
name = "churn"
[task]
type = "classify"
target = "churned"
[data]
source = "customers.csv"
"""


def pipeline(center: float = 40.0) -> Pipeline:
    """The probability of `yes` rises with age and is even at `center`."""
    scale = {"center": [center], "spread": [10.0], "clip": 30.0}
    return Pipeline(
        steps=(
            Step("float", ("age",), "number"),
            Step("impute", ("number",), "filled", {"fill": [center]}),
            Step("scale", ("filled",), "margin", scale),
            Step("sigmoid_pair", ("margin",), "sure"),
            Step("constant", ("age",), "even", {"value": [0.5, 0.5]}),
            Step("average", ("sure", "even"), "probability", {"weights": [0.98, 0.02]}),
            Step("decide", ("probability",), "label", {"classes": list(CLASSES)}),
        ),
        outputs={"probability": "probability", "label": "label"},
    )


def signature(contract: int = 1) -> Signature:
    """The contract of the release."""
    return Signature(
        task="classify",
        target="churned",
        inputs=(
            Field("age", "number", required=True, example=41.0),
            Field("plan", "category", required=False, example="gold", choices=PLANS),
        ),
        outputs=(Field("label", "category", choices=CLASSES), Field("probability", "number")),
        classes=CLASSES,
        contract=contract,
    )


def write_release(home: Path, steps: Pipeline | None = None, contract: Signature | None = None) -> str:
    """Write a release into a product's home, as the export stage does; gives its digest."""
    model = {
        "pipeline.json": (steps or pipeline()).record(),
        "signature.json": (contract or signature()).record(),
    }
    staged = home / "staged"
    staged.mkdir(parents=True)
    for name, record in {**model, "profile.json": {}}.items():
        (staged / name).write_text(json.dumps(record, sort_keys=True))
    files = {path.name: file_digest(path) for path in sorted(staged.iterdir())}
    digest = files_digest({name: files[name] for name in model})
    (staged / "manifest.json").write_text(
        json.dumps({"version": 1, "digest": digest, "model": list(model), "files": files})
    )
    (home / "candidates").mkdir(exist_ok=True)
    staged.rename(home / "candidates" / digest)
    return digest


def promote(store: Store, digest: str, contract: int = 1) -> None:
    """Make a release the champion, without a gate."""
    champion = store.champion()
    store.deploy(digest, "promote", "made by hand", contract, champion.release if champion else None, {})


def make_product(folder: Path, text: str = FILE_TEXT) -> Product:
    """Write a product file and read it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(text)
    return read(folder)


def make_served_product(folder: Path, text: str = FILE_TEXT) -> Product:
    """A product with a champion, in `folder`."""
    product = make_product(folder, text)
    with open_store(product.home) as store:
        promote(store, write_release(product.home))
    return product
