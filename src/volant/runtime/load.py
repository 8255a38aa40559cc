"""Opening an artifact: every file verified, the pipeline compiled, nothing executed that it brings along."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from volant.core.ids import file_digest, files_digest
from volant.core.records import Batch, Call, Pipeline, Signature, Step
from volant.errors import BadInput, Failure
from volant.runtime.steps import HEAVY, compile_step, floats

Compiled = tuple[Callable[..., np.ndarray], tuple[str, ...], str]
"""A step's function, what it takes and what it gives."""

MANIFEST_VERSION = 1
PIPELINE_VERSION = 1
DEFAULT_THREADS = 2
AT_ONCE = 256
"""Rows that are run at a time where a step holds much for each."""


class Runner:
    """A compiled pipeline. It has no state, so threads may share it.

    `groups` are the runs of numbers that are made ready at once: the inputs of each, by the name of the value that they
    become (see `steps.floats`). Who has that value at hand may give it in their place, where no column bears its name.
    `alone` are the inputs that something else needs, too.
    """

    def __init__(self, pipeline: Pipeline, folder: Path, threads: int = DEFAULT_THREADS) -> None:
        self.pipeline = pipeline
        self._heavy = any(step.op in HEAVY for step in pipeline.steps)
        self._steps = [_compiled(step, folder, threads) for step in pipeline.steps]
        self._fast = _together(pipeline, self._steps)
        made = {step.output for step in pipeline.steps}
        fused = {output: inputs for run, inputs, output in self._fast if run is floats}
        self.groups = {output: inputs for output, inputs in fused.items() if made.isdisjoint(inputs)}
        others = {name for _, inputs, output in self._fast if output not in self.groups for name in inputs}
        self.alone = frozenset({*others, *pipeline.outputs.values()} - made - set(self.groups))

    def predict(self, batch: Batch, call: Call | None = None) -> dict[str, np.ndarray]:
        """Run the steps on canonical columns, shape (n, …) each, or `groups` of them; gives the pipeline's outputs.

        Where steps hold much for each row, as those that decode pictures do, a few hundred rows are run at a time.
        """
        rows = len(next(iter(batch.values()), ()))
        if not self._heavy or rows <= AT_ONCE:
            return self._run(batch)
        lots = [{name: values[i : i + AT_ONCE] for name, values in batch.items()} for i in range(0, rows, AT_ONCE)]
        parts = [self._run(lot) for lot in lots]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run(self, batch: Batch) -> dict[str, np.ndarray]:
        values: dict[str, np.ndarray] = dict(batch)
        given = [o for o, inputs in self.groups.items() if o in batch and any(name not in batch for name in inputs)]
        for run, inputs, output in self._fast:
            if output not in given:
                values[output] = run(*[values[name] for name in inputs])
        return {name: values[source] for name, source in self.pipeline.outputs.items()}

    def value(self, name: str, given: Batch, steps: Collection[str]) -> np.ndarray:
        """One value of the pipeline, from values that are given, by running only the steps of these outputs."""
        values: dict[str, np.ndarray] = dict(given)
        for run, inputs, output in self._steps:
            if output in steps:
                values[output] = run(*[values[source] for source in inputs])
        return values[name]


def _compiled(step: Step, folder: Path, threads: int) -> Compiled:
    file = None if step.file is None else inside(folder, step.file)
    return compile_step(step.op, step.params, file, threads), step.inputs, step.output


def _together(pipeline: Pipeline, steps: Sequence[Compiled]) -> list[Compiled]:
    """The same steps, with numbers that are stacked side by side made ready at once: it is most of a row's time.

    A column that bears the name of a value is left where it is read: later on it would be that value.
    """
    made = {step.output for step in pipeline.steps}
    numbers = [step for step in pipeline.steps if step.op == "float" and step.inputs[0] not in made]
    source = {step.output: step.inputs[0] for step in numbers}
    fast: list[Compiled] = []
    for step, (run, inputs, output) in zip(pipeline.steps, steps, strict=True):
        if step.op == "stack":
            inputs = tuple(_runs(inputs, source, fast))
            if fast and inputs == (fast[-1][2],) and fast[-1][0] is floats:
                run, inputs, _ = fast.pop()  # there is nothing else to put beside these numbers
        fast.append((run, inputs, output))
    used = {*pipeline.outputs.values(), *(name for _, inputs, _ in fast for name in inputs)}
    return [one for one in fast if one[2] in used or one[2] not in source]


def _runs(inputs: Sequence[str], source: Mapping[str, str], fast: list[Compiled]) -> Iterator[str]:
    """The inputs of a stack, each run of numbers replaced by one value, whose step is appended to `fast`."""
    for plain, group in groupby(inputs, source.__contains__):
        names = list(group)
        if not plain or len(names) < 2:
            yield from names
            continue
        together = "|".join(names)
        if together not in (output for _, _, output in fast):
            fast.append((floats, tuple(source[one] for one in names), together))
        yield together


def inside(folder: Path, name: str) -> Path:
    """The path of an artifact's file, refused if it would lie outside its folder or is a link."""
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts or path.is_symlink():
        raise BadInput(
            "an artifact names a file outside its folder", code="artifact-damaged", where=name, fix="train again"
        )
    return path


@dataclass(frozen=True)
class Release:
    """An opened candidate or release: its contract, and `predict`."""

    digest: str
    folder: Path
    signature: Signature
    runner: Runner
    profile: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, batch: Batch, call: Call | None = None) -> dict[str, np.ndarray]:
        """Answers for canonical columns; see `Runner.predict`."""
        return self.runner.predict(batch, call)


def read_json(folder: Path, name: str) -> Any:
    """One JSON file of an artifact.

    Raises:
        BadInput: code `artifact-damaged`.
    """
    try:
        return json.loads(inside(folder, name).read_bytes())
    except FileNotFoundError:
        raise _damaged(folder, name, "the file is missing") from None
    except (OSError, ValueError, RecursionError) as cause:
        raise _damaged(folder, name, "the file is not valid JSON") from cause


def _damaged(folder: Path, name: str, what: str) -> BadInput:
    return BadInput(
        f"an artifact is damaged: {what}",
        code="artifact-damaged",
        where=f"{folder.name}/{name}",
        fix="restore the folder from a backup, roll back to another release, or train again",
    )


def verify(folder: Path) -> str:
    """Compare every file with the manifest and give the artifact's digest.

    Raises:
        BadInput: codes `artifact-damaged`, `artifact-version`.
    """
    manifest = read_json(folder, "manifest.json")
    if isinstance(manifest, dict):
        _refuse_newer(folder, manifest.get("version"), MANIFEST_VERSION)
    if not _is_manifest(manifest):
        raise _damaged(folder, "manifest.json", "it is not a manifest")
    for name, expected in manifest["files"].items():
        path = inside(folder, name)
        if not path.is_file():
            raise _damaged(folder, name, "the file is missing")
        if file_digest(path) != expected:
            raise _damaged(folder, name, "its bytes are not those that were written")
    model = {name: manifest["files"][name] for name in manifest["model"] if name in manifest["files"]}
    if files_digest(model) != manifest["digest"] or len(model) != len(manifest["model"]):
        raise _damaged(folder, "manifest.json", "the digest does not belong to these files")
    return str(manifest["digest"])


def _is_manifest(found: Any) -> bool:
    if not isinstance(found, dict) or not isinstance(found.get("files"), dict):
        return False
    texts = [*found["files"].values(), *found["model"]] if isinstance(found.get("model"), list) else [None]
    return all(isinstance(text, str) for text in [*texts, found.get("digest")])


def _refuse_newer(folder: Path, version: Any, known: int) -> None:
    if isinstance(version, int) and version > known:
        raise BadInput(
            "an artifact was written in a newer format",
            code="artifact-version",
            where=folder.name,
            got=str(version),
            fix="upgrade volant",
        )


def open_release(folder: Path, *, digest: str | None = None, threads: int = DEFAULT_THREADS) -> Release:
    """Open a candidate or release; `digest` is the one it must have, where that is known.

    Raises:
        BadInput: codes `artifact-damaged`, `artifact-version`, `artifact-unknown-step`.
    """
    found = verify(folder)
    if digest is not None and found != digest:
        raise _damaged(folder, "manifest.json", "the folder holds another artifact than its name says")
    try:
        pipeline = Pipeline.of(read_json(folder, "pipeline.json"))
        signature = Signature.of(read_json(folder, "signature.json"))
    except (AttributeError, KeyError, TypeError, ValueError) as cause:
        raise _damaged(folder, "pipeline.json", "it does not describe a pipeline") from cause
    _refuse_newer(folder, pipeline.version, PIPELINE_VERSION)
    try:
        runner = Runner(pipeline, folder, threads)
    except (BadInput, Failure):
        raise
    except Exception as cause:  # whatever a damaged model file makes its library raise
        raise _damaged(folder, "pipeline.json", "a step cannot be loaded") from cause
    return Release(found, folder, signature, runner, read_json(folder, "profile.json"))
