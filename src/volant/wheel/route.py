"""Routes: which release answers which part of the traffic of a running service."""

from __future__ import annotations

from typing import Any

from volant.core.product import parse_duration
from volant.errors import BadInput
from volant.release.signature import same_inputs
from volant.release.traffic import ARMS, Standing, policy_of, share_of, standing
from volant.store.history import CHAMPIONS, Kind
from volant.store.records import CandidateRow, DeploymentRow
from volant.wheel.context import Context
from volant.wheel.history import deployment, open_candidate, refuse_ungated
from volant.wheel.results import Deployment, Route, Routes


def routes(context: Context) -> Routes:
    """Who answers which share now."""
    now = standing(context.store.deployments())
    listed = [] if now.champion is None else [_route(now.champion, now.free)]
    return Routes(tuple([*listed, *(_route(event, share_of(event)) for event in now.routes())]))


def canary(
    context: Context, candidate: str, share: float, *, promote_after: str | None = None, reason: str = ""
) -> Deployment:
    """Let a candidate that the gate has let pass answer a share of the requests, watched closely.

    Args:
        candidate: its digest, or the beginning of it.
        share: of the subjects, or of the requests where none is named; above 0 and below 1.
        promote_after: a time after which it is promoted if nothing spoke against it.
        reason: kept in the history.

    Raises:
        BadInput: codes `no-candidate`, `usage`, `route-unfit`.
        Refused: codes `gate-refused`, `busy`.
    """
    seconds = None if promote_after is None else _seconds(promote_after)
    return _answering(context, "canary", candidate, share, {"policy": "canary", "promote_after": seconds}, reason)


def split(context: Context, candidate: str, share: float, *, policy: str = "split", reason: str = "") -> Deployment:
    """Let a candidate answer a share of the requests for as long as an experiment takes, under a policy's name.

    Raises:
        BadInput: codes `no-candidate`, `usage`, `route-unfit`.
        Refused: codes `gate-refused`, `busy`.
    """
    if policy in ("champion", "canary", "shadow") or not 0 < len(policy) <= 64:
        fix = "name the experiment by 1 to 64 characters"
        raise BadInput("this is no name for a policy", code="usage", where="--policy", got=policy[:64], fix=fix)
    return _answering(context, "split", candidate, share, {"policy": policy}, reason)


def shadow(context: Context, candidate: str, *, reason: str = "") -> Deployment:
    """Let a candidate see the requests and answer nobody; it need not have passed the gate.

    Raises:
        BadInput: codes `no-candidate`, `route-unfit`.
        Refused: code `busy`.
    """
    found, now = context.store.candidate(candidate), _need_champion(context)
    _refuse_unfit(context, found, now)
    return _deployed(context, "shadow", found, now, {"policy": "shadow"}, reason)


def end(context: Context, candidate: str | None = None, *, reason: str = "") -> list[Deployment]:
    """End the route of a candidate, or all routes.

    Raises:
        BadInput: code `route-unfit`: there is none.
        Refused: code `busy`.
    """
    now = _need_champion(context)
    meant = [event for event in now.routes() if candidate is None or event.release.startswith(candidate.lower())]
    if not meant:
        choices = [event.release[:12] for event in now.routes()]
        what = "there is no such route"
        raise BadInput(what, code="route-unfit", got=candidate, choices=choices, fix="`volant route show` lists them")
    return [_ended(context, event, now, reason or "ended by hand") for event in meant]


def _answering(
    context: Context, kind: Kind, candidate: str, share: float, facts: dict[str, Any], reason: str
) -> Deployment:
    found, now = context.store.candidate(candidate), _need_champion(context)
    refuse_ungated(context, found.digest)
    _refuse_unfit(context, found, now)
    taken = sum(share_of(arm) for arm in now.arms if arm.release != found.digest)
    if not 0 < share < 1 or taken + share >= 1:
        fix = f"give it a share above 0 and below {1 - taken:g}"
        raise BadInput("the shares must leave something to the champion", code="usage", where="--share", fix=fix)
    return _deployed(context, kind, found, now, {**facts, "share": share}, reason)


def _refuse_unfit(context: Context, found: CandidateRow, now: Standing) -> None:
    champion = now.champion
    assert champion is not None
    if found.digest == champion.release:
        what = "the champion answers already"
        raise BadInput(what, code="route-unfit", got=found.digest[:12], fix="route another candidate")
    own, theirs = (open_candidate(context, digest).signature for digest in (found.digest, champion.release))
    if not same_inputs(own, theirs):
        raise BadInput(
            "the candidate takes other inputs than the champion, so it cannot answer the same requests",
            code="route-unfit",
            where=found.digest[:12],
            fix="promote it with its new contract instead",
        )


def _deployed(
    context: Context, kind: Kind, found: CandidateRow, now: Standing, facts: dict[str, Any], reason: str
) -> Deployment:
    assert now.champion is not None
    why = reason or f"{kind} by hand"
    row = context.store.deploy(found.digest, kind, why, found.contract, now.champion.release, facts)
    return deployment(row)


def _ended(context: Context, event: DeploymentRow, now: Standing, reason: str) -> Deployment:
    assert now.champion is not None
    row = context.store.deploy(event.release, "end", reason, event.contract, now.champion.release, {"kind": event.kind})
    return deployment(row)


def _need_champion(context: Context) -> Standing:
    now = standing(context.store.deployments())
    if now.champion is None:
        fix = "run `volant train`: what passes the gate is promoted"
        raise BadInput("there is no champion beside which anything could answer", code="no-release", fix=fix)
    return now


def _route(event: DeploymentRow, share: float) -> Route:
    kind = "champion" if event.kind in CHAMPIONS else event.kind
    shown = share if kind == "champion" or event.kind in ARMS else 0.0
    return Route(kind, event.release, round(shown, 6), policy_of(event), event.at, event.reason)


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as bad:
        raise BadInput(str(bad), code="usage", where="--promote-after", got=text) from None
