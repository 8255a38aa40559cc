"""Two `train` on the same product at once: the second is refused and the first is not disturbed."""

import subprocess
import sys
import time

import pytest
from tests.products import product

from volant.errors import Refused

SCRIPT = "import sys, volant; print(volant.open(sys.argv[1]).train().promoted)"


def test_83_the_second_training_is_refused_by_name(tmp_path):
    handle = product(tmp_path, budget="13 units")
    first = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(handle.product.folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        while not list((handle.product.home / "runs").glob("*/fits/*/fit.json")):
            time.sleep(0.01)
            assert first.poll() is None
        with pytest.raises(Refused) as busy:
            handle.train()
    finally:
        out, _ = first.communicate(timeout=120)
    assert busy.value.code == "busy"
    assert str(first.pid) in str(busy.value)
    assert out.strip() == "True"
