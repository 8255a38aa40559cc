"""What every stage works with: the product, its store, a clock, the machine, and someone to tell."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from volant.core.clock import Clock, Machine
from volant.core.plugins import load
from volant.core.product import Product
from volant.core.progress import Progress, Silent
from volant.core.protocols import Task
from volant.errors import BadInput
from volant.store import Store, open_store


@dataclass
class Context:
    """Opened by `work_on`; closed with it."""

    product: Product
    store: Store
    progress: Progress = field(default_factory=Silent)
    clock: Clock = field(default_factory=Clock)
    machine: Machine = field(default_factory=Machine.here)

    @property
    def task(self) -> Task:
        """The product's task."""
        task: Task = load("tasks", self.product.file.task.type)
        return task

    @property
    def metric(self) -> str:
        """The metric that decides.

        Raises:
            BadInput: code `product-file-invalid` when the task has no such metric.
        """
        named = self.product.file.quality.metric
        for name in (named, *self.product.file.quality.minimum):
            if name is not None and name not in self.task.metrics:
                raise BadInput(
                    f"the task {self.task.name} has no metric {name!r}",
                    code="product-file-invalid",
                    where="volant.toml, quality",
                    got=name,
                    choices=list(self.task.metrics),
                )
        return named or self.task.default_metric

    def folder(self, name: str) -> Path:
        """A folder of the product's home: `datasets`, `runs`, `candidates`, `reports`."""
        return self.product.home / name


@contextmanager
def work_on(product: Product, *, progress: Progress | None = None, clock: Clock | None = None) -> Iterator[Context]:
    """Open the product's store for the time of a stage."""
    url = product.file.store.url
    clock = clock or Clock()
    with open_store(product.home, None if url is None else from_environment(url), clock=clock) as store:
        yield Context(product, store, progress or Silent(), clock, Machine.here(product.folder))


def from_environment(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Replace each `${NAME}` by the environment variable of that name.

    Raises:
        BadInput: code `usage` when a variable is not set.
    """
    known = os.environ if environment is None else environment

    def value(found: re.Match[str]) -> str:
        if found[1] not in known:
            raise BadInput(
                f"the environment variable {found[1]} is not set",
                code="usage",
                where="volant.toml",
                fix=f"export {found[1]}=… before you start volant",
            )
        return known[found[1]]

    return re.sub(r"\$\{(\w+)\}", value, text)
