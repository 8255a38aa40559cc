"""The simulations of the loop, reduced: each must reach its mark of `bench/marks.toml`."""

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SHARES = {
    "peeking": 0.1,
    "collusion": 0.1,
    "sleepers": 0.2,
    "position": 0.2,
    "delay": 0.2,
    "slice": 0.1,
    "regression": 0.25,
    "erasure": 1.0,
    "load": 0.2,
}


@pytest.fixture(scope="module")
def simulations():
    spec = importlib.util.spec_from_file_location("simulations", ROOT / "bench" / "simulations.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", list(SHARES))
def test_the_mark_is_met(simulations, name):
    found = simulations.ALL[name](SHARES[name])
    assert found["met"] or name in ("collusion", "sleepers"), found
    if name == "sleepers":  # a share of few lies: what can be said of them is its lower limit
        mark = simulations.MARKS[name]
        assert simulations.lowest(found["believed"], found["lies"]) <= mark["lies_believed"], found
        assert found["kept"] >= mark["kept"], found
    if name == "collusion":
        mark = simulations.MARKS[name]
        assert simulations.lowest(found["believed"], found["alone"]) <= mark["lies_accepted"], found
        assert found["wrong_promotions"] <= mark["wrong_promotions"], found
        assert found["replays_kept"] == 0, found


def test_every_simulation_has_a_mark_and_is_told_of(simulations):
    assert set(SHARES) == set(simulations.ALL) <= set(simulations.MARKS)
