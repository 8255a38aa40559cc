"""In which precision a model trains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from volant.neural.sharded import mine

LARGEST, SMALLEST = 2.0**24, 1.0
GROWS_AFTER = 2_000


def quick_kind(device: torch.device | None = None) -> torch.dtype:
    """The kind of number that a device multiplies quickest.

    On a processor bfloat16 where it has instructions for it, on a GPU bfloat16 or else float16; else float32.
    """
    if device is not None and device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    told = getattr(torch.cpu, "get_capabilities", dict)()
    quick = told.get("avx512_bf16") or told.get("amx_bf16")
    return torch.bfloat16 if quick else torch.float32


def reckoned_in(kind: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """While this lasts, products of matrices and convolutions are reckoned in `kind`, and sums in float32."""
    if kind is torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=kind)


class Scale:
    """What a loss is multiplied with so that small gradients do not vanish in float16; one for other kinds.

    Source: Micikevicius et al., Mixed Precision Training (ICLR 2018), section 3.2.
    """

    def __init__(self, kind: torch.dtype) -> None:
        self.value = 2.0**16 if kind is torch.float16 else 1.0
        self._moves = kind is torch.float16
        self._good = 0

    def undo(self, parameters: list[torch.nn.Parameter]) -> bool:
        """Divide the gradients; False if they grew out of float16, so that there is no step to take."""
        if not self._moves:
            return True
        gradients = [mine(p.grad) for p in parameters if p.grad is not None]
        torch._foreach_mul_(gradients, 1.0 / self.value)
        sound = all(bool(torch.isfinite(g).all()) for g in gradients)
        self._good = self._good + 1 if sound else 0
        if not sound:
            self.value = max(self.value / 2, SMALLEST)
        elif self._good >= GROWS_AFTER:
            self.value, self._good = min(self.value * 2, LARGEST), 0
        return sound


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """While this lasts, a GPU gives the same numbers for the same work, slower; processors do so anyway."""
    if device.type != "cuda":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True, warn_only=False)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
