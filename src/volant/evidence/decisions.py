"""What became of the evidence: a status and a reason for every prediction that anybody spoke about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from volant.evidence.trust import Trust

ACCEPTED, JUDGED, HELD, REJECTED, LEFT_OUT = "accepted", "judged", "held", "rejected", "left out"
STATUSES = (ACCEPTED, JUDGED, HELD, REJECTED, LEFT_OUT)


@dataclass(frozen=True)
class Decision:
    """What became of the evidence on one prediction; `weight` is what the label deserves in training."""

    prediction_id: str
    status: str
    reason: str
    label: Any = None
    weight: float = 0.0


_COLUMNS = ("status", "reason", "label", "weight", "other", "shared")


@dataclass(frozen=True)
class Verdicts:
    """Decisions as columns (n,), in the order of prediction ids.

    `status` are places in `STATUSES`, `reason` in `reasons`; `label` are codes, -1 for none. Where it is not certain
    that something is a no, `other` is the code of a second label, which gets the share `shared` of the weight.
    """

    ids: pa.Array
    status: np.ndarray
    reason: np.ndarray
    label: np.ndarray
    weight: np.ndarray
    other: np.ndarray
    shared: np.ndarray
    reasons: tuple[str, ...] = ()

    @staticmethod
    def empty(ids: pa.Array) -> Verdicts:
        """Nothing decided yet."""
        n = len(ids)
        left_out = np.full(n, STATUSES.index(LEFT_OUT), dtype=np.int8)
        none = np.full(n, -1, dtype=np.int64)
        return Verdicts(ids, left_out, np.zeros(n, dtype=np.int16), none, np.zeros(n), none, np.zeros(n))

    def __len__(self) -> int:
        return len(self.ids)

    def say(self, items: np.ndarray, status: str, reason: str) -> Verdicts:
        """The same with another status and reason for some predictions; what is not used keeps no weight."""
        return self.say_at(items, status, reason, weight=None if status in (ACCEPTED, JUDGED) else 0.0)

    def say_at(self, items: np.ndarray, status: str, reason: str, *, weight: float | None) -> Verdicts:
        """The same, with a weight where one is given."""
        if not len(items):
            return self
        reasons = self.reasons if reason in self.reasons else (*self.reasons, reason)
        statuses, codes, weights = self.status.copy(), self.reason.copy(), self.weight.copy()
        statuses[items], codes[items] = STATUSES.index(status), reasons.index(reason)
        if weight is not None:
            weights[items] = weight
        return replace(self, status=statuses, reason=codes, weight=weights, reasons=reasons)

    def label_as(self, items: np.ndarray, label: np.ndarray, weight: np.ndarray) -> Verdicts:
        """The same with labels and weights for some predictions."""
        labels, weights = self.label.copy(), self.weight.copy()
        labels[items], weights[items] = label, np.round(weight, 12)
        return replace(self, label=labels, weight=weights)

    def also(self, items: np.ndarray, label: np.ndarray, share: np.ndarray) -> Verdicts:
        """The same with a part of the weight given to a second label."""
        other, shared = self.other.copy(), self.shared.copy()
        other[items], shared[items] = label, np.round(share, 12)
        return replace(self, other=other, shared=shared)

    def only(self, items: np.ndarray) -> Verdicts:
        """Some of the predictions."""
        columns = {name: getattr(self, name)[items] for name in _COLUMNS}
        return replace(self, ids=self.ids.take(pa.array(items)), **columns)

    def is_status(self, *statuses: str) -> np.ndarray:
        """Which predictions have one of these statuses, (n,)."""
        return np.isin(self.status, [STATUSES.index(status) for status in statuses])

    def of(self, *statuses: str) -> np.ndarray:
        """The positions of these."""
        return np.flatnonzero(self.is_status(*statuses))


@dataclass(frozen=True, eq=False)
class LabelView:
    """The labels that follow from the evidence, in the order of prediction ids, and how each came about.

    `version` names the evidence and the rule: equal versions hold equal labels. `groups` are actors who have agreed on
    what to say.
    """

    version: str
    rule: Mapping[str, Any]
    verdicts: Verdicts
    labels: tuple[Any, ...]
    trust: Mapping[str, Trust] = field(default_factory=dict)
    groups: tuple[tuple[str, ...], ...] = ()
    new_classes: tuple[str, ...] = ()
    evidence: int = 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LabelView):
            return NotImplemented
        return self._facts() == other._facts()

    __hash__ = None  # type: ignore[assignment]

    def _facts(self) -> tuple[Any, ...]:
        return self.version, self.decisions, dict(self.trust), self.groups, self.new_classes, self.evidence

    def label_of(self, rows: np.ndarray) -> list[Any]:
        """The labels of some rows of the view, None where there is none."""
        table = np.array([*self.labels, None], dtype=object)
        return list(table[self.verdicts.label[rows]])

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions one by one; for a million of them, use `verdicts`."""
        return self._decisions(np.arange(len(self.verdicts)))

    def of_status(self, *statuses: str) -> tuple[Decision, ...]:
        """The decisions of these statuses; see `STATUSES`."""
        return self._decisions(self.verdicts.of(*statuses))

    def _decisions(self, rows: np.ndarray) -> tuple[Decision, ...]:
        found, ids = self.verdicts, self.verdicts.ids.take(pa.array(rows)).to_pylist()
        return tuple(
            Decision(
                name,
                STATUSES[found.status[row]],
                found.reasons[found.reason[row]] if found.reasons else "",
                label,
                float(found.weight[row]),
            )
            for name, row, label in zip(ids, rows, self.label_of(rows), strict=True)
        )

    def count(self, status: str) -> int:
        """How many predictions have that status."""
        return int(self.verdicts.is_status(status).sum())

    def reasons(self) -> dict[str, int]:
        """How often each reason kept evidence from becoming a label."""
        unused = ~self.verdicts.is_status(ACCEPTED, JUDGED)
        counts = Counter(self.verdicts.reason[unused].tolist())
        return dict(sorted((self.verdicts.reasons[code], count) for code, count in counts.items()))
