"""Turns: what `volant loop` does by itself, one step after the other, each recorded when it is done.

A turn that is cut short goes on where it stood: steps that are recorded are not done again, and a step that was not
recorded finds what it had done before (routes and promotions in the history, fits and verdicts of its run, questions
by their predictions), so that nothing is lost and nothing is repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from volant.core.product import parse_duration
from volant.errors import Refused
from volant.store.records import TurnRow
from volant.wheel.ask import ask
from volant.wheel.context import Context
from volant.wheel.history import serving
from volant.wheel.improve import improve
from volant.wheel.live import live
from volant.wheel.notify import notify
from volant.wheel.results import Deployment, Result, plain
from volant.wheel.watch import WatchReport, watch

Alarms = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Turn(Result):
    """One turn of the loop: why it began, what each step found, and how it ended.

    `outcome` is that of learning (`promoted`, `canary`, `refused`, `nothing-to-learn`, `waited`), or `rolled-back`.
    """

    id: str
    begun_at: str
    ended_at: str | None
    why: str
    outcome: str | None
    steps: Mapping[str, Any]


def due(context: Context) -> str | None:
    """Why a turn is due now, or None."""
    turns = context.store.turns()
    if any(turn.ended_at is None for turn in turns):
        return "cut short"
    if not turns:
        return "the first"
    every, now = context.product.file.improve.every, context.clock.now()
    begun = max((one for one in (datetime.fromisoformat(turn.begun_at) for turn in turns) if one <= now), default=None)
    if begun is None:
        return "the clock was put back"
    return f"every {every}" if now - begun >= timedelta(seconds=parse_duration(every)) else None


@dataclass(frozen=True)
class Look(Result):
    """What was seen between two turns: why one is due, if it is, and what was promoted, ended or taken back.

    `heard` is how much feedback there was.
    """

    due: str | None
    events: tuple[Deployment, ...]
    heard: int


def look(context: Context, heard: int = -1) -> Look:
    """See whether a turn is due; if none is, let live traffic decide about what answers it.

    Where there is no more feedback than the last time, `heard`, nothing is looked at again.
    """
    why, now = due(context), context.store.feedback_since("")
    if why is not None or now == heard:
        return Look(why, (), heard)
    with context.store.lock("loop", wait=0.0):
        events = live(context).events
    if events:
        notify(context, {"product": context.product.name, "events": [one.record() for one in events]})
    return Look(None, events, now)


def turn(context: Context, why: str = "by hand", *, budget: str | None = None) -> Turn:
    """Do one turn, or the rest of the one that was cut short.

    Raises:
        BadInput: code `no-release` when nothing is deployed yet.
        Refused: code `busy`: another process turns the wheel of this product.
    """
    with context.store.lock("loop", wait=0.0):
        row = context.store.begin_turn(why)
        done = dict(row.facts)
        for name, step in _STEPS:
            if name in done:
                continue
            context.progress.stage(name)
            begun = time.monotonic()
            facts, alarms = step(context, row, done, budget)
            done[name] = plain({**facts, "seconds": round(time.monotonic() - begun, 3)})
            context.store.finish_step(row.id, name, done[name], alarms)
        context.progress.stage("end")
        outcome = _outcome(done)
        context.store.end_turn(row.id, outcome)
    return next(shown(one) for one in context.store.turns() if one.id == row.id)


def turns(context: Context) -> list[Turn]:
    """All turns, oldest first."""
    return [shown(row) for row in context.store.turns()]


def shown(row: TurnRow) -> Turn:
    """A turn of the ledger as it is shown."""
    return Turn(row.id, row.begun_at, row.ended_at, row.why, row.outcome, row.facts)


def _outcome(done: Mapping[str, Any]) -> str:
    if any(event["kind"] == "rollback" for event in done["live"]["events"]):
        return "rolled-back"
    return str(done["learn"]["outcome"])


Facts = tuple[Mapping[str, Any], Alarms]
Done = Mapping[str, Any]


def _live(context: Context, row: TurnRow, done: Done, budget: str | None) -> Facts:
    before = serving(context)
    report = live(context)
    return {**report.record(), "before": before, "after": serving(context)}, ()


def _watch(context: Context, row: TurnRow, done: Done, budget: str | None) -> Facts:
    report = watch(context)
    return report.record(), alarms_of(report, context.product.file.improve.on_drift, row.id)


def alarms_of(report: WatchReport, action: str, turn: str) -> Alarms:
    """The alarms of a look, as the ledger keeps them."""
    found = [
        {"kind": one.what, "what": one.name, "effect": one.distance, "low": one.low, "high": one.high}
        for one in report.alarms
    ]
    if report.expected is not None and report.expected.alarm:
        sure, loss = report.expected, report.expected.before - report.expected.share
        bounds = {"low": sure.before - sure.high, "high": sure.before - sure.low}
        found.append({"kind": "quality", "what": "right answers", "effect": loss, **bounds})
    facts = {"turn": turn, "release": report.release, "rows": report.rows}
    return [{**one, "level": report.level, "action": action, "facts": facts} for one in found]


def _ask(context: Context, row: TurnRow, done: Done, budget: str | None) -> Facts:
    return {"questions": ask(context, seed=row.id)}, ()


def _learn(context: Context, row: TurnRow, done: Done, budget: str | None) -> Facts:
    anew = context.product.file.improve.on_drift == "improve" and _alarmed(done["watch"])
    try:
        result = improve(context, budget=budget, anew=anew)
    except Refused as busy:
        return {"outcome": "waited", "reason": busy.what}, ()
    verdict = None if result.train is None else result.train.verdict
    return {
        "outcome": result.outcome,
        "why": "drift" if anew else "labels",
        "labels": result.labels.record(),
        "run": None if result.train is None else result.train.run,
        "candidate": None if result.train is None else result.train.candidate,
        "before": result.champion_before,
        "after": result.champion_after,
        "reasons": () if verdict is None else verdict.reasons[:5],
        "alpha": 0.0 if verdict is None else verdict.alpha,
    }, ()


def _alarmed(watched: Mapping[str, Any]) -> bool:
    expected = watched.get("expected")
    return any(one["alarm"] for one in watched["moved"]) or bool(expected and expected["alarm"])


def _tell(context: Context, row: TurnRow, done: Done, budget: str | None) -> Facts:
    events = list(done["live"]["events"])
    alarms = [asdict(one) for one in context.store.alarms() if one.facts.get("turn") == row.id]
    learned = done["learn"]["outcome"] in ("promoted", "canary", "refused")
    if context.product.file.improve.on_drift == "nothing":
        alarms = []
    if not (events or alarms or learned):
        return {"told": []}, ()
    message = {
        "product": context.product.name,
        "turn": row.id,
        "alarms": alarms,
        "events": events,
        "learned": done["learn"] if learned else None,
    }
    return {"told": notify(context, message)}, ()


_STEPS: tuple[tuple[str, Callable[[Context, TurnRow, Done, str | None], Facts]], ...] = (
    ("live", _live),
    ("watch", _watch),
    ("ask", _ask),
    ("learn", _learn),
    ("tell", _tell),
)
STEPS = tuple(name for name, _ in _STEPS)
"""The steps of a turn, in their order."""
