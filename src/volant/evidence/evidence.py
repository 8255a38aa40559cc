"""What actors say now about which predictions, as columns: the evidence that a label view is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.data.plain import json_columns
from volant.store.part import iso
from volant.store.records import Voice

ANONYMOUS = "anon-"
"""Actors without a name have this and a session's id."""
SIGNAL = "signal"
"""Feedback of this kind is a bundle of events; what an actor says in several of them adds up."""
PRESENCE = "presence"
"""Feedback of this kind speaks of some labels; what an actor says in several of them adds up, too."""
PROGRAMS = ("rule", "model")
"""Sources that are no people: each is one actor, whatever names it gives."""


@dataclass(frozen=True)
class Predicted:
    """Predictions that somebody spoke about, in the order of their ids, as columns (n,).

    `label` is what was answered, `value` the same where it is a number; `probabilities` (n, C) are over `classes`.
    """

    ids: pa.Array
    at: np.ndarray
    release: pa.Array
    policy: pa.Array
    propensity: np.ndarray
    audit: np.ndarray
    subject: pa.Array
    inputs: pa.ChunkedArray
    outputs: pa.ChunkedArray

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def answers(self) -> pa.Table:
        """What was answered, one column per field."""
        return json_columns(self.outputs)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes that any of the releases knew."""
        kind = self._kind("probabilities")
        return tuple(kind.field(i).name for i in range(kind.num_fields)) if pa.types.is_struct(kind) else ()

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Of each class, shape (n, C), float32; rows of zeros where nothing was answered."""
        if not self.classes:
            return np.zeros((len(self), 0), dtype=np.float32)
        flat = self.answers.column("probabilities").combine_chunks().flatten()
        columns = [pc.fill_null(one.cast(pa.float32()), 0.0).to_numpy(zero_copy_only=False) for one in flat]
        return np.stack(columns, axis=1)

    @cached_property
    def label(self) -> pa.Array:
        """The label that was answered, null where there is none."""
        if not pa.types.is_string(self._kind("label")):
            return pa.nulls(len(self), pa.string())
        return self.answers.column("label").combine_chunks()

    @cached_property
    def labels(self) -> pa.Array:
        """The labels that were answered where several may be, a list each, null where there is none."""
        if not pa.types.is_list(self._kind("labels")):
            return pa.nulls(len(self), pa.list_(pa.string()))
        return self.answers.column("labels").combine_chunks()

    @cached_property
    def value(self) -> np.ndarray:
        """The number that was answered, shape (n,), NaN where there is none."""
        kind = self._kind("value")
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            return np.full(len(self), np.nan)
        column = self.answers.column("value").cast(pa.float64()).combine_chunks()
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)

    def _kind(self, name: str) -> pa.DataType:
        names = self.answers.column_names
        return self.answers.schema.field(name).type if name in names else pa.null()


@dataclass(frozen=True)
class Evidence:
    """Current voices as columns (m,): by `item` (a row of `predictions`), then by actor, then by `seq`.

    `actor`, `kind`, `source` and `value` are codes into `actors`, `kinds`, `sources` and `values` (JSON texts).
    Of each actor's voices on one prediction, target and kind it is the latest; of signals all, in their order.
    `received` and `happened` are microseconds; an event without a time of its own happened when it was received.
    """

    predictions: Predicted
    item: np.ndarray
    seq: np.ndarray
    actor: np.ndarray
    kind: np.ndarray
    source: np.ndarray
    value: np.ndarray
    received: np.ndarray
    happened: np.ndarray
    actors: Sequence[str]
    kinds: Sequence[str]
    sources: Sequence[str]
    values: Sequence[str]

    def __len__(self) -> int:
        return len(self.item)

    def some(self, mask: np.ndarray) -> Evidence:
        """Some of the voices; the predictions stay."""
        columns = ("item", "seq", "actor", "kind", "source", "value", "received", "happened")
        return replace(self, **{name: getattr(self, name)[mask] for name in columns})


def gather(feedback: pa.Table, predictions: pa.Table, now: datetime) -> Evidence:
    """The evidence that existed at `now`: superseded and repeated voices left out.

    Args:
        feedback: as `Store.feedback_table` gives it.
        predictions: what it is about, and perhaps more, as `Store.answered_table` gives it.
        now: what was received later does not exist.
    """
    by_now = pc.less_equal(feedback.column("received_at"), iso(now))
    heard = feedback if pc.all(by_now).as_py() else feedback.filter(by_now)
    known = predicted(predictions)
    item = pc.index_in(heard.column("prediction_id"), value_set=known.ids)
    there = pc.is_valid(item)
    if not pc.all(there).as_py():
        heard, item = heard.filter(there), item.filter(there)
    codes = {name: _coded(heard.column(name)) for name in ("actor", "kind", "source", "value", "target")}
    place = item.cast(pa.int64()).combine_chunks().to_numpy(zero_copy_only=False)
    seq = heard.column("seq").to_numpy()
    order = _current(heard, place, seq, codes)
    received = _micros(heard.column("received_at"))
    happened = _micros(heard.column("event_at"))
    happened = np.where(happened == np.iinfo(np.int64).min, received, np.minimum(happened, received))
    return Evidence(
        known,
        place[order],
        seq[order],
        codes["actor"][0][order],
        codes["kind"][0][order],
        codes["source"][0][order],
        codes["value"][0][order],
        received[order],
        happened[order],
        codes["actor"][1],
        codes["kind"][1],
        codes["source"][1],
        codes["value"][1],
    )


def predicted(table: pa.Table) -> Predicted:
    """Predictions as columns, in the order of their ids."""
    ids = table.column("id").combine_chunks()
    if not pc.all(pc.less(ids[:-1], ids[1:])).as_py():
        table = table.take(pc.sort_indices(ids))

    def column(name: str) -> pa.Array:
        found = table.column(name).combine_chunks()
        return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)

    return Predicted(
        ids=column("id"),
        at=_micros(table.column("at")),
        release=column("release"),
        policy=column("policy"),
        propensity=column("propensity").to_numpy(zero_copy_only=False),
        audit=column("audit").to_numpy(zero_copy_only=False).astype(bool),
        subject=column("subject"),
        inputs=table.column("input"),
        outputs=table.column("output"),
    )


def of_voices(voices: Iterable[Voice], now: datetime) -> Evidence:
    """The same from voices one by one, for small numbers of them."""
    encode = msgspec.json.Encoder().encode
    listed = {v.seq: v for v in voices}.values()
    rows: list[dict[str, object]] = [
        {
            "seq": v.seq,
            "id": v.id,
            "prediction_id": v.prediction.id,
            "target": v.target,
            "kind": v.kind,
            "value": encode(v.value).decode(),
            "actor": v.actor,
            "source": v.source,
            "event_at": None if v.event_at is None else iso(datetime.fromisoformat(v.event_at)),
            "received_at": iso(datetime.fromisoformat(v.received_at)),
            "supersedes": None,
        }
        for v in listed
    ]
    about = {v.prediction.id: v.prediction for v in listed}
    predictions = [
        {**msgspec.structs.asdict(p), "input": encode(p.input).decode(), "output": encode(p.output).decode()}
        for p in about.values()
    ]
    return gather(_table(rows, _FEEDBACK), _table(predictions, _PREDICTIONS), now)


_FEEDBACK = (
    "id",
    "prediction_id",
    "target",
    "kind",
    "value",
    "actor",
    "source",
    "event_at",
    "received_at",
    "supersedes",
)
_PREDICTIONS = ("id", "release", "policy", "subject", "input", "output", "at")


def _table(rows: Sequence[Mapping[str, object]], texts: Sequence[str]) -> pa.Table:
    typed = [(name, pa.string()) for name in texts]
    rest = [("seq", pa.int64())] if "received_at" in texts else [("propensity", pa.float64()), ("audit", pa.bool_())]
    return pa.Table.from_pylist(list(rows), pa.schema([*typed, *rest]))


def _coded(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """Texts as codes, rising with the texts, and the texts."""
    encoded = pc.fill_null(column, "").combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    names = encoded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    return rank[encoded.indices.to_numpy(zero_copy_only=False)], [names[i] for i in order]


def _micros(column: pa.ChunkedArray) -> np.ndarray:
    """ISO times in UTC as microseconds, shape (n,), the least number where there is none."""
    times = pc.cast(column, pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return np.asarray(pc.fill_null(times, np.iinfo(np.int64).min).to_numpy(), dtype=np.int64)


def _current(
    heard: pa.Table, item: np.ndarray, seq: np.ndarray, codes: dict[str, tuple[np.ndarray, list[str]]]
) -> np.ndarray:
    """Positions of the current voices, by prediction, actor and `seq`."""
    superseded = heard.column("supersedes").drop_null()
    alive = np.ones(len(heard), dtype=bool)
    if len(superseded):
        gone = pc.is_in(heard.column("id"), value_set=superseded.combine_chunks())
        alive = ~gone.to_numpy(zero_copy_only=False).astype(bool)
    actor, kind, target = (codes[name][0] for name in ("actor", "kind", "target"))
    order = in_order(item, actor, kind, target, seq)
    order = order[alive[order]]
    same = np.ones(len(order), dtype=bool)
    for column in (item, actor, kind, target):
        sorted_ = column[order]
        same[:-1] &= sorted_[:-1] == sorted_[1:]
    if len(same):
        same[-1] = False
    kinds = codes["kind"][1]
    adds_up = [kinds.index(name) for name in (SIGNAL, PRESENCE) if name in kinds]
    kept = np.sort(order[~same | np.isin(kind[order], adds_up)])
    return np.asarray(kept[in_order(item[kept], actor[kept], seq[kept])])


def in_order(*columns: np.ndarray) -> np.ndarray:
    """The positions of rows sorted by columns of codes from 0, the first of which matters most; the last one are
    numbers that mostly rise as it is."""
    *codes, last = columns
    spans = [int(one.max(initial=0)) + 1 for one in codes]
    if np.prod([float(span) for span in spans]) >= 2.0**62 or (np.diff(last) < 0).any():
        return np.lexsort(columns[::-1])
    key = codes[0].astype(np.int64)
    for one, span in zip(codes[1:], spans[1:], strict=True):
        key = key * span + one
    return np.argsort(key, kind="stable")


def once(rising: np.ndarray) -> np.ndarray:
    """Each of the values that rise, (n,), one time. A hash of them takes ten times as long."""
    return rising[np.flatnonzero(np.diff(rising, prepend=-1))]


def moment(micros: int) -> str:
    """Microseconds as an ISO time."""
    return iso(datetime.fromtimestamp(micros / 1e6, tz=UTC))
