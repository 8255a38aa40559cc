"""How many threads the libraries behind numpy may use, for the time of a piece of work.

The setting belongs to the whole process. Pieces of work that run at the same time share one setting: the first
sets it, the last one to end puts back what was there before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Shared:
    """A setting that is put back when nobody uses it any longer. `set_to` sets it and gives what undoes that."""

    def __init__(self, set_to: Callable[[int], Callable[[], Any]]) -> None:
        self._set_to = set_to
        self._lock = threading.Lock()
        self._users = 0
        self._undo: Callable[[], Any] = lambda: None

    @contextmanager
    def __call__(self, threads: int) -> Iterator[None]:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._undo = self._set_to(threads)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._undo()


def _blas(threads: int) -> Callable[[], Any]:
    from threadpoolctl import threadpool_limits

    limits = threadpool_limits(threads)
    return limits.restore_original_limits


blas_threads = Shared(_blas)
"""`with blas_threads(n):` numpy's and scikit-learn's libraries use at most `n` threads."""
