"""Simulations of believing: agreed lies and replays (B), clicks on what stands on top (C), late answers (D)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa

from volant.core.expression import parse
from volant.core.plugins import load
from volant.evidence.evidence import gather
from volant.evidence.label_view import ACCEPTED, JUDGED, LabelRule, build_label_view
from volant.evidence.offpolicy import appeal
from volant.evidence.opinions import SignalRule
from volant.store.part import iso
from volant.testing.desk import OfficeDesk
from volant.testing.simulate import Searcher, clicks, crowd, simulate
from volant.wheel.collect import collect
from volant.wheel.context import Context
from volant.wheel.learn import harvest, view_of

START = datetime(2026, 5, 1, tzinfo=UTC)


def collusion(
    context: Context,
    rows: Sequence[dict[str, Any]],
    truths: Sequence[Any],
    *,
    actors: int = 200,
    colluding: float = 0.05,
    replays: int = 10_000,
    voices: int = 2,
    seed: int = 0,
) -> dict[str, Any]:
    """B: people answer, some of whom have agreed on what to get wrong, and one of them repeats a call.

    Gives the number of lies where nobody else spoke, how many of them became labels, how many labels changed on which
    somebody honest spoke, and how many rows the replays left.
    """
    users = crowd(actors, colluding=colluding, slip=0.5)
    desk = OfficeDesk(context, seed=seed)
    session = simulate(desk, rows, truths, users, seed=seed, voices=voices)
    lies = [one for one in session.said if one.habit == "colluding" and one.wrong]
    before = context.store.counts()["feedback"]
    again = lies[0].item()
    for _ in range(replays // 1000):
        desk.send([again] * 1000)
    kept = context.store.counts()["feedback"] - before
    spoke: dict[str, set[str]] = {}
    for one in session.said:
        spoke.setdefault(one.prediction, set()).add(one.habit)
    attacked = labels_by_now(context)
    plotters = {user.name for user in users if user.habit == "colluding"}
    calm = labels_by_now(context, without=plotters)
    honest = {name for name, habits in spoke.items() if "honest" in habits}
    changed = [name for name in honest if attacked.get(name) != calm.get(name) and name in attacked and name in calm]
    alone = [one for one in lies if spoke[one.prediction] == {"colluding"}]
    believed = sum(attacked.get(one.prediction) == one.value for one in alone)
    return {
        "lies": len(lies),
        "alone": len(alone),
        "believed": believed,
        "changed": len(changed),
        "replays_kept": kept,
        "labels": len(attacked),
    }


def labels_by_now(context: Context, without: set[str] | None = None) -> dict[str, Any]:
    """The labels that are used by now, by prediction; without what some actors said if asked for."""
    found = harvest(context, collect(context))
    if found is None:
        return {}
    if without:
        from dataclasses import replace

        kept = np.array([name not in without for name in found.evidence.actors])[found.evidence.actor]
        found = replace(found, evidence=found.evidence.some(kept))
    view = view_of(context, found, None)
    return {one.prediction_id: one.label for one in view.of_status(ACCEPTED, JUDGED)}


def position(repeats: int, *, items: int = 20, lists: int = 8000, seed: int = 0) -> dict[str, float]:
    """C: lists are made by an order that knows nothing, with some exploration, and people click what they look at.

    Gives Kendall's τ with the true order, of the corrected appeal and of the raw share of clicks, on average.
    """
    from scipy.stats import kendalltau

    corrected, naive = [], []
    for number in range(repeats):
        chance = Random(seed * 1000 + number)
        good = sorted((chance.uniform(0.05, 0.9) for _ in range(items)), reverse=True)
        order = list(range(items))
        liked = [chance.random() for _ in order]
        item, place, acted = [], [], []
        for _ in range(lists):
            ranked = sorted(order, key=lambda i: -(liked[i] + chance.gauss(0, 0.25)))
            for where, (one, click) in enumerate(zip(ranked, clicks(Searcher(), ranked, good, chance), strict=True)):
                item.append(one)
                place.append(where)
                acted.append(click)
        codes, places, hits = np.array(item), np.array(place), np.array(acted)
        found, _ = appeal(codes, places, hits)
        seen = np.bincount(codes, minlength=items)
        raw = np.bincount(codes, hits, items) / np.maximum(seen, 1)
        corrected.append(float(kendalltau(found, good).statistic))
        naive.append(float(kendalltau(raw, good).statistic))
    return {"tau": float(np.mean(corrected)), "naive": float(np.mean(naive)), "repeats": repeats}


def delay(repeats: int, *, rows: int = 6000, days: int = 21, window: int = 7, seed: int = 0) -> dict[str, float]:
    """D: people buy after one to several days, and nobody says that they will not; the rule weighs what is young.

    Gives the mean and the worst relative error of the rate inside the window, and that of taking "nothing yet" for no.
    """
    errors, naive = [], []
    for number in range(repeats):
        chance = np.random.default_rng([seed, 3, number])
        rate, nothing_yet, true = _delayed(chance, rows, days, window)
        errors.append(abs(rate / true - 1))
        naive.append(abs(nothing_yet / true - 1))
    return {
        "error": float(np.mean(errors)),
        "worst": float(np.max(errors)),
        "naive": float(np.mean(naive)),
        "repeats": repeats,
    }


def _delayed(chance: np.random.Generator, rows: int, days: int, window: int) -> tuple[float, float, float]:
    """The rate of yes inside the window: as the view has it, as nothing yet has it, and as it will turn out."""
    at = np.sort(chance.uniform(0, days, rows))
    sure = np.clip(chance.beta(2, 6, rows), 0.01, 0.99)
    yes = chance.random(rows) < sure
    waits = np.minimum(chance.gamma(2.0, 1.1, rows), window - 0.01)
    seen = np.clip(sure * np.exp(chance.normal(0, 0.2, rows)), 0.01, 0.99)  # what the model says is only about right
    seen *= sure.mean() / seen.mean()
    told = yes & (at + waits <= days)
    predictions = _predictions(at, seen)
    feedback = _feedback(np.flatnonzero(told), at[told] + waits[told])
    now = START + timedelta(days=days)
    bought = SignalRule("bought", parse("purchase"), "correction", "yes")
    rule = LabelRule(window * 86400.0, 0.5, 10, now, signals=(bought,), silence="no", early="weigh")
    evidence = gather(feedback, predictions, now)
    view = build_label_view(
        evidence,
        task=load("tasks", "classify"),
        classes=("no", "yes"),
        rule=rule,
        sides=np.full(rows, "train", dtype=object),
    )
    found = view.verdicts
    ids = np.array([int(one[1:]) for one in found.ids.to_pylist()])
    young = (at[ids] > days - window) & found.is_status(ACCEPTED)
    labels = np.array([*view.labels, None], dtype=object)
    first, second = labels[found.label] == "yes", labels[found.other] == "yes"
    share = np.where(first, 1 - found.shared, 0.0) + np.where(second & (found.shared > 0), found.shared, 0.0)
    weight = found.weight
    rate = float((share * weight)[young].sum() / weight[young].sum())
    inside = at > days - window
    return rate, float(told[inside].mean()), float(yes[inside].mean())


def _predictions(at: np.ndarray, sure: np.ndarray) -> pa.Table:
    n = len(at)
    outputs = [
        json.dumps({"label": "yes" if p > 0.5 else "no", "probabilities": {"no": 1 - p, "yes": p}})
        for p in sure.tolist()
    ]
    return pa.table(
        {
            "id": [f"p{i:06d}" for i in range(n)],
            "release": ["r"] * n,
            "policy": ["champion"] * n,
            "propensity": pa.array(np.ones(n)),
            "audit": pa.array(np.ones(n, dtype=bool)),
            "subject": pa.nulls(n, pa.string()),
            "input": ["{}"] * n,
            "output": outputs,
            "at": [iso(START + timedelta(days=float(one))) for one in at],
        }
    )


def _feedback(rows: np.ndarray, at: np.ndarray) -> pa.Table:
    """Somebody else buys each time: purchases are reported by the shop, a user of its own for each."""
    order = np.argsort(at)
    told = [iso(START + timedelta(days=float(one))) for one in at[order]]
    n = len(rows)
    return pa.table(
        {
            "seq": pa.array(np.arange(n)),
            "id": [f"f{i}" for i in range(n)],
            "prediction_id": [f"p{i:06d}" for i in rows[order]],
            "target": [""] * n,
            "kind": ["signal"] * n,
            "value": ['{"purchase": true}'] * n,
            "actor": [f"buyer{i % 50}" for i in range(n)],
            "source": ["user"] * n,
            "event_at": pa.array(told, pa.string()),
            "received_at": pa.array(told, pa.string()),
            "supersedes": pa.nulls(n, pa.string()),
        }
    )
