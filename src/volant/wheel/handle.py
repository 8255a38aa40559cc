"""A product in Python: each stage of the wheel as a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from volant.core.clock import Clock
from volant.core.product import Product, read
from volant.core.progress import Progress
from volant.wheel.context import work_on
from volant.wheel.operations import Operations
from volant.wheel.results import (
    CheckReport,
    CompressResult,
    Deployment,
    Explanation,
    ExportResult,
    ImportResult,
    PredictResult,
    Status,
    TrainResult,
    TurnResult,
)


@dataclass(frozen=True)
class ProductHandle:
    """An opened product. Methods open its store, do one stage, and close it again."""

    product: Product
    clock: Clock

    @staticmethod
    def at(path: str | Path = ".", clock: Clock | None = None) -> ProductHandle:
        """The product whose `volant.toml` lies in the folder `path`.

        Raises:
            BadInput: codes `product-file-…`.
        """
        return ProductHandle(read(Path(path)), clock or Clock())

    @property
    def operations(self) -> Operations:
        """What those do who run the product: keys, traffic, the audit trail."""
        return Operations(self.product, self.clock)

    def config(self) -> dict[str, Any]:
        """The product file with every default filled in."""
        return self.product.file.model_dump(mode="json")

    def check(self, *, train_checks: bool = True, progress: Progress | None = None) -> CheckReport:
        """Check the data; see `volant.wheel.check.check`."""
        from volant.wheel.check import check

        with work_on(self.product, progress=progress, clock=self.clock) as context:
            return check(context, train_checks=train_checks)

    def train(self, *, budget: str | None = None, progress: Progress | None = None) -> TrainResult:
        """Train, evaluate and gate a candidate; see `volant.wheel.train.train`."""
        from volant.wheel.train import train

        with work_on(self.product, progress=progress, clock=self.clock) as context:
            return train(context, budget=budget)

    def improve(self, *, budget: str | None = None, progress: Progress | None = None) -> TurnResult:
        """One turn of the wheel; see `volant.wheel.improve.improve`."""
        from volant.wheel.improve import improve

        with work_on(self.product, progress=progress, clock=self.clock) as context:
            return improve(context, budget=budget)

    def report(self, candidate: str | None = None, *, progress: Progress | None = None) -> Path:
        """The HTML report of the champion or of a candidate; see `volant.wheel.report.report`."""
        from volant.wheel.report import report

        with work_on(self.product, progress=progress, clock=self.clock) as context:
            return report(context, candidate)

    def compress(
        self,
        candidate: str | None = None,
        *,
        epochs: float = 3.0,
        only: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> CompressResult:
        """Make the champion or a candidate smaller and quicker; see `volant.wheel.compress.compress`."""
        from volant.wheel.compress import compress

        with work_on(self.product, progress=progress, clock=self.clock) as context:
            return compress(context, candidate, epochs=epochs, only=only)

    def predict(self, input: str | Path, output: str | Path, *, progress: Progress | None = None) -> PredictResult:
        """Answer the rows of a file; see `volant.wheel.predict.predict`."""
        from volant.wheel.predict import predict

        with work_on(self.product, progress=progress, clock=self.clock) as context:
            return predict(context, Path(input), Path(output))

    def explain(
        self,
        row: int | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        method: str = "shap",
        label: str | None = None,
        reasons: int = 4,
    ) -> Explanation:
        """What each column adds to one prediction; see `volant.wheel.explain.explain`."""
        from volant.wheel.explain import explain

        with work_on(self.product, clock=self.clock) as context:
            return explain(context, row=row, values=values, method=method, label=label, most_reasons=reasons)

    def import_feedback(self, path: str | Path) -> ImportResult:
        """Import feedback from a file; see `volant.wheel.feedback.import_feedback`."""
        from volant.wheel.feedback import import_feedback

        with work_on(self.product, clock=self.clock) as context:
            return import_feedback(context, Path(path))

    def export_feedback(self, path: str | Path) -> ExportResult:
        """Export all feedback to a file; see `volant.wheel.feedback.export_feedback`."""
        from volant.wheel.feedback import export_feedback

        with work_on(self.product, clock=self.clock) as context:
            return export_feedback(context, Path(path))

    def history(self) -> list[Deployment]:
        """All deployments and refusals, oldest first."""
        from volant.wheel.history import history

        with work_on(self.product, clock=self.clock) as context:
            return history(context)

    def rollback(self, *, reason: str = "") -> Deployment:
        """Go back to the release before this one."""
        from volant.wheel.history import rollback

        with work_on(self.product, clock=self.clock) as context:
            return rollback(context, reason=reason)

    def promote(self, candidate: str, *, reason: str = "") -> Deployment:
        """Deploy a candidate that the gate has let pass."""
        from volant.wheel.history import promote

        with work_on(self.product, clock=self.clock) as context:
            return promote(context, candidate, reason=reason)

    def status(self) -> Status:
        """Where the product stands."""
        from volant.wheel.history import status

        with work_on(self.product, clock=self.clock) as context:
            return status(context)
