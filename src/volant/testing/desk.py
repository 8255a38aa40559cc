"""A desk in this process: answers rows with a product's champion and takes what is said, without a service between.

What users see and what is kept is the same as over HTTP; only the way there is shorter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from volant.core.records import Feedback
from volant.runtime.load import Release
from volant.runtime.rows import answers, rows_to_batch
from volant.serve.repeated import ids_of
from volant.store import PredictionRecord
from volant.store.part import iso
from volant.wheel.context import Context
from volant.wheel.predict import need_champion

_TAKEN = ("kind", "value", "actor", "source", "idempotency_key", "event_at", "rationale", "supersedes", "valid")


class OfficeDesk:
    """Where simulated users go; see `volant.testing.simulate.Desk`.

    Args:
        context: the product, opened.
        seed: of whose label is asked for whatever was answered, and of the ids, by which groups agree on what to say;
            the same visits to the same product get the same ids.
        audit: the share of those; by default that of the product file.
    """

    def __init__(self, context: Context, *, seed: int = 0, audit: float | None = None) -> None:
        self._context = context
        self._seed, self._chance = seed, np.random.default_rng(seed)
        self._audit = context.product.file.feedback.audit if audit is None else audit
        self._release: Release | None = None

    @property
    def release(self) -> Release:
        """What answers now."""
        row = self._context.store.champion()
        if self._release is None or row is None or row.release != self._release.digest:
            self._release = need_champion(self._context)
        return self._release

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The answers to some rows, in their order, each with the id of its prediction."""
        release, at = self.release, iso(self._context.clock.now())
        names = {field.name for field in release.signature.inputs}
        given = [{name: value for name, value in row.items() if name in names} for row in rows]
        batch, _ = rows_to_batch(given, release.signature)
        found = answers(release.predict(batch), release.signature)
        before = self._context.store.counts()["predictions"]
        ids, asked = ids_of(f"desk {self._seed} {before}", len(rows)), self._chance.random(len(rows)) < self._audit
        log = self._context.store.prediction_log()
        log.append(
            [
                PredictionRecord(id=id, release=release.digest, at=at, input=row, output=output, audit=bool(one))
                for id, row, output, one in zip(ids, given, found, asked, strict=True)
            ]
        )
        log.close()
        return [{"id": id, **output} for id, output in zip(ids, found, strict=True)]

    def send(self, items: Sequence[Mapping[str, Any]]) -> Any:
        """Take feedback, as the body of `POST /v1/feedback` holds it."""
        told = [
            Feedback(str(one["prediction_id"]), **{name: one[name] for name in _TAKEN if name in one}) for one in items
        ]
        return self._context.store.add_feedback(told)
