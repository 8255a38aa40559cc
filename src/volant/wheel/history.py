"""History: who is champion, since when and why; promote, roll back, status."""

from __future__ import annotations

from typing import Any, cast

from volant.core.product import parse_duration
from volant.core.records import Verdict
from volant.errors import BadInput, Refused
from volant.release.rewards import on_trial
from volant.release.traffic import standing
from volant.runtime.load import Release, open_release
from volant.store.history import CHAMPIONS, Kind
from volant.store.records import DeploymentRow, VerdictRow
from volant.wheel.context import Context
from volant.wheel.gate import alpha_left, looks
from volant.wheel.results import Deployment, Status
from volant.wheel.sign import seal_if_asked


def champion_release(context: Context) -> Release | None:
    """The release that is deployed, opened, or None."""
    row = context.store.champion()
    return None if row is None else open_candidate(context, row.release)


def no_release(context: Context) -> BadInput:
    """The error where a release is needed and none was ever deployed; what the gate refused is not forgotten."""
    refused = "`volant history` shows why the gate let no candidate pass; then bring more rows, or ask less of it"
    fix = refused if context.store.verdicts() else "run `volant train` first"
    return BadInput("the product has no release yet", code="no-release", fix=fix)


def serving(context: Context) -> str | None:
    """The release that is deployed, whether its files open or not."""
    row = context.store.champion()
    return None if row is None else row.release


def rival_release(context: Context) -> Release | None:
    """What a candidate must beat: the champion, or, where its files are damaged, the latest one before it that opens.

    So training again is a way out when there is no backup, and still nothing passes that is worse than before.
    """
    deployed = [row.release for row in reversed(context.store.deployments()) if row.kind in CHAMPIONS]
    for digest in dict.fromkeys(deployed):
        try:
            return open_candidate(context, digest)
        except BadInput as bad:
            if bad.code != "artifact-damaged":
                raise
            context.progress.say(f"the release {digest[:12]} cannot be opened: {bad.what}")
    return None


def open_candidate(context: Context, digest: str) -> Release:
    """The candidate or release of that digest, opened.

    Raises:
        BadInput: codes `artifact-…`.
    """
    return open_release(context.folder("candidates") / digest, digest=digest)


TRIAL = 0.1
"""The share that a canary begins with where the product file sets none."""
CROWDED = "Canaries have half of the traffic already: it can be tried when one of them has been promoted or ended."
LOST_RACE = "The champion was changed while this candidate was judged against another, so it must be judged anew."


def said_before(context: Context, run: str, challenger: str, champion: str | None) -> VerdictRow | None:
    """The verdict on a candidate that its run had reached when it was cut short, if it is about this champion still."""
    unfinished = any(row.id == run and row.status == "running" for row in context.store.runs())
    if not unfinished or context.store.candidate(challenger).run != run:
        return None
    for row in reversed(context.store.verdicts()):
        if row.verdict.challenger == challenger:
            return row if challenger == champion or row.verdict.champion == champion else None
    return None


def deploy_verdict(
    context: Context, verdict: Verdict, contract: int, served: str | None, number: int | None = None
) -> Kind:
    """Record what the gate said; a candidate that it let pass becomes the champion, or a canary first.

    `served` is the release that served when the judging began. Where another one serves by now, the candidate was not
    compared with it: it is refused, and the history says why. `number` is that of a verdict which is recorded already;
    what it led to is not done twice.
    """
    done = [] if number is None else [row for row in context.store.deployments() if row.facts.get("verdict") == number]
    if done:
        return cast("Kind", done[-1].kind)
    if verdict.passed:
        seal_if_asked(context, verdict.challenger)
    number = context.store.add_verdict(verdict) if number is None else number
    facts = {"verdict": number, "scores": {c.slice or c.metric: c.challenger for c in verdict.comparisons}}
    reason = verdict.reasons[0] if verdict.reasons else ""
    if verdict.passed:
        trial = on_trial(verdict, context.product.file.quality.tolerance)
        try:
            kind, route = _entry(context, served, trial=trial)
            context.store.deploy(verdict.challenger, kind, reason, contract, served, {**facts, **route})
        except Refused as refused:
            reason = CROWDED if refused.code == "route-unfit" else LOST_RACE
        else:
            return kind
    context.store.deploy(verdict.challenger, "refuse", reason, contract, served, facts)
    return "refuse"


def _entry(context: Context, served: str | None, *, trial: bool) -> tuple[Kind, dict[str, Any]]:
    """How a release that passed comes in, and what its route is then.

    On trial it is a canary until what it earns decides (`volant.wheel.live`), and time alone does not promote it; the
    champion keeps half of the traffic.

    Raises:
        Refused: code `route-unfit`: others have the traffic that it would need.
    """
    rollout = context.product.file.serve.rollout
    if served is None or not (rollout.share or trial):
        return "promote", {}
    asked, room = rollout.share or TRIAL, standing(context.store.deployments()).free - (0.5 if trial else 0.0)
    share = min(asked, room)
    if share < asked / 10:
        raise Refused(CROWDED, code="route-unfit")
    seconds = None if trial else parse_duration(rollout.after)
    return "canary", {"share": round(share, 6), "policy": "canary", "promote_after": seconds}


def history(context: Context) -> list[Deployment]:
    """All deployments and refusals, oldest first."""
    return [deployment(row) for row in context.store.deployments()]


def deployment(row: DeploymentRow) -> Deployment:
    """An event of the ledger as it is shown."""
    return Deployment(
        seq=row.seq,
        at=row.at,
        kind=row.kind,
        release=row.release,
        previous=row.previous,
        reason=row.reason,
        contract=row.contract,
        scores=row.facts.get("scores", {}),
    )


def rollback(context: Context, *, reason: str = "") -> Deployment:
    """Go back to the release that was champion before the present one.

    Raises:
        BadInput: code `nothing-to-roll-back`.
    """
    champions = standing(context.store.deployments()).champions
    if len(champions) < 2:
        raise BadInput(
            "there is no earlier release to go back to",
            code="nothing-to-roll-back",
            fix="`volant history` lists what was deployed",
        )
    now, before = champions[-1], champions[-2]
    open_candidate(context, before.release)
    row = context.store.deploy(
        before.release,
        "rollback",
        reason or "rolled back by hand",
        contract=before.contract,
        previous=now.release,
        facts={"scores": before.facts.get("scores", {})},
    )
    return deployment(row)


def promote(context: Context, candidate: str, *, reason: str = "") -> Deployment:
    """Deploy a candidate that the gate has let pass before.

    Raises:
        Refused: code `gate-refused` when no verdict on it ever passed.
    """
    found = context.store.candidate(candidate)
    refuse_ungated(context, found.digest)
    open_candidate(context, found.digest)
    champion = context.store.champion()
    row = context.store.deploy(
        found.digest,
        "promote",
        reason or "promoted by hand",
        contract=found.contract,
        previous=None if champion is None else champion.release,
        facts={},
    )
    return deployment(row)


def refuse_ungated(context: Context, digest: str) -> None:
    """Only what the gate has let pass may answer users.

    Raises:
        Refused: code `gate-refused` when no verdict on it ever passed.
    """
    verdicts = [row.verdict for row in context.store.verdicts() if row.verdict.challenger == digest]
    if not any(v.passed for v in verdicts):
        why = verdicts[-1].reasons[0] if verdicts and verdicts[-1].reasons else "it was never judged"
        raise Refused(
            "the gate has not let this candidate pass",
            code="gate-refused",
            where=digest[:12],
            got=why,
            fix="train again with more data or feedback; `volant history` shows the verdicts",
        )


def status(context: Context) -> Status:
    """Where the product stands, and what to do next."""
    context.store.index_segments()
    champion, dataset = context.store.champion(), context.store.latest_dataset()
    counts = context.store.counts()
    answered = 0 if champion is None else context.store.feedback_since(champion.at)
    fresh = 0 if champion is None else context.store.feedback_since(max(champion.at, _last_turn(context)))
    return Status(
        name=context.product.name,
        folder=context.product.folder,
        task=context.product.file.task.type,
        champion=None if champion is None else champion.release,
        champion_since=None if champion is None else champion.at,
        dataset=None if dataset is None else dataset.digest,
        rows=0 if dataset is None else dataset.rows,
        predictions=counts["predictions"],
        feedback=counts["feedback"],
        feedback_since_champion=answered,
        turns=looks(context),
        alpha_left=alpha_left(context),
        running=context.store.lock_holder("train"),
        next_step=_next(champion is not None, fresh),
    )


def _last_turn(context: Context) -> str:
    """When the last turn that judged a challenger ended; what was said before it has been heard."""
    return max((view.at for view in context.store.label_views() if view.facts.get("turned")), default="")


def _next(deployed: bool, fresh: int) -> str:
    if not deployed:
        return "volant train"
    return "volant improve" if fresh else "volant serve"
