"""Pretrained networks: opened by several fits at the same time, as the search has it."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from volant.bind.transformers import side_of

SLOW = """
import sys, time, types

time.sleep(0.2)
lazy = types.ModuleType(__name__)
lazy.__spec__ = __spec__
lazy.utils = types.SimpleNamespace(logging=types.SimpleNamespace(
    set_verbosity_error=lambda: None, disable_progress_bar=lambda: None))
class AutoConfig:
    image_size = 16
    from_pretrained = classmethod(lambda kind, source, **settings: kind)
lazy.AutoConfig = AutoConfig
sys.modules[__name__] = lazy
time.sleep(0.2)
"""


def test_fits_that_begin_together_open_a_pretrained_network(tmp_path, monkeypatch):
    """The library puts another module in its own place while it is imported; whoever waits for that gets the first."""
    (tmp_path / "transformers.py").write_text(SLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.delitem(sys.modules, "transformers")
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(side_of, ["network"] * 4)) == [16] * 4
