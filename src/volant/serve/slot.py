"""A release that is ready to answer: verified, loaded, and warmed up before it sees a caller."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from volant.columns.media import is_media
from volant.core.records import Batch, Signature
from volant.errors import Failure, VolantError
from volant.runtime.load import Release, open_release
from volant.runtime.rows import answers, rows_to_batch, to_array, type_of
from volant.runtime.seal import require_seal
from volant.serve.batches import Batches
from volant.serve.reader import Reader, Table

INLINE_SECONDS = 0.002
"""A request that is expected to take longer than this leaves the event loop."""

_WARM_ROWS = 64


@dataclass(frozen=True, eq=False)
class Slot:
    """A loaded release. `inline_bytes` is the size of body up to which it answers within `INLINE_SECONDS`.

    `pace` is about how many seconds it takes for a byte of a large body.
    """

    release: Release
    inline_bytes: int
    pace: float = 0.0

    @cached_property
    def name(self) -> str:
        """The first 12 digits of the release's digest: its name for callers."""
        return self.release.digest[:12]

    @cached_property
    def reader(self) -> Reader:
        """Reads bodies into what the release takes."""
        return Reader(self.release.signature)

    @cached_property
    def batches(self) -> Batches:
        """Makes of rows what the release takes."""
        return Batches(self.release)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The names of the inputs whose cells are files."""
        return tuple(field.name for field in self.signature.inputs if is_media(field.type))

    @cached_property
    def person(self) -> str | None:
        """The input that says who asks, where answers have offsets of people: the subject of a request goes there."""
        own = [step.inputs[1] for step in self.release.runner.pipeline.steps if "salt" in step.params]
        return own[0] if own else None

    def of_people(self, table: Table) -> Table:
        """The rows with whoever asks in both places, as the input of the release and as the subject that is logged."""
        if self.person is None:
            return table
        cells = table.columns[self.person]
        whose = [cell if one is None else one for one, cell in zip(table.subjects, cells, strict=True)]
        return msgspec.structs.replace(
            table, columns={**table.columns, self.person: self._known(table.subjects, cells)}, subjects=whose
        )

    def of_people_in(self, batch: Batch, subjects: Sequence[str | None]) -> Batch:
        """The same for rows that are arrays already and are not logged."""
        if self.person is None:
            return batch
        known = self._known(subjects, batch[self.person].tolist())
        return {**batch, self.person: to_array(known, self._person_type)}

    def _known(self, subjects: Sequence[str | None], cells: Sequence[Any]) -> list[Any]:
        return [cell if one is None else self._parsed(one) for one, cell in zip(subjects, cells, strict=True)]

    def _parsed(self, subject: str) -> Any:
        """A subject as the column holds it; nobody where it cannot be one, say a word among numbers."""
        try:
            return self._person_type.parse_cell(subject)
        except ValueError:
            return None

    @cached_property
    def _person_type(self) -> Any:
        return type_of(next(field for field in self.signature.inputs if field.name == self.person), self.signature)

    @property
    def signature(self) -> Signature:
        return self.release.signature


def example_row(signature: Signature) -> dict[str, Any]:
    """A row as callers send it, made of the signature's examples."""
    return {field.name: field.example for field in signature.inputs}


def finite(outputs: Batch) -> bool:
    """Whether every number of an answer is one."""
    return all(np.isfinite(array).all() for array in outputs.values() if array.dtype.kind == "f")


def load(folder: Path, digest: str | None = None, *, threads: int = 1, signers: Sequence[str] = ()) -> Slot:
    """Open a release, verify it, and run it on examples until it is warm; `digest` is the one it must have.

    `signers` are those one of whom must have sealed it, if there are any.

    One thread is best where every core has a process that answers.

    Raises:
        VolantError: code `artifact-…`: it is damaged, nobody vouches for it, or it does not answer; `too-large`: there
            is no memory for it.
    """
    try:
        require_seal(folder, signers)
        release = open_release(folder, digest=digest, threads=threads)
        one = _seconds(release, 1)
        many = _seconds(release, _WARM_ROWS)
    except VolantError:
        raise
    except MemoryError:
        fix = "give the service more memory, or train with quality.limits.memory_mb"
        raise Failure("there is no memory to load a release", code="too-large", where=folder.name, fix=fix) from None
    except Exception as cause:  # whatever a model's library raises
        raise Failure(
            "a release fails on the example in its own signature",
            code="artifact-damaged",
            where=folder.name,
            got=type(cause).__name__,
            fix="roll back, or train again",
        ) from cause
    size = len(msgspec.json.encode(example_row(release.signature))) * _WARM_ROWS
    slot = Slot(release, int(size * INLINE_SECONDS / many) if one < INLINE_SECONDS else 0, many / size)
    return replace(slot, inline_bytes=0) if slot.files else slot  # how long a file takes, its size does not tell


def keep_out_of_the_collector() -> None:
    """What is loaded by now stays: the garbage collector need not walk through it again and again.

    Releases hold no cycles, so they are let go of all the same.
    """
    gc.collect()
    gc.freeze()


def _seconds(release: Release, count: int) -> float:
    """How long a batch of `count` examples takes, at best."""
    rows = [example_row(release.signature)] * count
    took = []
    for _ in range(3):
        begun = time.thread_time()  # processor time: how busy the machine is at the moment must not count
        batch, _flags = rows_to_batch(rows, release.signature)
        outputs = release.predict(batch)
        if len(answers(outputs, release.signature)) != count:
            raise ValueError("one answer per row was expected")
        if not finite(outputs):
            raise ArithmeticError("an answer holds numbers that are none")
        took.append(time.thread_time() - begun)
    return max(min(took), 1e-6)
