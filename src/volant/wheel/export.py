"""A release on its own: its files, and clients that need no volant."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path

from volant.errors import BadInput
from volant.release.plain.predict import STEPS
from volant.runtime.load import Release, inside, read_json
from volant.runtime.rows import answers, rows_to_batch
from volant.wheel.context import Context
from volant.wheel.history import open_candidate
from volant.wheel.results import Exported

CLIENTS = ("predict.py", "predict.mjs", "index.html")
PLAIN_TYPES = ("number", "boolean", "category", "text", "timestamp", "id")
"""Column types whose cells the plain clients read."""


def export(context: Context, release: str | None = None, out: Path | None = None) -> Exported:
    """Write a release, by default the champion, into a folder of its own.

    The folder holds the model (`pipeline.json`, `signature.json`, ONNX files), a client for Python and one for browsers
    that need no volant, an example, and what volant answers to it.

    Raises:
        BadInput: codes `no-release`, `no-candidate`, `usage` (the folder is in use, or the release does what the
            plain clients cannot), `artifact-…`.
    """
    found = open_candidate(context, _digest(context, release))
    _refuse_what_is_not_plain(found)
    place = out or context.product.folder / f"{context.product.name}-{found.digest[:12]}"
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise BadInput("the folder is in use", code="usage", where=str(place), fix="name another one with --out")
    model = place / "model"
    model.mkdir(parents=True, exist_ok=True)
    for name in read_json(found.folder, "manifest.json")["model"]:
        shutil.copyfile(inside(found.folder, name), model / Path(name).name)
    for name in CLIENTS:
        (place / name).write_bytes(files("volant.release.plain").joinpath(name).read_bytes())
    rows = [{field.name: field.example for field in found.signature.inputs}]
    batch, _ = rows_to_batch(rows, found.signature)
    _write(place / "example.json", rows)
    _write(place / "answer.json", answers(found.predict(batch), found.signature))
    (place / "README.md").write_text(_readme(context.product.name, found), encoding="utf-8")
    return Exported(found.digest, str(place), tuple(sorted(str(p.relative_to(place)) for p in place.rglob("*.*"))))


def _digest(context: Context, release: str | None) -> str:
    if release is not None:
        return context.store.candidate(release).digest
    champion = context.store.champion()
    if champion is None:
        fix = "run `volant train`: what passes the gate is a release"
        raise BadInput("there is no release to export yet", code="no-release", fix=fix)
    return champion.release


def _refuse_what_is_not_plain(found: Release) -> None:
    steps = sorted({step.op for step in found.runner.pipeline.steps} - set(STEPS))
    kinds = sorted({field.type for field in found.signature.inputs} - set(PLAIN_TYPES))
    if steps or kinds:
        fix = "serve it with volant, or train with learners that do without (`train.learners`)"
        got = ", ".join([*(f"step {name}" for name in steps), *(f"column type {name}" for name in kinds)])
        what = "the plain clients cannot do what this release does"
        raise BadInput(what, code="usage", where=found.digest[:12], got=got, fix=fix)


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _readme(name: str, found: Release) -> str:
    return f"""# {name}, release {found.digest[:12]}

Predicts `{found.signature.target}`. The model is in `model/`: `pipeline.json` lists its steps in order, the ONNX
files hold what was learned, `signature.json` names fields, types and classes. `answer.json` is what volant answers
to `example.json`; both clients must give the same.

- Python: `pip install numpy onnxruntime`, then `python predict.py`
- Browser: `python -m http.server`, then open http://127.0.0.1:8000; it loads onnxruntime-web
- Node: `import {{ Model }} from "./predict.mjs"` with `onnxruntime-web` or `onnxruntime-node`
"""
