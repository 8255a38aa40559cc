"""Teaching a smaller network what the larger one says, on rows that it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from volant.core.progress import Progress

TRUTH = 0.3
"""How much the truth counts beside what the teacher says."""
WARMTH = 2.0
"""By which the teacher's margins are divided, so that small chances are learned too.

Source: Hinton et al., Distilling the Knowledge in a Neural Network (2015).
"""
BATCH, RATE = 128, 2e-3
UNSAID = -1


@dataclass(frozen=True)
class Lessons:
    """What flows into a network (n, …), and the truth; -1 in it where nobody has said.

    The truth are class indices (n,), or labels (n, L), 1 there and 0 not, or None where numbers are predicted.
    """

    inputs: tuple[np.ndarray, ...]
    truth: np.ndarray | None

    @property
    def kind(self) -> str:
        """What is learned: `classes` (one of them), `labels` (each present or not) or `number`."""
        if self.truth is None:
            return "number"
        return "classes" if self.truth.ndim == 1 else "labels"


@dataclass(frozen=True)
class Effort:
    """How long to teach: epochs, and seconds at the most."""

    epochs: float = 3.0
    seconds: float = float("inf")
    seed: int = 0
    threads: int = 1


def tuned(
    model: bytes,
    teacher: bytes,
    lessons: Lessons,
    effort: Effort,
    progress: Progress,
    masked: Callable[[str, np.ndarray], np.ndarray | None] = lambda name, weight: None,
) -> bytes:
    """The model after it learned from the teacher.

    Args:
        model: the smaller network, with the inputs and outputs of the teacher.
        teacher: the network as it was.
        lessons: rows to learn on.
        effort: for how long.
        progress: who is told.
        masked: for a weight by name and value, which of its numbers stay zero (False), or None.
    """
    import torch

    from volant.bind.onnx_replay import Replay
    from volant.neural.loop import Loop, Plan, torch_threads
    from volant.neural.optimisers import Adam, Group
    from volant.neural.schedules import one_cycle

    student, knows = Replay(model), Replay(teacher)
    data = [torch.from_numpy(np.ascontiguousarray(values)) for values in lessons.inputs]
    truth = torch.from_numpy(np.zeros(len(data[0])) if lessons.truth is None else lessons.truth)
    masks = {}
    for name in student.names():
        kept = masked(name, student.weight(name).detach().numpy())
        if kept is not None:
            masks[name] = torch.from_numpy(kept)
    objective = _Learning(student, knows, lessons.kind, masks)
    plan = Plan(effort.epochs, min(BATCH, len(truth)), seconds=effort.seconds, best=False)
    optimiser = Adam([Group(tuple(student.parameters()), RATE, rate_schedule=one_cycle(0.1))])
    with torch_threads(effort.threads):
        dice = torch.Generator().manual_seed(effort.seed)
        Loop(objective, (*data, truth), optimiser, plan, dice, progress).run()
        objective.hold()
    return student.model()


class _Learning:
    """The distance between what the student and the teacher say, and between the student and the truth."""

    def __init__(self, student: object, teacher: object, kind: str, masks: dict[str, object]) -> None:
        self.model, self.teacher, self.kind, self.masks = student, teacher, kind, masks

    def hold(self) -> None:
        """Put the masked weights back to zero."""
        import torch

        with torch.no_grad():
            for name, kept in self.masks.items():
                self.model.weight(name).mul_(kept)

    def loss(self, batch: Sequence[object], progress: float) -> object:
        import torch

        self.hold()
        *given, truth = batch
        with torch.no_grad():
            told = self.teacher(*given)
        said = self.model(*given)
        return distance(said, told, truth, self.kind)

    def judge(self) -> float | None:
        return None


def distance(said: object, told: object, truth: object, kind: str) -> object:
    """How far a student's margins (n, k) are from the teacher's and from the truth, by which it learns.

    What nobody has said is learned from the teacher alone.
    """
    import torch
    from torch.nn import functional

    if kind == "number":
        return ((said - told) ** 2).mean()
    if kind == "labels":
        known = truth >= 0
        soft = torch.sigmoid(told / WARMTH)
        learned = functional.binary_cross_entropy_with_logits(said / WARMTH, soft) * WARMTH**2
        each = functional.binary_cross_entropy_with_logits(said, known * truth.to(said.dtype), reduction="none")
        return (1.0 - TRUTH) * learned + TRUTH * (known * each).sum() / known.sum().clamp(min=1)
    soft = torch.softmax(told / WARMTH, dim=1)
    learned = functional.cross_entropy(said / WARMTH, soft) * WARMTH**2
    each = functional.cross_entropy(said, truth.long(), ignore_index=UNSAID, reduction="sum")
    return (1.0 - TRUTH) * learned + TRUTH * each / (truth >= 0).sum().clamp(min=1)


def two_of_four(name: str, weight: np.ndarray) -> np.ndarray | None:
    """Of each four numbers in a row of a weight the two largest; None for what is too small to be cut.

    Source: Mishra et al., Accelerating Sparse Deep Neural Networks (2021).
    """
    if weight.ndim < 2 or weight.size < 256:
        return None
    flat = weight.reshape(len(weight), -1)
    width = flat.shape[1] // 4 * 4
    fours = np.abs(flat[:, :width]).reshape(len(flat), -1, 4)
    largest = np.argsort(-fours, axis=2, kind="stable")[:, :, :2]
    kept = np.zeros(fours.shape, dtype=bool)
    np.put_along_axis(kept, largest, True, axis=2)
    out = np.ones(flat.shape, dtype=bool)
    out[:, :width] = kept.reshape(len(flat), -1)
    found: np.ndarray = out.reshape(weight.shape)
    return found
