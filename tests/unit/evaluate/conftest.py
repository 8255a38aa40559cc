"""Tables and models to evaluate."""

import numpy as np
import pyarrow as pa
import pytest

from volant.core.records import Column, Problem, Schema
from volant.testing.rows import MemoryRows

INPUTS = (Column("age", "number"), Column("city", "category"), Column("noise", "number"))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def table(n, seed=0):
    """Rows whose answer follows from `age`, except in the city 北京, where it is a coin's."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 12, n)
    city = rng.choice(["Paris", "Lyon", "北京"], n, p=[0.6, 0.25, 0.15])
    chance = np.where(city == "北京", 0.5, sigmoid((age - 40) / 3))
    answer = np.where(rng.random(n) < chance, "yes", "no")
    columns = {"age": age, "city": city.astype(object), "noise": rng.normal(size=n), "answer": answer.astype(object)}
    schema = Schema((*INPUTS, Column("answer", "category", "target")))
    return MemoryRows.of(schema, pa.table(columns))


def predict(batch):
    """The model: right about age, blind to the city."""
    p = sigmoid((np.nan_to_num(batch["age"], nan=40.0) - 40) / 3)
    return {"probability": np.stack([1 - p, p], axis=1)}


@pytest.fixture(scope="session")
def rows():
    return table(3000)


@pytest.fixture(scope="session")
def problem():
    return Problem("classify", "answer", INPUTS, 3000, ("no", "yes"), "log_loss")


@pytest.fixture(scope="session")
def model():
    return predict


@pytest.fixture(scope="session")
def make_rows():
    return table
