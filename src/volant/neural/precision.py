"""In which precision a model trains."""

from __future__ import annotations

import torch


def quick_kind() -> torch.dtype:
    """The kind of number that this CPU multiplies quickest: bfloat16 where it has instructions for it, else float32."""
    told = getattr(torch.cpu, "get_capabilities", dict)()
    quick = told.get("avx512_bf16") or told.get("amx_bf16")
    return torch.bfloat16 if quick else torch.float32
