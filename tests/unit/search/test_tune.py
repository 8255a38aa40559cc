"""What a learner offers to be tuned can be asked for, and what it offers to begin with can be learned from."""

from dataclasses import fields, replace

import pytest

from volant.bind.optuna import Sampler
from volant.core.plugins import load, load_all
from volant.core.records import Column, Problem

INPUTS = (Column("age", "number"), Column("town", "category"), Column("since", "timestamp"), Column("note", "text"))
KINDS = {
    "two classes": Problem("classify", "y", INPUTS, 5_000, ("no", "yes"), "log_loss"),
    "many classes": Problem("classify", "y", INPUTS, 300, tuple("abcdefgh"), "log_loss"),
    "numbers": Problem("regress", "y", INPUTS, 50_000, (), "rmse"),
}
TUNED = sorted(name for name, learner in load_all("learners").items() if hasattr(learner, "space"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TUNED)
def test_options_in_the_space_are_options(name, kind):
    learner, problem = load("learners", name), KINDS[kind]
    space = learner.space(problem)
    assert set(space) <= {field.name for field in fields(learner.options)}
    sampler = Sampler(space, seed=3)
    for place, options in enumerate(learner.portfolio(problem)):
        sampler.learn(options, float(place))
    for loss in (0.5, float("nan"), 0.1, float("inf"), 0.2, 0.3):
        token, values = sampler.ask()
        made = replace(learner.portfolio(problem)[0], **values)
        for option, found in space.items():
            value = getattr(made, option)
            assert value in found.choices if found.choices else found.low <= value <= found.high
        sampler.tell(token, loss)
