"""The suite catches plugins that break their promises, and says which."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volant.columns.number import Number
from volant.core.protocols import Parsed
from volant.core.records import Finding, Pipeline, Step, Support
from volant.learners.tabular.prior import Prior
from volant.tasks.regress import Regress
from volant.testing import check_check, check_column_type, check_learner, check_task
from volant.testing.contract import LEARNER_CONTRACT
from volant.testing.contract.claims import run
from volant.testing.contract.tables import cases
from volant.testing.doubles import Faults, Flaky


def broken(check, plugin) -> set[str]:
    """The names of the promises that a plugin breaks."""
    try:
        check(plugin)
    except AssertionError as failed:
        return {line.strip(" -").split(":")[0] for line in str(failed).splitlines()[1:]}
    return set()


def test_the_suite_passes_a_sound_learner_and_names_what_is_wrong_otherwise():
    check_learner(Prior())
    with pytest.raises(AssertionError, match=r"the learner 'flaky' breaks \d+ of \d+ promises:\n  - predicts_soundly"):
        run("learner", Flaky(Prior(), Faults(gives_nan=1.0)), [p for p in LEARNER_CONTRACT if "soundly" in p.__name__])


class Wrapped(Prior):
    """A sound learner whose pipelines go through `spoil`."""

    def spoil(self, pipeline: Pipeline, folder: Path) -> Pipeline:
        return pipeline

    def fit(self, data, problem, options, context):
        return Spoilt(super().fit(data, problem, options, context), self, data)


@dataclass(frozen=True)
class Spoilt:
    inner: Any
    learner: Any
    data: Any

    def export(self, folder):
        return self.learner.spoil(self.inner.export(folder), folder)

    def facts(self):
        return self.inner.facts()


class Pickling(Wrapped):
    def spoil(self, pipeline, folder):
        (folder / "model.pkl").write_bytes(b"\x80\x04N.")
        return replace(pipeline, steps=(replace(pipeline.steps[0], file="model.pkl"),))


class Inventive(Wrapped):
    def spoil(self, pipeline, folder):
        return replace(pipeline, steps=(replace(pipeline.steps[0], op="eval"),))


class Restless(Wrapped):
    def spoil(self, pipeline, folder):
        self.fits = getattr(self, "fits", 0) + 1
        step = pipeline.steps[0]
        noise = np.random.random() * 1e-3
        value = np.asarray(step.params["value"])
        moved = value * (1 - noise) + noise / value.size if value.ndim else value + noise
        return replace(pipeline, steps=(replace(step, params={"value": moved.tolist()}),))


class Turned(Wrapped):
    """Gives classes in an order of its own."""

    def spoil(self, pipeline, folder):
        step = pipeline.steps[0]
        value = step.params["value"]
        turned = sorted(value) if isinstance(value, list) else value
        return replace(pipeline, steps=(replace(step, params={"value": turned}),))


class Careless(Wrapped):
    """Pays no heed to weights."""

    def fit(self, data, problem, options, context):
        return super().fit(Unweighted(data), problem, options, context)


class Unweighted:
    def __init__(self, rows):
        self._rows = rows

    def __getattr__(self, name):
        return getattr(self._rows, name)

    def __len__(self):
        return len(self._rows)

    def weights(self):
        return np.ones(len(self._rows))


class Secretive(Wrapped):
    def supports(self, problem):
        return Support(problem.task in ("classify", "regress"))


@pytest.mark.parametrize(
    ("learner", "promises"),
    [
        (Pickling(), {"exports_no_code"}),
        (Inventive(), {"exports_no_code"}),
        (Restless(), {"same_seed_gives_same_bytes", "keeps_no_state"}),
        (Turned(), {"keeps_the_order_of_classes"}),
        (Careless(), {"weight_zero_is_absence", "heavier_rows_win"}),
        (Secretive(), {"says_what_it_supports"}),
        (Flaky(Prior(), Faults(fit_fails=1.0)), {"predicts_soundly"}),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, set) else "",
)
def test_a_learner_that_breaks_a_promise_is_caught(learner, promises):
    assert promises <= broken(check_learner, learner)


class Slow(Prior):
    def fit(self, data, problem, options, context):
        raise TimeoutError("too slow")


def test_an_exception_counts_as_a_broken_promise():
    with pytest.raises(AssertionError, match="it raised TimeoutError: too slow"):
        check_learner(Slow())


class Blind(Number):
    def parse(self, raw) -> Parsed:
        return Parsed(super().parse(raw).values, np.empty(0, dtype=np.int64))


def test_a_column_type_that_hides_unreadable_cells_is_caught():
    assert "reads_a_column_as_it_reads_its_cells" in broken(check_column_type, Blind())


class Cheerful(Regress):
    metrics = {n: replace(m, greater_is_better=not m.greater_is_better) for n, m in Regress.metrics.items()}  # noqa: RUF012


def test_a_task_whose_metric_points_the_wrong_way_is_caught():
    assert "better_predictions_score_better" in broken(check_task, Cheerful())


class Chatty:
    name, summary, aspect, trains = "chatty", "repeats what it reads", "privacy", False

    def run(self, data, problem, context):
        if not len(data):
            return []
        cell = data.table(data.schema.names[:1]).column(0)[0].as_py()
        return [Finding(self.name, "warn", f"found {cell}", "look", rows=(10**6,), count=1, aspect="privacy")]


def test_a_check_that_quotes_cells_and_invents_rows_is_caught():
    assert {"findings_quote_no_cells", "findings_are_well_formed"} <= broken(check_check, Chatty())


def test_the_tables_hold_what_they_promise():
    for case in cases():
        assert case.problem.rows == len(case.train)
        assert {c.name for c in case.problem.inputs} < set(case.train.schema.names)
        assert set(case.train.table(["target"]).column(0).to_pylist()) >= set(case.problem.classes)


def test_a_step_of_a_pipeline_takes_nothing_that_is_not_there():
    class Reaching(Wrapped):
        def spoil(self, pipeline, folder):
            return replace(pipeline, steps=(*pipeline.steps, Step("float", ("target",), "peek")))

    assert "pipeline_is_plain_data" in broken(check_learner, Reaching())
