"""Where a training stands, in one file: tensors as safetensors, everything else as JSON in its header.

The file is replaced as a whole, so that whenever the process is killed it holds one state or the one before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

_HEADER = "volant"


@dataclass(frozen=True)
class Checkpoint:
    """A state: tensors by name, and plain facts. `of` says of which training it is."""

    of: str
    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def part(self, name: str) -> dict[str, torch.Tensor]:
        """The tensors whose names begin with `name` and a stroke, without it."""
        begins = f"{name}/"
        return {key[len(begins) :]: value for key, value in self.tensors.items() if key.startswith(begins)}

    def write(self, path: Path) -> None:
        """Put it in the place of what lies at `path`, and flush it."""
        from safetensors.torch import save_file

        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        tensors = {name: value.detach().cpu().contiguous().clone() for name, value in self.tensors.items()}
        save_file(tensors, fresh, metadata={_HEADER: json.dumps({"of": self.of, "facts": self.facts})})
        with fresh.open("rb") as stream:
            os.fsync(stream.fileno())
        fresh.replace(path)
        _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def read(path: Path, of: str) -> Checkpoint | None:
    """The state at `path` if it is of that training; None where there is none, or its file is damaged."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as opened:
            told = json.loads((opened.metadata() or {}).get(_HEADER, "{}"))
            if told.get("of") != of:
                return None
            return Checkpoint(of, {name: opened.get_tensor(name) for name in opened.keys()}, told["facts"])  # noqa: SIM118
    except (SafetensorError, OSError, ValueError):
        return None
