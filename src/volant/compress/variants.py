"""Smaller variants of a release's networks: in eight bits, with channels or numbers cut, or taught anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from volant.bind.onnx_channels import links, without
from volant.bind.onnx_quantise import dynamic, static
from volant.bind.onnx_reader import input_names
from volant.compress.networks import Network
from volant.compress.students import student, students
from volant.compress.tuning import Effort, Lessons, tuned, two_of_four
from volant.core.progress import Progress

CALIBRATION = 512
"""Rows from which the ranges for eight bits are taken."""
CHUNK = 32
CUTS = (0.25, 0.5)
"""Shares of the channels that are cut."""


@dataclass(frozen=True)
class Study:
    """What variants are made from: the networks, what flows into each, and how long they may learn."""

    networks: tuple[Network, ...]
    lessons: Mapping[str, Lessons]
    effort: Effort
    progress: Progress


Files = dict[str, bytes]
"""Models by the names of the files that they replace."""


def makers(study: Study) -> dict[str, Callable[[], Files]]:
    """What can be tried, by name; each gives the files of a variant."""
    found: dict[str, Callable[[], Files]] = {"int8": lambda: _each(study, eight_bits)}
    if any(links(network.model) for network in study.networks):
        for share in CUTS:
            name = f"pruned {share:.0%}".replace(" %", "%")
            found[name] = lambda share=share: _each(study, lambda n, s: cut(n, s, share))
            found[f"{name}, int8"] = lambda share=share: _each(
                study, lambda n, s: eight_bits(Network(n.step, cut(n, s, share)), s)
            )
    found |= _taught(study)
    found["2:4"] = lambda: _each(study, half)
    return found


def _taught(study: Study) -> dict[str, Callable[[], Files]]:
    """Students in place of a network for pictures, where the release has one network alone."""
    if len(study.networks) != 1:
        return {}
    network = study.networks[0]
    lessons, found = study.lessons[network.file], dict[str, Callable[[], Files]]()
    for widths in students(network, lessons):
        name = "distilled " + ", ".join(map(str, widths))

        def make(widths: tuple[int, ...] = widths) -> Files:
            return {network.file: student(network, lessons, widths, study.effort, study.progress)}

        def smaller(make: Callable[[], Files] = make) -> Files:
            return {file: eight_bits(Network(network.step, model), study) for file, model in make().items()}

        found[name], found[f"{name}, int8"] = make, smaller
    return found


def _each(study: Study, change: Callable[[Network, Study], bytes]) -> Files:
    return {network.file: change(network, study) for network in study.networks}


def eight_bits(network: Network, study: Study) -> bytes:
    """In eight bits: convolutions with ranges from real rows, everything else with ranges of each batch."""
    if not network.convolves:
        return dynamic(network.model)
    lessons = study.lessons[network.file]
    places = np.linspace(0, len(lessons.inputs[0]) - 1, min(CALIBRATION, len(lessons.inputs[0]))).astype(np.int64)
    names = input_names(network.model)
    batches = [
        {name: values[places[i : i + CHUNK]] for name, values in zip(names, lessons.inputs, strict=True)}
        for i in range(0, len(places), CHUNK)
    ]
    return static(network.model, batches)


def cut(network: Network, study: Study, share: float) -> bytes:
    """With a share of the channels cut out, taught by the network as it was."""
    if not links(network.model):
        return network.model
    smaller = without(network.model, share)
    return tuned(smaller, network.model, study.lessons[network.file], study.effort, study.progress)


def half(network: Network, study: Study) -> bytes:
    """With two of each four weights at zero, taught by the network as it was."""
    lessons = study.lessons[network.file]
    return tuned(network.model, network.model, lessons, study.effort, study.progress, two_of_four)
