"""Compress: a release's networks made smaller and quicker, measured, and shipped where that pays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from volant.compress.measure import (
    PARITY,
    Limits,
    Measured,
    best,
    difference_of,
    judged,
    paired_times,
    parity,
)
from volant.compress.networks import Network, inputs, networks
from volant.compress.tuning import Effort, Lessons
from volant.compress.variants import Study, makers
from volant.core.budget import Budget, Spending
from volant.core.ids import file_digest, files_digest
from volant.core.records import Batch, Pipeline, Problem, Verdict
from volant.data.dataset import Dataset
from volant.errors import BadInput, Trouble, nearest
from volant.evaluate.compare import compare
from volant.evaluate.evaluation import Evaluation
from volant.evaluate.speed import Loading
from volant.release.card import card
from volant.release.export import Draft
from volant.release.gate import CandidateFacts, decide
from volant.runtime.load import Release, open_release
from volant.runtime.seal import FILE as SEAL
from volant.wheel.context import Context
from volant.wheel.gate import judge_rows, rules, units_of
from volant.wheel.history import champion_release, deploy_verdict, no_release, open_candidate, serving
from volant.wheel.learn import assemble
from volant.wheel.report import write_report_of_variant
from volant.wheel.results import CompressResult
from volant.wheel.train import card_facts, effort, evaluate_release

MOST_LESSONS = 20_000
"""Training rows that a smaller network learns from."""
ORIGINAL = "as it is"
OWN = ("manifest.json", "pipeline.json", "signature.json", "profile.json", "evaluation.json", "card.md")
"""Files that a variant has of its own; all others it takes over: they tell of the same data."""


def compress(
    context: Context, candidate: str | None = None, *, epochs: float = 3.0, only: Sequence[str] = ()
) -> CompressResult:
    """Try smaller variants of a release, measure each beside it, and deploy the best if it is measurably better.

    Raises:
        BadInput: codes `no-release`, `no-candidate`, `nothing-to-compress`, `usage`.
    """
    served, release = serving(context), _release(context, candidate)
    pipeline = Pipeline.of(json.loads((release.folder / "pipeline.json").read_bytes()))
    found = networks(pipeline, release.folder)
    if not found:
        raise BadInput(
            "the release has no neural network to make smaller",
            code="nothing-to-compress",
            where=release.digest[:12],
            fix="trees and lines are as small as they are; with quality.limits `volant train` chooses smaller ones",
        )
    with context.store.lock("train", wait=0.0):
        budget = Budget.parse(context.product.file.train.budget)
        dataset = assemble(context, Spending(budget, context.clock)).dataset
        problem = context.task.problem(dataset.part("train"), context.product.file.task.target, context.metric)
        signature = release.signature
        problem = replace(
            problem, classes=signature.classes or problem.classes, labels=signature.labels or problem.labels
        )
        return _Compressing(context, release, pipeline, dataset, problem, served).run(found, epochs, only)


def _release(context: Context, candidate: str | None) -> Release:
    if candidate is not None:
        return open_candidate(context, context.store.candidate(candidate).digest)
    release = champion_release(context)
    if release is None:
        raise no_release(context)
    return release


@dataclass(frozen=True)
class _Compressing:
    context: Context
    release: Release
    pipeline: Pipeline
    dataset: Dataset
    problem: Problem
    served: str | None

    def run(self, found: Sequence[Network], epochs: float, only: Sequence[str]) -> CompressResult:
        progress = self.context.progress
        study = self._study(found, epochs)
        offered = makers(study)
        _refuse_unknown(only, offered)
        tried = {name: make for name, make in offered.items() if not only or name in only}
        progress.stage("compress", float(len(tried)))
        folder = self.context.folder("compressed") / self.release.digest[:16]
        shutil.rmtree(folder, ignore_errors=True)
        table, drafts = [self._original()], dict[str, Path]()
        for place, (name, make) in enumerate(tried.items()):
            progress.advance(float(place), name)
            drafts[name] = self._written(folder / f"{place}", make())
            table.append(self._measured(name, drafts[name], table[0]))
        chosen = best(table[1:])
        if chosen is None:
            shutil.rmtree(folder, ignore_errors=True)
            return CompressResult(
                self.release.digest, tuple(table), note="nothing is measurably better: nothing changed"
            )
        result = self._shipped(chosen, drafts[chosen.name], table)
        shutil.rmtree(folder, ignore_errors=True)
        return result

    def _study(self, found: Sequence[Network], epochs: float) -> Study:
        settings = self.context.product.file.train
        rows = self.dataset.part("train")
        places = np.linspace(0, len(rows) - 1, min(MOST_LESSONS, len(rows))).astype(np.int64)
        rows = rows.take(places)
        told = self.problem.classes or self.problem.labels
        truth = self.context.task.encode(rows, self.problem) if told else None
        lessons = {
            one.file: Lessons(inputs(self.pipeline, self.release.folder, one, rows, settings.threads), truth)
            for one in found
        }
        effort = Effort(epochs, seed=settings.seed, threads=settings.threads)
        return Study(tuple(found), lessons, effort, self.context.progress)

    def _judges(self) -> Dataset:
        return judge_rows(self.dataset)

    def _units(self, release: Release) -> Batch:
        return units_of(self.context, release, self._judges(), self.problem)

    def _batch(self) -> Batch:
        rows = self._judges()
        return rows.take(np.arange(min(len(rows), PARITY))).batch([f.name for f in self.release.signature.inputs])

    def _score(self, units: Batch) -> float:
        metric = self.context.task.metrics[self.context.metric]
        weight = np.asarray(units.get("weight", np.ones(len(self._judges()))))[None, :]
        return float(metric.of(units, weight)[0])

    def _original(self) -> Measured:
        batch = self._batch()
        singles = _singles(batch)
        latency, _, _ = paired_times(self.release, self.release, singles)
        memory, _ = Loading(self.release.folder).result()
        score = self._score(self._units(self.release))
        size = size_of_model(self.release.folder)
        return Measured(ORIGINAL, size, latency, (1.0, 1.0, 1.0), memory, score, (0.0, 0.0, 0.0), 1.0, 0.0, True)

    def _written(self, folder: Path, files: Mapping[str, bytes]) -> Path:
        """A folder that the runtime can open, with these models in place of the original ones."""
        shutil.copytree(self.release.folder, folder, ignore=shutil.ignore_patterns("report.*", SEAL))
        for name, data in files.items():
            (folder / name).write_bytes(data)
        _seal(folder)
        return folder

    def _measured(self, name: str, folder: Path, original: Measured) -> Measured:
        variant = open_release(folder)
        units, before = self._units(variant), self._units(self.release)
        rows = self._judges()
        comparison = compare(
            before,
            units,
            task=self.context.task,
            metric=self.context.metric,
            keys=rows.keys(),
            weights=rows.weights(),
            seed=self.context.product.file.train.seed,
        )[0]
        batch = self._batch()
        _, latency, faster = paired_times(self.release, variant, _singles(batch))
        same, apart, steady = parity(self.release, variant, batch, self.context.task.output)
        memory, _ = Loading(folder).result()
        found = Measured(
            name,
            size_of_model(folder),
            latency,
            (faster[0], faster[1], faster[2]),
            memory,
            self._score(units),
            difference_of(comparison),
            same,
            apart,
            steady,
        )
        return judged(found, self._limits(), original)

    def _limits(self) -> Limits:
        quality = self.context.product.file.quality
        return Limits(quality.tolerance, quality.limits.latency_ms, quality.limits.memory_mb, quality.limits.size_mb)

    def _shipped(self, chosen: Measured, folder: Path, table: Sequence[Measured]) -> CompressResult:
        """The variant as a candidate that the gate judges as any other, but by the tolerance instead of a gain."""
        context = self.context
        with Draft(context.folder("candidates")) as draft:
            facts = json.loads((folder / "profile.json").read_bytes())
            for path in folder.iterdir():
                if path.name not in OWN:
                    shutil.copyfile(path, draft.folder / path.name)
            name = draft.write(self.pipeline, self.release.signature, facts)
            evaluation = self._evaluated(draft, name)
            final = draft.finish()
        variant = open_release(final)
        verdict = self._verdict(variant, chosen)
        run = context.store.candidate(self.release.digest).run or ""
        contract = self.release.signature.contract
        context.store.add_candidate(name, run, self.dataset.digest, contract, {"compressed": chosen.name})
        context.store.add_evaluation(
            name, self.dataset.digest, "test", {"scores": [asdict(s) for s in evaluation.scores]}
        )
        kind = deploy_verdict(context, verdict, contract, self.served)
        changed = {"candidate": name, "verdict": asdict(verdict), "promoted": kind != "refuse"}
        changed |= {"size_bytes": chosen.size_bytes, "latency_ms": chosen.latency_ms}
        changed["note"] = (
            f"made smaller ({chosen.name}) from {self.release.digest[:12]}, whose fits the leaderboard lists"
        )
        write_report_of_variant(context, self.release.folder, final, changed, evaluation)
        note = "" if verdict.passed else "the gate refused it"
        return CompressResult(self.release.digest, tuple(table), chosen.name, name, verdict, note)

    def _evaluated(self, draft: Draft, name: str) -> Evaluation:
        """How the variant does on the test rows, which its card tells."""
        context, dataset, problem = self.context, self.dataset, self.problem
        spare = len(dataset) - len(dataset.part("train"))
        care = effort(spare, len(problem.classes or problem.labels), Budget.parse(context.product.file.train.budget))
        evaluation = evaluate_release(context, draft.open(context.product.file.train.threads), dataset, problem, care)
        draft.add("evaluation.json", json.dumps(evaluation.record(), ensure_ascii=False, allow_nan=False).encode())
        facts = card_facts(context, dataset, problem, self.release.signature, name, evaluation)
        draft.add("card.md", card(facts).encode())
        return evaluation

    def _verdict(self, variant: Release, chosen: Measured) -> Verdict:
        quality = self.context.product.file.quality
        rows = self._judges()
        comparisons = compare(
            self._units(self.release),
            self._units(variant),
            task=self.context.task,
            metric=self.context.metric,
            alpha=quality.alpha,
            keys=rows.keys(),
            weights=rows.weights(),
            seed=self.context.product.file.train.seed,
        )
        asked = replace(rules(self.context, rows.schema, (), quality.alpha), min_gain=-quality.tolerance)
        facts = CandidateFacts(
            candidate=variant.digest,
            champion=self.release.digest,
            is_baseline=False,
            latency_ms=chosen.latency_ms,
            memory_mb=chosen.memory_mb,
            size_mb=chosen.size_bytes / 1e6,
            scores={self.context.metric: chosen.metric},
        )
        return decide(comparisons, asked, facts)


def _refuse_unknown(only: Sequence[str], offered: Mapping[str, object]) -> None:
    troubles = [
        Trouble(f"there is no variant {name!r}", "--only", name, tuple(offered), None, nearest(name, offered))
        for name in only
        if name not in offered
    ]
    if troubles:
        raise BadInput("variants that cannot be tried were named", code="usage", troubles=troubles)


def _singles(batch: Batch) -> list[Batch]:
    n = min(len(next(iter(batch.values()))), 64)
    return [{name: values[i : i + 1] for name, values in batch.items()} for i in range(n)]


def _seal(folder: Path) -> None:
    """Write the manifest anew for files that were changed."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    model = {name: file_digest(folder / name) for name in manifest["model"]}
    names = [name for name in manifest["files"] if (folder / name).is_file()]
    manifest |= {"digest": files_digest(model), "files": {name: file_digest(folder / name) for name in names}}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))


def size_of_model(folder: Path) -> int:
    """Bytes of what the digest covers; other files tell of the data and are the same in each variant."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return sum((folder / name).stat().st_size for name in manifest["model"])
