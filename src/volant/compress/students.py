"""A smaller network of another make in place of a network for pictures, taught by it from the beginning."""

from __future__ import annotations

import numpy as np

from volant.compress.networks import Network
from volant.compress.tuning import TRUTH, WARMTH, Effort, Lessons
from volant.core.progress import Progress
from volant.neural.image.design import Augmentation, Design, Recipe, augmentation

WIDTHS = ((32, 96, 128), (16, 32, 64))
"""Widths of the groups of students, the largest first."""
LONGER = 4.0
"""How much longer a student learns than a network that was only cut: it knows nothing yet."""
LESS = 0.5
"""Share of the teacher's bytes that a student may have."""
BYTES = {(32, 96, 128): 1_450_000, (16, 32, 64): 320_000}
"""About what the students weigh."""
COMPARED = 64


def students(network: Network, lessons: Lessons) -> tuple[tuple[int, ...], ...]:
    """The widths of the students that are worth a trial: much smaller than the network, which looks at pixels."""
    pixels = lessons.inputs[0]
    if pixels.ndim != 4 or pixels.dtype != np.uint8 or len(lessons.inputs) > 2:
        return ()
    return tuple(widths for widths in WIDTHS if BYTES[widths] < LESS * len(network.model))


def student(network: Network, lessons: Lessons, widths: tuple[int, ...], effort: Effort, progress: Progress) -> bytes:
    """The ONNX model of a quick network that learned what the larger one answers, with its inputs and output."""
    import torch

    from volant.bind.onnx_torch import answers
    from volant.neural.crew import Alone
    from volant.neural.image.building import build, with_batch
    from volant.neural.image.export import exported_network
    from volant.neural.image.rows import ImageRows
    from volant.neural.image.symmetry import mirror_keeps
    from volant.neural.image.training import Circumstances, train
    from volant.neural.loop import torch_threads

    told = answers(network.model, lessons.inputs, effort.threads)
    targets = torch.from_numpy(_targets(told, lessons))
    beside = torch.from_numpy(lessons.inputs[1]) if len(lessons.inputs) > 1 else None
    rows = ImageRows(lessons.inputs[0], targets, torch.ones(len(told)), beside)
    names = augmentation("auto", min(rows.pictures.shape[1:3]), lessons.kind != "number")
    mirrored = lessons.kind != "number" and mirror_keeps(rows.pictures, _shown(told, lessons.kind))
    names = names if mirrored else tuple(name for name in names if name != "flip")
    recipe = Recipe(LONGER * effort.epochs, 0, 0.24, quick=True, augmentation=Augmentation(names))
    with torch_threads(effort.threads):
        made = build(Design("convnet", widths, mirrored=mirrored), rows, told.shape[1], effort.seed)
        recipe = with_batch(recipe, len(rows), recipe.epochs)
        train(made, rows, None, lessons.kind, recipe, Circumstances(effort.seconds, progress, crew=Alone()))
        some = rows.batch(np.linspace(0, len(rows) - 1, min(COMPARED, len(rows))).astype(np.int64))
        return exported_network(made, some[0], *some[3:])


def _shown(told: np.ndarray, kind: str) -> np.ndarray:
    """What the teacher sees in each picture, as a number (n,): its class, or which labels it carries."""
    if kind == "classes":
        return np.asarray(told.argmax(axis=1))
    return np.asarray(np.unique(told > 0, axis=0, return_inverse=True)[1]).reshape(-1)


def _targets(told: np.ndarray, lessons: Lessons) -> np.ndarray:
    """What a student learns, float32 (n, outputs): the teacher's probabilities and the truth, or its numbers."""
    if lessons.truth is None:
        return np.asarray(told, dtype=np.float32)
    warm = told.astype(np.float64) / WARMTH
    if lessons.kind == "labels":
        soft = 1.0 / (1.0 + np.exp(-warm))
        truth = np.where(lessons.truth >= 0, lessons.truth, soft)
    else:
        soft = np.exp(warm - warm.max(axis=1, keepdims=True))
        soft /= soft.sum(axis=1, keepdims=True)
        truth, known = soft.copy(), lessons.truth >= 0
        truth[known] = np.eye(soft.shape[1])[lessons.truth[known]]
    return np.asarray((1.0 - TRUTH) * soft + TRUTH * truth, dtype=np.float32)
