"""The product that these tests use has the methods of the real one, and the real one has those that commands call."""

from __future__ import annotations

import inspect

import pytest

handle = pytest.importorskip("volant.wheel.handle")


def parameters(method):
    return {name: p.default for name, p in inspect.signature(method).parameters.items() if name != "progress"}


def methods(kind):
    return {name: member for name, member in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def test_the_real_product_is_called_as_the_one_in_memory(product):
    real = methods(handle.ProductHandle)
    for name, method in methods(type(product)).items():
        assert parameters(real[name]) == parameters(method), name


def test_every_stage_has_a_command(product):
    assert set(methods(handle.ProductHandle)) - {"at"} == set(methods(type(product)))
