"""Pictures that neither memory nor disk can hold as pixels: decoded again whenever they are looked at."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

from volant.columns.media import in_hand
from volant.core.protocols import Rows
from volant.core.records import Pipeline, Step
from volant.runtime.load import Runner

ON_DISK = 0.5
"""Share of the free disk that pixels may take."""


def fits_on_disk(size: float) -> bool:
    """Whether a file of so many bytes may lie where temporary ones do."""
    return size <= ON_DISK * shutil.disk_usage(tempfile.gettempdir()).free


class Undecoded:
    """What gives the pixels of some rows, uint8 (n, height, width, channels), as an array of all of them would.

    Several threads decode, beside the training: Pillow lets go of the interpreter meanwhile. Nothing is remembered.

    Args:
        data: the rows.
        step: that decodes.
        shape: of one picture.
        threads: that decode.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, data: Rows, step: Step, shape: tuple[int, int, int], threads: int) -> None:
        self._data, self._column = data, step.inputs[0]
        self._runner = Runner(Pipeline((step,), {step.output: step.output}), Path(), threads)
        self._output, self.shape = step.output, (len(data), *shape)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Of all pixels, if they were decoded."""
        return int(np.prod(self.shape, dtype=np.float64))

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        cells = self._data.take(np.asarray(places)).batch([self._column])[self._column]
        return self._runner.predict({self._column: in_hand(cells)})[self._output]
