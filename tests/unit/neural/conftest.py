"""Trainings in tests use one thread: several wait for each other where cores are few or busy."""

import pytest


@pytest.fixture(autouse=True, scope="package")
def _one_thread():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
