"""A product that answers from memory, and the command line called in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import volant
from volant.cli.main import main
from volant.compress.measure import Measured
from volant.core.progress import Progress, Silent
from volant.core.records import Comparison, Finding, Score, Verdict
from volant.store.validity import Which
from volant.wheel import results

DIGEST = "3f9a0c1d" * 8
OLDER = "77aa00bb" * 8


def finding(severity: str) -> Finding:
    return Finding("leak", severity, "tells the target", "leave the column out", "refund", (3, 9), 2)


def check_report(*severities: str) -> results.CheckReport:
    return results.CheckReport(
        dataset=DIGEST,
        rows=7043,
        columns=20,
        findings=tuple(finding(severity) for severity in severities),
        quality={"completeness": 0.98, "accuracy": 0.5},
        estimate=results.Estimate(42.0, 3 * 10**8, 10**7, 8 * 10**9, 10**11),
        passed="stop" not in severities,
        seconds=0.41,
        report=Path("q.html"),
    )


def verdict(passed: bool) -> Verdict:
    comparison = Comparison("log_loss", "", 900, 0.021, 0.004, 0.038, 0.44, 0.419)
    reasons = ("log_loss: surely better",) if passed else ("log_loss: the gain is not sure",)
    return Verdict(DIGEST, OLDER, passed, reasons, (comparison,))


def train_result(promoted: bool) -> results.TrainResult:
    return results.TrainResult(
        run="r1",
        dataset=DIGEST,
        candidate=DIGEST,
        leaderboard=(
            results.Entry("boosted_trees", "boosted_trees", {}, 0.41, 3.2, weight=0.8),
            results.Entry("linear", "linear", {}, float("nan"), 0.2, "failed", "did not converge"),
            results.Entry("linear-2", "linear", {}, None, 0.0, "skipped", "the budget has no room for it"),
            results.Entry("linear-3", "linear", {}, None, 0.0, "skipped", "the budget has no room for it"),
        ),
        scores=(Score("roc_auc", 0.84, 0.81, 0.87, 1056),),
        judged=(),
        metric="log_loss",
        verdict=verdict(promoted),
        promoted=promoted,
        budget="60s",
        seconds=58.0,
        latency_ms=0.3,
        size_bytes=240_000,
        note="",
    )


def turn(outcome: str) -> results.TurnResult:
    labels = results.Labels("v1", 40, 30, 4, 6, 5, {"untrusted actor": 4}, ("maybe",))
    trained = None if outcome == "nothing-to-learn" else train_result(outcome == "promoted")
    after = DIGEST if outcome == "promoted" else OLDER
    return results.TurnResult(outcome, labels, trained, OLDER, after, 61.0)


EVENT = results.Deployment(
    1, "2026-01-02T03:04:05+00:00", "promote", DIGEST, None, "first release", 1, {"log_loss": 0.4}
)


@dataclass
class FakeProduct:
    """Has the methods of a product handle; notes how they were called, and raises `error` if there is one."""

    severities: tuple[str, ...] = ("warn",)
    promoted: bool = True
    outcome: str = "promoted"
    error: BaseException | None = None
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def _note(self, name: str, **arguments: Any) -> None:
        self.calls.append((name, arguments))
        if self.error is not None:
            raise self.error

    def config(self) -> dict[str, Any]:
        self._note("config")
        return {"version": 1, "name": "churn", "train": {"budget": "60s", "learners": None}}

    def check(self, *, train_checks: bool = True, progress: Progress | None = None) -> results.CheckReport:
        self._note("check", train_checks=train_checks)
        (progress or Silent()).stage("reading", 2)
        return check_report(*self.severities)

    def train(self, *, budget: str | None = None, progress: Progress | None = None) -> results.TrainResult:
        self._note("train", budget=budget)
        (progress or Silent()).say("40 rows a second")
        return train_result(self.promoted)

    def report(self, candidate: str | None = None, *, progress: Progress | None = None) -> Path:
        self._note("report", candidate=candidate)
        return Path("report.html")

    def predict(self, input: Path, output: Path, *, progress: Progress | None = None) -> results.PredictResult:
        self._note("predict", input=input, output=output, progress=progress is not None)
        return results.PredictResult(7043, output, DIGEST, 0.2)

    def explain(
        self,
        row: int | None = None,
        values: dict[str, Any] | None = None,
        *,
        method: str = "shap",
        label: str | None = None,
        reasons: int = 4,
    ) -> results.Explanation:
        self._note("explain", row=row, values=values, method=method, label=label, reasons=reasons)
        listed = (results.Contribution("age", "42", -0.1), results.Contribution("plan", "gold", 0.3))
        why = ("plan is gold: +0.3",)
        return results.Explanation(DIGEST, row, "yes", 0.2, 0.4, listed, answer=0.8, scale="log-odds", reasons=why)

    def import_feedback(self, path: Path) -> results.ImportResult:
        self._note("import_feedback", path=path)
        return results.ImportResult(12, 3)

    @property
    def operations(self) -> SimpleNamespace:
        def mark(which: Which, *, valid: bool, reason: str) -> int:
            self._note("mark_feedback", which=which, valid=valid, reason=reason)
            return 60

        return SimpleNamespace(mark_feedback=mark)

    def export_feedback(self, path: Path) -> results.ExportResult:
        self._note("export_feedback", path=path)
        return results.ExportResult(15, path)

    def compress(
        self,
        candidate: str | None = None,
        *,
        epochs: float = 3.0,
        only: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> results.CompressResult:
        self._note("compress", candidate=candidate, epochs=epochs, only=only, progress=progress is not None)
        whole = Measured("as it is", 900_000, 0.8, (1.0, 1.0, 1.0), 12.0, 0.41, (0.0, 0.0, 0.0), 1.0, 0.0, True)
        eight = replace(whole, name="int8", size_bytes=300_000, faster=(2.1, 1.9, 2.3), fit=True)
        return results.CompressResult(DIGEST, (whole, eight), "int8", OLDER, verdict(self.promoted))

    def improve(self, *, budget: str | None = None, progress: Progress | None = None) -> results.TurnResult:
        self._note("improve", budget=budget, progress=progress is not None)
        return turn(self.outcome)

    def history(self) -> list[results.Deployment]:
        self._note("history")
        refused = replace(EVENT, seq=2, kind="refuse", reason="the gain is not sure")
        return [EVENT, refused]

    def rollback(self, *, reason: str = "") -> results.Deployment:
        self._note("rollback", reason=reason)
        return replace(EVENT, kind="rollback", reason=reason, previous=OLDER)

    def promote(self, candidate: str, *, reason: str = "") -> results.Deployment:
        self._note("promote", candidate=candidate, reason=reason)
        return replace(EVENT, reason=reason, previous=OLDER)

    def status(self) -> results.Status:
        self._note("status")
        return results.Status(
            "churn",
            Path("churn"),
            "classify",
            DIGEST,
            EVENT.at,
            DIGEST,
            7043,
            90,
            12,
            5,
            2,
            0.031,
            None,
            "volant improve",
        )


@dataclass(frozen=True)
class Said:
    """What one call of the command line said."""

    status: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        assert self.out.count("\n") == 1, "one line of JSON, and nothing else"
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Call `volant` with these words."""

    def run(*words: str) -> Said:
        status = main(words)
        captured = capsys.readouterr()
        return Said(status, captured.out, captured.err)

    return run


@pytest.fixture
def product(monkeypatch: pytest.MonkeyPatch) -> FakeProduct:
    """The product that every folder holds; `.folders` are those that were opened."""
    fake = FakeProduct()

    def open_fake(path: str | Path = ".") -> FakeProduct:
        fake.calls.append(("open", {"path": Path(path)}))
        return fake

    monkeypatch.setattr(volant, "open", open_fake)
    return fake
