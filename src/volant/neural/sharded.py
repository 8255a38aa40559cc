"""Tensors of which each process holds a part only (FSDP), and whole ones, told apart in one place."""

from __future__ import annotations

import torch


def whole(value: torch.Tensor) -> torch.Tensor:
    """The whole of a tensor, gathered from all processes where they share it."""
    gather = getattr(value, "full_tensor", None)
    found: torch.Tensor = value.detach() if gather is None else gather().detach()
    return found


def mine(value: torch.Tensor) -> torch.Tensor:
    """The part of a tensor that this process holds: all of it, unless processes share it."""
    part = getattr(value, "to_local", None)
    found: torch.Tensor = value if part is None else part()
    return found


def like(value: torch.Tensor, pattern: torch.Tensor) -> torch.Tensor:
    """A whole tensor as `pattern` is laid out: on its device, in its kind of number and strides, shared where it is."""
    mesh = getattr(pattern, "device_mesh", None)
    if mesh is not None:
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(value.to(pattern.device, pattern.dtype), mesh, pattern.placements)
    out = torch.empty_like(pattern, memory_format=torch.preserve_format)
    return out.detach().copy_(value)
