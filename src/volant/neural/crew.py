"""The processes that train one model together: one alone, or several with the same code.

A crew of one costs nothing. Several, on the GPUs of a machine or on several machines, share each batch among them
(DDP), or the model as well where it is too large for one of them (FSDP).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch


class Crew(Protocol):
    """What a training must know of the processes beside it."""

    rank: int
    size: int
    device: torch.device

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model on this process's device, its gradients shared with the others'."""

    def mean(self, value: float) -> float:
        """The mean of a number over all processes."""

    def agreed(self, value: float) -> float:
        """The number of the first process, where each has read a clock of its own."""

    def apart(self, model: torch.nn.Module) -> AbstractContextManager[None]:
        """While gradients are summed up that need not be shared yet."""

    def wait(self) -> None:
        """Until all are here."""


def best_device() -> torch.device:
    """A GPU where there is one, else the processor."""
    return torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")


class Alone:
    """One process."""

    rank, size = 0, 1

    def __init__(self, device: torch.device | None = None) -> None:
        self.device = device or torch.device("cpu")

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        return model.to(self.device)

    def mean(self, value: float) -> float:
        return value

    def agreed(self, value: float) -> float:
        return value

    def apart(self, model: torch.nn.Module) -> AbstractContextManager[None]:
        return nullcontext()

    def wait(self) -> None:
        return None


class Several:
    """Processes that were started together (`torchrun`, `accelerate launch`), by accelerate.

    Args:
        shared: whether the model is shared among them too (FSDP) instead of copied to each (DDP).
        on_cpu: whether GPUs are left alone.
    """

    def __init__(self, *, shared: bool = False, on_cpu: bool = False) -> None:
        from accelerate import Accelerator

        self._shared = shared
        self._accelerator = Accelerator(cpu=on_cpu)
        self.rank, self.size = self._accelerator.process_index, self._accelerator.num_processes
        self.device = self._accelerator.device

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        if self._shared:
            return self._sharded(model.to(self.device))
        found: torch.nn.Module = self._accelerator.prepare_model(model)
        return found

    def _sharded(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model whose blocks, and then the rest, are shared among the processes."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(self.device.type, (self.size,))
        for child in model.children():
            if any(True for _ in child.parameters()):
                fully_shard(child, mesh=mesh)
        fully_shard(model, mesh=mesh)
        return model

    def mean(self, value: float) -> float:
        told = torch.tensor([value], dtype=torch.float64, device=self.device)
        return float(self._accelerator.reduce(told, reduction="mean"))

    def agreed(self, value: float) -> float:
        from accelerate.utils import broadcast

        return float(broadcast(torch.tensor([value], dtype=torch.float64, device=self.device)))

    @contextmanager
    def apart(self, model: Any) -> Iterator[None]:
        if self._shared:
            model.set_requires_gradient_sync(False)
            try:
                yield
            finally:
                model.set_requires_gradient_sync(True)
            return
        with self._accelerator.no_sync(model):
            yield

    def wait(self) -> None:
        self._accelerator.wait_for_everyone()


def crew_here() -> Crew:
    """The crew that this process was started in: with others where the environment says so, else alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return Several(shared=os.environ.get("VOLANT_SHARED") == "1", on_cpu=not torch.cuda.is_available())
    return Alone(best_device())
