"""Candidates: a code-free folder with pipeline, model files, signature, profile, manifest and evaluation."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from volant.core.ids import canonical_json, digest, file_digest, files_digest
from volant.core.records import Pipeline, Signature, Step
from volant.errors import BadInput
from volant.runtime.load import MANIFEST_VERSION, Release, open_release, verify


@dataclass(frozen=True)
class Part:
    """An exported pipeline in its folder, and its weight among others."""

    pipeline: Pipeline
    folder: Path
    weight: float


def combine(parts: Sequence[Part], output: str, folder: Path) -> Pipeline:
    """Copy the parts' files into `folder` and average their outputs. Equal steps run once."""
    steps: list[Step] = []
    known: dict[str, str] = {}
    results: list[str] = []
    for place, part in enumerate(parts):
        names: dict[str, str] = {}
        for step in part.pipeline.steps:
            moved = _moved(step, names, place, part.folder, folder)
            same = _likeness(moved)
            if same not in known:
                known[same] = moved.output
                steps.append(moved)
            names[step.output] = known[same]
        results.append(names[part.pipeline.outputs[output]])
    if len(parts) == 1:
        return Pipeline(tuple(steps), {output: results[0]})
    steps.append(Step("average", tuple(results), "mixed", {"weights": [p.weight for p in parts]}))
    return Pipeline(tuple(steps), {output: "mixed"})


def extended(pipeline: Pipeline, more: Part, folder: Path, *, name: str, given: Mapping[str, str]) -> Pipeline:
    """A pipeline with the steps and outputs of another part, whose files are copied into `folder`.

    `name` begins the names of what is added. `given` tells values of the pipeline by what the part calls them.
    Equal steps run once.
    """
    known = {_likeness(step): step.output for step in pipeline.steps}
    steps, names = list(pipeline.steps), dict(given)
    for step in more.pipeline.steps:
        moved = _moved(step, names, name, more.folder, folder)
        if _likeness(moved) not in known:
            known[_likeness(moved)] = moved.output
            steps.append(moved)
        names[step.output] = known[_likeness(moved)]
    added = {output: names[value] for output, value in more.pipeline.outputs.items()}
    return replace(pipeline, steps=tuple(steps), outputs={**pipeline.outputs, **added})


def _likeness(step: Step) -> str:
    """What two steps share that give the same value."""
    return digest([step.op, step.inputs, dict(step.params), step.file])


def _moved(step: Step, names: Mapping[str, str], place: int | str, source: Path, folder: Path) -> Step:
    inputs = tuple(names.get(name, name) for name in step.inputs)
    file = None
    if step.file is not None:
        file = f"{place}-{step.file}"
        shutil.copyfile(source / step.file, folder / file)
    return replace(step, inputs=inputs, output=f"{place}/{step.output}", file=file)


class Draft:
    """A candidate that is being made in a temporary folder; `finish` puts it in its place.

    One process trains a product at a time, so drafts that are found were left by one that was killed.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        for stale in root.glob(".new-*"):
            shutil.rmtree(stale, ignore_errors=True)
        self.root = root
        self.folder = root / f".new-{uuid.uuid4().hex}"
        self.folder.mkdir()

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, pipeline: Pipeline, signature: Signature, profile: Mapping[str, Any]) -> str:
        """Write what the digest covers, and the profile beside it; gives the digest."""
        (self.folder / "pipeline.json").write_bytes(canonical_json(pipeline.record()))
        (self.folder / "signature.json").write_bytes(canonical_json(signature.record()))
        files = ["pipeline.json", "signature.json", *sorted({s.file for s in pipeline.steps if s.file})]
        self.model = {name: file_digest(self.folder / name) for name in files}
        self.add("profile.json", json.dumps(profile, ensure_ascii=False, indent=1).encode())
        return self._manifest()

    def add(self, name: str, data: bytes) -> None:
        """Add a file that the digest does not cover."""
        (self.folder / name).write_bytes(data)

    def _manifest(self) -> str:
        names = sorted(p.name for p in self.folder.iterdir() if p.name not in ("manifest.json", "report.html"))
        record = {
            "version": MANIFEST_VERSION,
            "digest": files_digest(self.model),
            "model": sorted(self.model),
            "files": {name: file_digest(self.folder / name) for name in names},
        }
        (self.folder / "manifest.json").write_text(json.dumps(record, indent=1))
        return str(record["digest"])

    def open(self, threads: int) -> Release:
        """Open the draft as the runtime will."""
        return open_release(self.folder, threads=threads)

    def finish(self) -> Path:
        """Flush everything and rename the folder to its digest. An equal candidate that is whole is kept."""
        final = self.root / self._manifest()
        for path in self.folder.iterdir():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        if final.exists() and not _is_whole(final):
            final.rename(self.root / f".damaged-{uuid.uuid4().hex}")
        if not final.exists():
            self.folder.rename(final)
        return final


def _is_whole(folder: Path) -> bool:
    try:
        return verify(folder) == folder.name
    except BadInput:
        return False
