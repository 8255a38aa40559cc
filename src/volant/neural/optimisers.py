"""Optimisers whose groups of parameters each follow schedules of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from volant.neural.schedules import Schedule, constant
from volant.neural.sharded import like, whole


@dataclass(frozen=True)
class Group:
    """Parameters that learn alike: `rate` and `decay` are multiplied by their schedules as training goes on.

    `l1` draws parameters to zero by that much times the rate, and leaves them there (soft thresholding).
    """

    parameters: tuple[torch.nn.Parameter, ...]
    rate: float
    decay: float = 0.0
    rate_schedule: Schedule = constant
    decay_schedule: Schedule = constant
    l1: float = 0.0


class Optimiser(Protocol):
    """What a loop steps. `state` is all that a training needs to go on, as tensors by name."""

    def step(self, progress: float) -> None:
        """Update the parameters by their gradients, at this progress in [0, 1], and forget the gradients."""

    def forget(self) -> None:
        """Drop the gradients."""

    def calm(self) -> None:
        """Start afresh at half the rate, after steps that led to numbers which are none."""

    def scaled(self, factor: float) -> None:
        """Multiply all rates from now on."""

    def parameters(self) -> list[torch.nn.Parameter]:
        """All that it updates."""

    def state(self) -> dict[str, torch.Tensor]: ...

    def restore(self, state: Mapping[str, torch.Tensor]) -> None: ...


class Stepped:
    """What optimisers have in common that keep a few tensors per parameter."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = tuple(group for group in groups if group.parameters)
        self.damping = 1.0

    def parameters(self) -> list[torch.nn.Parameter]:
        return [parameter for group in self.groups for parameter in group.parameters]

    def step(self, progress: float) -> None:
        with torch.no_grad():
            self._update(progress)
            for group in self.groups:
                if group.l1:
                    _shrink(group.parameters, self.rate(group, progress) * group.l1)
        self.forget()

    def rate(self, group: Group, progress: float) -> float:
        """The rate of a group now."""
        return self.damping * group.rate * group.rate_schedule(progress)

    def forget(self) -> None:
        for parameter in self.parameters():
            parameter.grad = None

    def scaled(self, factor: float) -> None:
        self.damping *= factor

    def calm(self) -> None:
        self.scaled(0.5)
        self._memory().clear()
        self.forget()

    def state(self) -> dict[str, torch.Tensor]:
        found = {"damping": torch.tensor(self.damping, dtype=torch.float64)}
        memory = self._memory()
        for place, parameter in enumerate(self.parameters()):
            for name, value in memory.get(parameter, {}).items():
                if value is not None:
                    found[f"{place}.{name}"] = whole(torch.as_tensor(value))
        return found

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        self.damping = float(state["damping"])
        memory = self._memory()
        memory.clear()
        for place, parameter in enumerate(self.parameters()):
            mine = {name.partition(".")[2]: v for name, v in state.items() if name.partition(".")[0] == str(place)}
            if mine:
                memory[parameter] = {name: _placed(value, parameter) for name, value in mine.items()}

    def _update(self, progress: float) -> None:
        raise AssertionError("each optimiser has its own update")

    def _memory(self) -> dict[torch.nn.Parameter, dict[str, Any]]:
        """The tensors that are kept per parameter, by name."""
        raise AssertionError("each optimiser has its own memory")


def _placed(value: torch.Tensor, parameter: torch.nn.Parameter) -> torch.Tensor:
    """A kept tensor as its parameter is laid out; counts stay as they are."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return like(value, parameter)


def _shrink(parameters: Sequence[torch.Tensor], by: float) -> None:
    for parameter in parameters:
        parameter.copy_(torch.sign(parameter) * (parameter.abs() - by).clamp_min(0.0))


class _OfTorch(Stepped):
    """An optimiser of torch, one fused update per group."""

    def __init__(self, groups: Sequence[Group], make: Callable[[list[dict[str, Any]]], Any]) -> None:
        super().__init__(groups)
        listed = [{"params": list(g.parameters), "lr": g.rate, "weight_decay": g.decay} for g in self.groups]
        self._torch = make(listed)

    def _update(self, progress: float) -> None:
        for group, settings in zip(self.groups, self._torch.param_groups, strict=True):
            settings["lr"] = self.rate(group, progress)
            settings["weight_decay"] = group.decay * group.decay_schedule(progress)
        self._torch.step()

    def _memory(self) -> dict[torch.nn.Parameter, dict[str, Any]]:
        found: dict[torch.nn.Parameter, dict[str, Any]] = self._torch.state
        return found


class Adam(_OfTorch):
    """Adam with decoupled weight decay (AdamW).

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization (ICLR 2019).
    """

    def __init__(self, groups: Sequence[Group], betas: tuple[float, float] = (0.9, 0.999)) -> None:
        super().__init__(groups, lambda listed: torch.optim.AdamW(listed, betas=betas, fused=_fusible(listed)))


class Sgd(_OfTorch):
    """Stochastic gradient descent with momentum, Nesterov's unless told otherwise; decay is L2 on the gradient.

    Source: Sutskever et al., On the importance of initialization and momentum in deep learning (ICML 2013).
    """

    def __init__(self, groups: Sequence[Group], momentum: float = 0.9, nesterov: bool = True) -> None:
        ahead = nesterov and momentum > 0
        super().__init__(
            groups,
            lambda listed: torch.optim.SGD(listed, lr=0.0, momentum=momentum, nesterov=ahead, fused=_fusible(listed)),
        )


def _fusible(listed: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the parameters are plain tensors: sharded ones are updated one by one."""
    return not any(hasattr(parameter, "full_tensor") for group in listed for parameter in group["params"])


class Together:
    """Several optimisers as one, each with its own parameters."""

    def __init__(self, *optimisers: Optimiser) -> None:
        self.optimisers = optimisers

    def step(self, progress: float) -> None:
        for each in self.optimisers:
            each.step(progress)

    def forget(self) -> None:
        for each in self.optimisers:
            each.forget()

    def calm(self) -> None:
        for each in self.optimisers:
            each.calm()

    def scaled(self, factor: float) -> None:
        for each in self.optimisers:
            each.scaled(factor)

    def parameters(self) -> list[torch.nn.Parameter]:
        return [parameter for each in self.optimisers for parameter in each.parameters()]

    def state(self) -> dict[str, torch.Tensor]:
        return {f"{i}/{name}": v for i, each in enumerate(self.optimisers) for name, v in each.state().items()}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        for i, each in enumerate(self.optimisers):
            begins = f"{i}/"
            each.restore({name[len(begins) :]: v for name, v in state.items() if name.startswith(begins)})
