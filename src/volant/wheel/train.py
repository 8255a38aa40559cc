"""Train: search, export, evaluate what was exported, gate it. One candidate per run, whatever happens."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from volant.core import plugins
from volant.core.budget import Budget, Spending
from volant.core.ids import digest, uuid7
from volant.core.protocols import Learner
from volant.core.records import Pipeline, Problem, Signature, Worth
from volant.data.dataset import Dataset
from volant.data.profile import profile
from volant.errors import BadInput
from volant.evaluate.background import FILE as BACKGROUND
from volant.evaluate.evaluation import IMPORTANCE_SECONDS, Evaluation, Look, evaluate
from volant.evaluate.intervals import score
from volant.evaluate.sampling import LEAST_DRAWS, MOST_DRAWS
from volant.evidence.made_for import FILE as REFERENCE
from volant.release.card import card
from volant.release.export import Draft, Part, combine
from volant.release.gate import CandidateFacts
from volant.release.signature import signature_of
from volant.runtime.load import Release
from volant.search.calibrate import Calibration
from volant.search.given import settled
from volant.search.limits import usual_limits
from volant.search.search import Search
from volant.search.trials import NO_MEMORY, Found, Rules, Trial
from volant.wheel.check import MORE_SIDES, kept_together, refuse_if_hopeless
from volant.wheel.context import Context
from volant.wheel.decide import baseline_predicted, decided, looks, weighing_of
from volant.wheel.explain import background_file
from volant.wheel.fairness import beside_of
from volant.wheel.gate import Judged, judge, judge_rows, units_of
from volant.wheel.history import deploy_verdict, rival_release, said_before, serving
from volant.wheel.intervals import band_of, seconds_for_interval, with_interval, with_promise
from volant.wheel.learn import assemble
from volant.wheel.personal import person_of, to_strangers, with_offsets
from volant.wheel.posed import pictured, posed
from volant.wheel.report import write_candidate_report
from volant.wheel.results import Entry, TrainResult
from volant.wheel.resume import Beginning, beginning
from volant.wheel.watch import reference_of
from volant.wheel.worth import worth_of

SHARDS = "shards"
"""The folder of a product's home with the fits on shards, which outlive runs."""
SHORT = 0.25
"""Share of the budget that a full evaluation may take; where it would take more, a brief one must do."""


@dataclass(frozen=True)
class Effort:
    """How thoroughly a candidate is evaluated, and the seconds to keep for that after the search."""

    seconds: float
    draws: int = MOST_DRAWS
    importance_seconds: float = IMPORTANCE_SECONDS


def effort(rows: int, classes: int, budget: Budget) -> Effort:
    """The effort for so many rows outside training; the figures were measured on two cores."""
    cells = rows * max(1.0, classes / 4)
    full = 2.0 + min(cells, 60_000) / 12_000 + cells / 40_000
    if budget.seconds is None or full < SHORT * budget.seconds:
        return Effort(full)
    return Effort(0.8 + full / 2, LEAST_DRAWS, 0.0)


@dataclass(frozen=True)
class Made:
    """A candidate on disk and everything known about it."""

    run: str
    found: Found
    digest: str
    folder: Path
    signature: Signature
    evaluation: Evaluation
    judged: Judged
    why_anew: str = ""


@dataclass(frozen=True)
class Rivals:
    """Whom a candidate is compared with, which release served when that was settled, and whether it must go.

    The releases differ only where the files of the one that serves are damaged.
    """

    champion: Release | None
    served: str | None
    must_go: bool = False


def train(context: Context, *, budget: str | None = None) -> TrainResult:
    """One run of training: from the data as it is now to a judged candidate.

    Raises:
        Refused: codes `check-refused`, `busy`.
        BadInput: whatever is wrong with the product file or the data.
    """
    spending = _spending(context, budget or context.product.file.train.budget)
    started = time.monotonic()
    with context.store.lock("train", wait=0.0):
        dataset = assemble(context, spending).dataset
        refuse_if_hopeless(context, dataset)
        return train_on(context, dataset, spending, started)


def _spending(context: Context, budget: str) -> Spending:
    return Spending(Budget.parse(budget), context.clock)


def train_on(
    context: Context,
    dataset: Dataset,
    spending: Spending,
    started: float,
    must_go: bool = False,
    *,
    anew: bool = True,
) -> TrainResult:
    """Train a candidate on a dataset version, judge it, and deploy it if the gate lets it pass.

    `must_go`: see `GateRules`. `anew`: whether it may not go on from the champion, whatever the product file says.
    """
    served, champion = serving(context), rival_release(context)
    _refuse_without_evaluation(dataset)
    rows = dataset.part("train")
    problem = context.task.problem(rows, context.product.file.task.target, context.metric)
    problem = with_promise(context, problem, rows)
    problem = pictured(posed(context, problem, dataset.schema), rows)
    rivals = Rivals(champion, served, must_go)
    made = make_candidate(context, dataset, problem, spending, champion, anew=anew or must_go)
    return conclude(context, dataset, problem, made, rivals, spending, started)


def _refuse_without_evaluation(dataset: Dataset) -> None:
    if not (len(dataset.part("test")) or len(judge_rows(dataset))):
        raise BadInput(
            "no rows are left to evaluate on",
            code="target-unfit",
            where="volant.toml, data.split",
            got=kept_together(dataset),
            fix=MORE_SIDES,
        )


def conclude(
    context: Context,
    dataset: Dataset,
    problem: Problem,
    made: Made,
    rivals: Rivals,
    spending: Spending,
    started: float,
) -> TrainResult:
    """Judge, record and, where allowed, promote."""
    champion, served = rivals.champion, rivals.served
    before = None if champion is None else champion.digest
    said = said_before(context, made.run, made.digest, before)  # a turn that was cut short is not judged twice
    same = champion is not None and champion.digest == made.digest and said is None
    verdict = said.verdict if said else None
    if verdict is None and not same:
        verdict = judge(
            context,
            made.judged,
            judge_rows(dataset),
            problem,
            champion,
            rivals.must_go,
            _worth(context, made, champion),
        )
    seconds = time.monotonic() - started
    number = None if said is None else said.seq
    kind = "refuse" if verdict is None else deploy_verdict(context, verdict, made.signature.contract, served, number)
    late = verdict is not None and verdict.passed and kind == "refuse"
    note = context.store.deployments()[-1].reason if late else _note(made, same, spending.budget)
    context.store.finish_run(made.run, "done", {"candidate": made.digest, "seconds": round(seconds, 3)})
    (context.folder("runs") / made.run / "finished").write_text(made.digest)
    result = _result(context, dataset, made, spending, seconds)
    result = replace(result, verdict=verdict, promoted=kind != "refuse", note=note)
    left = spending.remaining_seconds()
    report = write_candidate_report(context, dataset, made.folder, result, made.evaluation, left)
    return replace(result, report=report)


def _worth(context: Context, made: Made, champion: Release | None) -> Callable[[float], Worth | None]:
    return lambda alpha: None if champion is None else worth_of(context, made.digest, champion, alpha)


def _note(made: Made, same: bool, budget: Budget) -> str:
    if made.why_anew:
        return f"made anew: {made.why_anew}"
    if same:
        return "the candidate is the champion itself: nothing has changed"
    return _why_alone(made.found.trials, budget) if made.found.only_baseline else ""


def _why_alone(trials: Sequence[Trial], budget: Budget) -> str:
    """Why there is nothing but the baseline."""
    failed = [t for t in trials if t.status == "failed"]
    if failed:
        first = failed[0]
        return f"only the baseline was trained: what was tried failed, first {first.configuration.name}: {first.reason}"
    if any(t.status not in ("unsupported", "waiting") for t in trials):
        reasons = {t.reason for t in trials if t.status == "skipped"}
        if reasons == {NO_MEMORY}:
            return "only the baseline was trained: the memory is too small for any other learner"
        short, more = ("small", "units") if budget.seconds is None else ("short", "time")
        return f"the budget was too {short} for any learner but the baseline; give it more {more}"
    why = "".join(f" ({t.configuration.learner.name}: {t.reason})" for t in trials[:1])
    return f"only the baseline was trained: train.learners leaves no other that fits the problem{why}"


def _result(context: Context, dataset: Dataset, made: Made, spending: Spending, seconds: float) -> TrainResult:
    return TrainResult(
        run=made.run,
        dataset=dataset.digest,
        candidate=made.digest,
        leaderboard=tuple(leaderboard(made.found)),
        scores=tuple(made.evaluation.scores),
        judged=made.judged.scores,
        metric=context.metric,
        verdict=None,
        promoted=False,
        budget=str(spending.budget),
        seconds=round(seconds, 3),
        latency_ms=made.evaluation.speed.p50_ms,
        size_bytes=made.evaluation.speed.size_bytes,
        out_of_fold=None if made.found.only_baseline else made.found.score,
        full_ensemble=made.found.full_score,
    )


def leaderboard(found: Found) -> list[Entry]:
    """One entry per configuration, the baseline last."""

    def entry(trial: Trial) -> Entry:
        made = trial.configuration
        return Entry(
            name=made.name,
            learner=made.learner.name,
            options=made.record(),
            score=trial.score,
            fit_seconds=round(trial.seconds, 3),
            status=trial.status,
            reason=trial.reason,
            weight=round(trial.weight, 4),
        )

    listed = [entry(t) for t in found.trials]
    weight = 1.0 if found.only_baseline else 0.0
    listed.append(Entry("prior", "prior", {}, found.baseline_score, round(found.baseline.seconds, 3), weight=weight))
    return listed


def chosen_learners(context: Context) -> Mapping[str, Learner]:
    """The learners that the product file names, or all, with its options; the baseline is always among them."""
    train = context.product.file.train
    return settled(_named_learners(train.learners), train.options, context.product.folder)


def _named_learners(named: Sequence[str] | None) -> Mapping[str, Learner]:
    if named is None:
        return plugins.load_all("learners")
    return {name: plugins.load("learners", name) for name in sorted({*named, "prior"})}


def make_candidate(
    context: Context,
    dataset: Dataset,
    problem: Problem,
    spending: Spending,
    champion: Release | None,
    *,
    anew: bool = True,
) -> Made:
    """Search, export, evaluate. Unless `anew`, the search goes on from the champion where the product file says so."""
    folder = _run(context, dataset, problem, spending)
    rows = dataset.part("train")
    began = beginning(context, dataset, problem, champion, folder, anew=anew)
    if began.why_not and not anew:
        context.progress.say(f"made anew: {began.why_not}")
    settings, limits = context.product.file.train, context.product.file.quality.limits
    most_bytes, most_milliseconds = usual_limits(problem)
    rules = Rules(
        seed=settings.seed,
        threads=settings.threads,
        ensemble=settings.ensemble,
        metric=context.metric,
        by_time=context.product.file.data.split.by == "time",
        most_bytes=(most_bytes if limits.size_mb is None else 1e6 * limits.size_mb) / max(settings.shards, 1),
        most_milliseconds=(most_milliseconds if limits.latency_ms is None else limits.latency_ms)
        / max(settings.shards, 1),
        keep=context.product.file.improve.learning != "scratch",
        shards=settings.shards,
        shard_folder=context.folder(SHARDS),
    )
    care = effort(len(dataset) - len(rows), len(problem.classes or problem.labels), spending.budget)
    interval_seconds = seconds_for_interval(problem, spending, settings.threads)
    search = Search(
        rows,
        problem,
        context.task,
        learners=chosen_learners(context),
        rules=rules,
        spending=spending,
        folder=folder / "fits",
        progress=context.progress,
        machine=context.machine,
        tail=lambda: care.seconds + interval_seconds,
        outside=len(dataset) - len(rows),
        weighing=weighing_of(context, rows, problem),
        before=began.before,
    )
    found = search.run()
    left = spending.remaining_seconds() - care.seconds
    found = with_offsets(context, rows, problem, found)
    found = replace(found, band=band_of(context, rows, problem, found, left))
    made = _export(context, dataset, problem, found, champion, began, care)
    return replace(made, why_anew="" if anew else began.why_not)


def _run(context: Context, dataset: Dataset, problem: Problem, spending: Spending) -> Path:
    """The folder of the run that was cut short with the same data and rules, or a new one."""
    file = context.product.file
    settings = [part.model_dump(mode="json") for part in (file.train, file.fairness)]
    asked = [str(spending.budget), context.metric, list(problem.classes), problem.costs]
    asked += [list(problem.labels)] if problem.labels else []
    asked += [[column.name, column.monotone] for column in problem.inputs if column.monotone]
    if file.improve.learning != "scratch":
        asked += [file.improve.learning, str(file.improve.replay)]
    same = digest([dataset.digest, settings, *asked])[:16]
    root = context.folder("runs")
    over = {row.id for row in context.store.runs() if row.status != "running"}
    known = [path for path in sorted(root.glob(f"*-{same}")) if path.name not in over]
    unfinished = [path.name for path in known if not (path / "finished").is_file()]
    if unfinished:
        context.progress.say("a run that was cut short goes on where it stood")
    name = unfinished[0] if unfinished else f"{uuid7()}-{same}"
    (root / name).mkdir(parents=True, exist_ok=True)
    context.store.add_run(name, dataset.digest, context.product.config_hash, str(spending.budget), {})
    return root / name


def _export(
    context: Context,
    dataset: Dataset,
    problem: Problem,
    found: Found,
    champion: Release | None,
    began: Beginning,
    care: Effort,
) -> Made:
    run = began.run
    facts, seed = profile(dataset.part("train")), context.product.file.train.seed
    signature = signature_of(
        problem,
        facts,
        None if champion is None else champion.signature,
        context.product.file.data.missing,
        beside_of(context, dataset.schema),
        person_of(context, dataset.schema),
    )
    with Draft(context.folder("candidates")) as draft:
        parts = [Part(m.fit.pipeline, m.fit.folder, m.weight) for m in found.members]
        pipeline = _calibrated(combine(parts, context.task.output, draft.folder), found.calibration)
        if found.offsets is not None:
            pipeline = found.offsets.finish(pipeline, context.task.output)
        pipeline = with_interval(pipeline, found.band, context.task.output, draft.folder)
        choice = decided(context, dataset.part("train"), problem, found)
        pipeline = context.task.finish(pipeline, problem, choice.decision)
        name = draft.write(pipeline, signature, facts)
        release = draft.open(context.product.file.train.threads)
        evaluation = evaluate_release(context, release, dataset, problem, care, looks(context, problem, choice))
        judged = _judged(context, release, dataset, problem, found, evaluation, name, care)
        draft.add(REFERENCE, reference_of(context, release, dataset, problem, judged.units))
        draft.add(BACKGROUND, background_file(release, dataset.part("train"), context.task.output, seed))
        draft.add("evaluation.json", json.dumps(evaluation.record(), ensure_ascii=False, allow_nan=False).encode())
        text = card(card_facts(context, dataset, problem, signature, name, evaluation))
        draft.add("card.md", text.encode())
        folder = draft.finish()
    context.store.add_candidate(
        name, run, dataset.digest, signature.contract, {"learners": _names(found), **began.facts}
    )
    context.store.add_evaluation(name, dataset.digest, "test", {"scores": [asdict(s) for s in evaluation.scores]})
    return Made(run, found, name, folder, signature, evaluation, judged)


def _names(found: Found) -> list[str]:
    return [t.configuration.name for t in found.trials if t.weight] or ["prior"]


def _calibrated(pipeline: Pipeline, calibration: Calibration) -> Pipeline:
    step = calibration.step(pipeline.outputs.get("probability", ""), "calibrated")
    if step is None:
        return pipeline
    return replace(pipeline, steps=(*pipeline.steps, step), outputs={"probability": "calibrated"})


def evaluate_release(
    context: Context, release: Release, dataset: Dataset, problem: Problem, care: Effort, looks: Sequence[Look] = ()
) -> Evaluation:
    """Everything that the report shows, on the test rows."""
    rows = dataset.part("test")
    if not len(rows):
        rows = judge_rows(dataset)
    return evaluate(
        to_strangers(release, problem),
        rows,
        task=context.task,
        problem=problem,
        slice_columns=context.product.file.quality.slices,
        folder=release.folder,
        importance_seconds=care.importance_seconds,
        draws=care.draws,
        seed=context.product.file.train.seed,
        looks=looks,
    )


def _judged(
    context: Context,
    release: Release,
    dataset: Dataset,
    problem: Problem,
    found: Found,
    evaluation: Evaluation,
    name: str,
    care: Effort,
) -> Judged:
    rows = judge_rows(dataset)
    facts = CandidateFacts(
        candidate=name,
        champion=None,
        is_baseline=found.only_baseline,
        latency_ms=evaluation.speed.p50_ms,
        memory_mb=evaluation.speed.memory_mb,
        size_mb=evaluation.speed.size_bytes / 1e6,
        scores={},
    )
    if not len(rows):
        return Judged(name, {}, {}, facts, ())
    units = units_of(context, release, rows, problem)
    scores = tuple(score(units, context.task, seed=context.product.file.train.seed, keys=rows.keys(), draws=care.draws))
    facts = replace(facts, scores={s.metric: s.value for s in scores})
    before = baseline_predicted(context, found, dataset.part("train"), rows, problem)
    return Judged(name, units, context.task.units(context.task.encode(rows, problem), before, problem), facts, scores)


def card_facts(
    context: Context,
    dataset: Dataset,
    problem: Problem,
    signature: Signature,
    name: str,
    evaluation: Evaluation,
) -> dict[str, Any]:
    """What the model card tells."""
    return {
        "product": context.product.name,
        "digest": name,
        "task": problem.task,
        "target": problem.target,
        "classes": list(problem.classes or problem.labels),
        "inputs": [{"name": f.name, "type": f.type} for f in signature.inputs],
        "contract": signature.contract,
        "dataset": dataset.digest,
        "rows": dict(dataset.facts["sides"]),
        "evaluation": evaluation.record(),
        "metric": context.metric,
    }
