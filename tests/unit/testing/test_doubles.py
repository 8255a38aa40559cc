from __future__ import annotations

import math
import signal
import subprocess
import sys

import numpy as np
import pytest

from volant.core.protocols import RunContext
from volant.learners.tabular.prior import Prior
from volant.runtime.load import Runner
from volant.testing.contract.tables import cases
from volant.testing.doubles import Faults, Flaky

CASES = [pytest.param(case, id=case.name) for case in cases()]


def fit(faults: Faults, case=None, seed=0, seconds=math.inf):
    case = case or cases()[0]
    learner = Flaky(Prior(), faults)
    options = learner.portfolio(case.problem)[0]
    return learner.fit(case.train, case.problem, options, RunContext(seed=seed, seconds=seconds))


def test_without_faults_it_does_what_the_other_does(tmp_path):
    case = cases()[0]
    mine = fit(Faults()).export(tmp_path)
    other = Prior().fit(case.train, case.problem, Prior().options(), RunContext()).export(tmp_path)
    assert mine == other


def test_it_fails_at_the_given_rate_and_repeats():
    def failures():
        failed = []
        for seed in range(40):
            try:
                fit(Faults(fit_fails=0.5), seed=seed)
            except RuntimeError:
                failed.append(seed)
        return failed

    assert 10 <= len(failures()) <= 30
    assert failures() == failures()


def test_an_export_can_fail(tmp_path):
    with pytest.raises(OSError, match="told to fail"):
        fit(Faults(export_fails=1.0)).export(tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_a_model_can_be_nothing_but_nan(case, tmp_path):
    pipeline = fit(Faults(gives_nan=1.0), case).export(tmp_path)
    batch = case.fresh.batch([c.name for c in case.problem.inputs])
    (values,) = Runner(pipeline, tmp_path).predict(batch).values()
    assert len(values) == len(case.fresh)
    assert np.isnan(values).all()


DYING = """
from volant.core.protocols import RunContext
from volant.learners.tabular.prior import Prior
from volant.testing.contract.tables import cases
from volant.testing.doubles import Faults, Flaky
case = cases()[3]
Flaky(Prior(), Faults(dies=1.0)).fit(case.train, case.problem, Prior().options(), RunContext())
"""


def test_the_process_can_die_in_the_middle():
    assert subprocess.run([sys.executable, "-c", DYING], check=False).returncode == -signal.SIGKILL
