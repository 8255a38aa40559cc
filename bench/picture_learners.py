"""Each learner of pictures beside its reference: the same network as others write it, trained by a plain loop.

Of CIFAR-10's training rows some are learned from and others asked about; its test rows are not read. Both sides make
the same passes through the same rows, with the same batch, rate and loss, and without augmentation, so that what
differs is the implementation. References: `cnn` and `convnet` Keras with the network of the tutorials (by VOLANT_KERAS,
left out without it); `resnet` and `vit` those of transformers (of `resnet` the first layer as is usual for 32 × 32);
`backbone` features of transformers with scikit-learn's logistic regression on top. A line per pair, as soon as it has
ended. Needs VOLANT_DATA; with the usual sizes about fifteen minutes on two cores.

    python bench/picture_learners.py
    python bench/picture_learners.py --learners cnn vit --rows 2000 --epochs 2
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BATCH, ASKED, SMOOTHING = 64, 2_000, 0.1
WIDTH, DEPTH, FEATURES = 16, 4, 128
"""Of the residual networks, and layers and numbers per patch of the transformer."""
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "cnn": ("cnn", {"batch": 32}),
    "convnet": ("convnet", {"widths": "32,96,128"}),
    "resnet18": ("resnet", {"width": WIDTH, "batch": BATCH, "rate": 3e-3, "decay": 0.05}),
    "resnet50": ("resnet", {"layers": 50, "width": WIDTH, "batch": BATCH, "rate": 3e-3, "decay": 0.05}),
    "vit": ("vit", {"width": FEATURES, "depth": DEPTH, "batch": BATCH, "rate": 1e-3, "decay": 0.05, "dropout": 0.0}),
    "backbone": ("backbone", {"tune": "frozen"}),
}
PLAIN = {"augment": "none"}
"""What all but the quick network, whose recipe is what is measured, are told besides."""


def tables(rows: int) -> tuple[pa.Table, pa.Table]:
    """Rows to learn from and rows to ask about, `image` and `label`."""
    found = pq.read_table(Path(os.environ["VOLANT_DATA"]) / "cifar10" / "cifar10_train.parquet")
    found = found.select(["image", "label"]).take(np.random.default_rng(0).permutation(len(found)))
    return found.slice(0, rows), found.slice(rows, ASKED)


def ours(name: str, given: pa.Table, asked: pa.Table, epochs: int, folder: Path) -> dict[str, Any]:
    """One fit of volant's learner, exported and asked."""
    from dataclasses import replace

    from volant.core import plugins
    from volant.core.protocols import RunContext
    from volant.core.records import Column, Problem, Schema
    from volant.runtime.load import Runner
    from volant.testing.rows import MemoryRows

    def rows(table: pa.Table) -> MemoryRows:
        label = table.column("label").cast(pa.string())
        schema = Schema((Column("image", "image"), Column("label", "category", "target")))
        return MemoryRows.of(schema, pa.table({"image": table.column("image").cast(pa.large_binary()), "label": label}))

    kind, options = OPTIONS[name]
    learner, data = plugins.load("learners", kind), rows(given)
    classes = tuple(str(i) for i in range(10))
    problem = Problem("classify", "label", (Column("image", "image"),), len(data), classes, "log_loss")
    told = options | ({} if kind == "convnet" else PLAIN) | ({} if kind == "backbone" else {"epochs": epochs})
    if kind == "backbone":
        told = told | {"source": source(folder)}
    learner.wake()
    began = time.monotonic()
    model = learner.fit(data, problem, replace(learner.portfolio(problem)[0], **told), RunContext(seed=0, threads=2))
    spent = time.monotonic() - began
    place = folder / "volant"
    place.mkdir()
    said = Runner(model.export(place), place, 2).predict(rows(asked).batch(["image"]))["probability"]
    return {"accuracy": _right(said, asked), "seconds": round(spent, 1), "weights": model.facts()["weights"]}


def source(folder: Path) -> str:
    """The pretrained network: that of VOLANT_BACKBONE, or a tiny one whose weights mean nothing."""
    if "VOLANT_BACKBONE" in os.environ:
        return os.environ["VOLANT_BACKBONE"]
    from volant.bind.transformers import write_example

    if not (folder / "tiny").is_dir():
        write_example(folder / "tiny")
    return str(folder / "tiny")


def _right(said: np.ndarray, asked: pa.Table) -> float:
    return round(float((said.argmax(axis=1) == asked.column("label").to_numpy()).mean()), 4)


def pixels(table: pa.Table) -> np.ndarray:
    """Pictures as float32 (n, 3, 32, 32) in [0, 1]."""
    import io

    from PIL import Image

    found = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in table.column("image").to_pylist()]
    return np.ascontiguousarray(np.stack(found).transpose(0, 3, 1, 2), dtype=np.float32) / 255.0


def keras(_: str, given: pa.Table, asked: pa.Table, epochs: int, folder: Path) -> dict[str, Any] | None:
    """The network of the tutorials by Keras, in its own environment."""
    if "VOLANT_KERAS" not in os.environ:
        return None
    places = [str(folder / f"{name}.parquet") for name in ("given", "asked")]
    for table, place in zip((given, asked), places, strict=True):
        pq.write_table(table, place)
    script = Path(__file__).parent / "peers" / "keras_pictures.py"
    out = folder / "keras"
    command = [os.environ["VOLANT_KERAS"], str(script), *places, str(epochs), str(out)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env={**os.environ, "BENCH_BEGAN": repr(time.time())})
    told = json.loads(out.with_suffix(".json").read_text())
    said = np.load(out.with_suffix(".npz"))["probability"]
    return {"by": "keras", "accuracy": _right(said, asked), "seconds": round(told["seconds"] - told["imported"], 1)}


def _resnet(layers: int) -> Any:
    from torch import nn
    from transformers import ResNetConfig, ResNetForImageClassification

    wide = layers == 50
    sizes = [WIDTH * 2**i * (4 if wide else 1) for i in range(4)]
    kind, depths = ("bottleneck", [3, 4, 6, 3]) if wide else ("basic", [2, 2, 2, 2])
    shape = {"embedding_size": WIDTH, "hidden_sizes": sizes, "depths": depths, "layer_type": kind}
    model = ResNetForImageClassification(ResNetConfig(**shape, num_labels=10))
    stem = model.resnet.embedder
    stem.embedder.convolution = nn.Conv2d(3, WIDTH, 3, 1, 1, bias=False)
    stem.pooler = nn.Identity()
    return model


def _vit() -> Any:
    from transformers import ViTConfig, ViTForImageClassification

    shape = {"hidden_size": FEATURES, "num_hidden_layers": DEPTH, "num_attention_heads": FEATURES // 64}
    more = {"intermediate_size": 4 * FEATURES, "image_size": 32, "patch_size": 4, "num_labels": 10}
    return ViTForImageClassification(ViTConfig(**shape, **more))


def plain(name: str, given: pa.Table, asked: pa.Table, epochs: int, _: Path) -> dict[str, Any]:
    """The network of transformers, trained by the loop that everybody writes."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(2)
    model = _vit() if name == "vit" else _resnet(int(name.removeprefix("resnet")))
    rate, decay = OPTIONS[name][1]["rate"], OPTIONS[name][1]["decay"]
    began = time.monotonic()
    x, y = torch.from_numpy(pixels(given)), torch.from_numpy(given.column("label").to_numpy().astype(np.int64))
    centre, spread = x.mean(dim=(0, 2, 3), keepdim=True), x.std(dim=(0, 2, 3), keepdim=True)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset((x - centre) / spread, y), BATCH, shuffle=True)
    optimiser = torch.optim.AdamW(model.parameters(), rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * len(loader))
    loss_of = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    model.train()
    for _epoch in range(epochs):
        for some, truth in loader:
            loss_of(model(pixel_values=some).logits, truth).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
    spent = time.monotonic() - began
    model.eval()
    with torch.inference_mode():
        wanted = (torch.from_numpy(pixels(asked)) - centre) / spread
        said = torch.cat([model(pixel_values=part).logits for part in wanted.split(200)]).numpy()
    weights = sum(p.numel() for p in model.parameters())
    return {"by": "transformers", "accuracy": _right(said, asked), "seconds": round(spent, 1), "weights": weights}


def probe(_: str, given: pa.Table, asked: pa.Table, epochs: int, folder: Path) -> dict[str, Any]:
    """Features of the pretrained network, and scikit-learn's lines through them."""
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from volant.bind.transformers import pretrained, side_of

    place = source(folder)
    found, side = pretrained(place), side_of(place)
    began = time.monotonic()

    def seen(table: pa.Table) -> np.ndarray:
        x = torch.nn.functional.interpolate(torch.from_numpy(pixels(table)), (side, side), mode="area")
        x = (x - torch.tensor(found.mean).view(1, 3, 1, 1)) / torch.tensor(found.spread).view(1, 3, 1, 1)
        with torch.inference_mode():
            states = [found.model(pixel_values=part).last_hidden_state for part in x.split(64)]
        return np.concatenate([np.concatenate([s[:, 0], s[:, 1:].mean(dim=1)], axis=1) for s in states])

    lines = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    lines.fit(seen(given), given.column("label").to_numpy())
    spent = time.monotonic() - began
    said = lines.predict_proba(seen(asked))
    return {"by": "transformers, scikit-learn", "accuracy": _right(said, asked), "seconds": round(spent, 1)}


REFERENCES: dict[str, Callable[..., dict[str, Any] | None]] = {
    "cnn": keras,
    "convnet": keras,
    "resnet18": plain,
    "resnet50": plain,
    "vit": plain,
    "backbone": probe,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--learners", nargs="*", default=list(OPTIONS), choices=list(OPTIONS))
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--epochs", type=int, default=5)
    asked = parser.parse_args()
    if "VOLANT_DATA" not in os.environ:
        print(json.dumps({"row": "learners of pictures", "skipped": "no data: set VOLANT_DATA"}))
        return
    given, wanted = tables(asked.rows)
    for name in asked.learners:
        with tempfile.TemporaryDirectory(prefix="volant-learners-") as place:
            told = {"row": name, "rows": asked.rows, "epochs": asked.epochs}
            told["volant"] = ours(name, given, wanted, asked.epochs, Path(place))
            told["reference"] = REFERENCES[name](name, given, wanted, asked.epochs, Path(place))
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    sys.exit(main())
