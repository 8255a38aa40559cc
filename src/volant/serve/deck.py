"""Who answers: the champion, loaded and warmed up before it sees a caller, swapped in one assignment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from volant.core.records import Batch, Signature
from volant.errors import Failure, VolantError
from volant.runtime.load import Release, open_release
from volant.runtime.rows import answers, rows_to_batch
from volant.store.records import DeploymentRow

INLINE_SECONDS = 0.002
"""A request that is expected to take longer than this leaves the event loop for a thread."""

RETRY_SECONDS = 10.0
"""A release that could not be loaded is tried again after this long."""

_WARM_ROWS = 64


@dataclass(frozen=True, eq=False)
class Slot:
    """A release that is ready to answer, and the deployment that put it there.

    `inline_bytes` is the size of body up to which a request is answered in the event loop.
    """

    release: Release
    deployment: int
    inline_bytes: int

    @cached_property
    def name(self) -> str:
        """The first 12 digits of the release's digest: its name for callers."""
        return self.release.digest[:12]

    @property
    def signature(self) -> Signature:
        return self.release.signature


def example_row(signature: Signature) -> dict[str, Any]:
    """A row as callers send it, made of the signature's examples."""
    return {field.name: field.example for field in signature.inputs}


def finite(outputs: Batch) -> bool:
    """Whether every number of an answer is one."""
    return all(np.isfinite(array).all() for array in outputs.values() if array.dtype.kind == "f")


def load(folder: Path, deployment: int, digest: str | None = None) -> Slot:
    """Open a release, verify it, and run it on examples until it is warm; `digest` is the one it must have.

    Raises:
        VolantError: it is damaged, or does not answer.
    """
    release = open_release(folder, digest=digest)
    try:
        one = _seconds(release, 1)
        many = _seconds(release, _WARM_ROWS)
    except VolantError:
        raise
    except Exception as cause:  # whatever a model's library raises
        raise Failure(
            "a release fails on the example in its own signature",
            code="artifact-damaged",
            where=folder.name,
            got=type(cause).__name__,
            fix="roll back, or train again",
        ) from cause
    size = len(msgspec.json.encode(example_row(release.signature))) * _WARM_ROWS
    return Slot(release, deployment, int(size * INLINE_SECONDS / many) if one < INLINE_SECONDS else 0)


def _seconds(release: Release, count: int) -> float:
    """How long a batch of `count` examples takes, at best."""
    rows = [example_row(release.signature)] * count
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        batch, _flags = rows_to_batch(rows, release.signature)
        if len(answers(release.predict(batch), release.signature)) != count:
            raise ValueError("one answer per row was expected")
        took.append(time.perf_counter() - begun)
    return max(min(took), 1e-6)


class Deck:
    """The releases that answer. Requests read `champion` once and keep what they read, whatever is swapped in.

    Args:
        candidates: the folder that holds a folder per release.
        latest: gives the deployment that should be served, or None.
    """

    def __init__(
        self,
        candidates: Path,
        latest: Callable[[], DeploymentRow | None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.champion: Slot | None = None
        self._candidates = candidates
        self._latest = latest
        self._monotonic = monotonic
        self._refused: tuple[int, float] | None = None

    def refresh(self) -> Slot | None:
        """Load what should be served, if it is not what is; gives the new champion when there is one.

        Raises:
            VolantError: the new release cannot be loaded. The old one serves on, and after
                `RETRY_SECONDS` the new one is tried again.
        """
        wanted = self._latest()
        if wanted is None or self._is_served(wanted) or self._was_just_refused(wanted):
            return None
        try:
            slot = load(self._candidates / wanted.release, wanted.seq, wanted.release)
        except VolantError:
            self._refused = wanted.seq, self._monotonic() + RETRY_SECONDS
            raise
        self._refused = None
        self.champion = slot
        return slot

    @property
    def pending(self) -> bool:
        """Whether a release that should be served could not be loaded."""
        return self._refused is not None

    def _is_served(self, wanted: DeploymentRow) -> bool:
        return self.champion is not None and self.champion.deployment == wanted.seq

    def _was_just_refused(self, wanted: DeploymentRow) -> bool:
        return self._refused is not None and self._refused[0] == wanted.seq and self._monotonic() < self._refused[1]


def release_facts(slot: Slot, policy: str = "champion") -> Mapping[str, str]:
    """What names a release on `/metrics`."""
    signature = slot.signature
    return {"release": slot.name, "contract": str(signature.contract), "task": signature.task, "policy": policy}
