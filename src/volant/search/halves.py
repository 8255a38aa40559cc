"""Small boosted trees on halves of the rows, again and again: each row is judged by trees that did not see it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volant.bind import lightgbm
from volant.bind.boosting import Part
from volant.bind.onnx import Trees
from volant.search.folds import fold_numbers

REPEATS = 5
"""How often the rows are halved; each half is fitted."""

FITS = 2 * REPEATS
"""Fits per target."""

ROUNDS = 50


@dataclass(frozen=True)
class Effort:
    """Seed, threads, and the seconds that fitting may take."""

    seed: int
    threads: int
    seconds: float = float("inf")


class Halves:
    """Fits on halves of rows (n, width) by their keys."""

    def __init__(
        self, x: np.ndarray, weights: np.ndarray, keys: np.ndarray, categorical: Sequence[int], effort: Effort
    ) -> None:
        self.x, self.weights, self.categorical, self.effort = x, weights, categorical, effort
        self._halves = [fold_numbers(keys, None, 2, effort.seed + i) for i in range(REPEATS)]
        self._fits = 0
        self._begun = None if effort.seconds == float("inf") else time.monotonic()

    def affords(self, targets: int) -> bool:
        """Whether so many more targets, as long as those so far, are expected to end in time."""
        if self._begun is None or not self._fits:
            return True
        spent = time.monotonic() - self._begun
        return spent + targets * FITS * spent / self._fits <= self.effort.seconds

    def crossed(self, wanted: Sequence[tuple[Mapping[str, Any], np.ndarray]]) -> tuple[np.ndarray, Trees]:
        """Margins (n, k) of k wanted (parameters, target), each the mean of the fits without a row; and all trees.

        The trees give the mean of all fits.
        """
        margins = np.zeros((len(self.x), len(wanted)))
        trees = Trees(width=self.x.shape[1], targets=len(wanted))
        for column, (params, target) in enumerate(wanted):
            for halves in self._halves:
                for out in (halves == 0, halves == 1):
                    booster, rounds = self._fit(params, target, ~out)
                    margins[out, column] += lightgbm.margins(booster, self.x[out], rounds) / REPEATS
                    lightgbm.add_trees(trees, booster, rounds, target=column, share=1 / FITS)
        return margins, trees

    def _fit(self, params: Mapping[str, Any], target: np.ndarray, inside: np.ndarray) -> tuple[Any, int]:
        seconds = self._left() / FITS
        self._fits += 1
        booster, rounds, *_ = lightgbm.train(
            {**_params(int(inside.sum()), self.effort), **params},
            Part(self.x[inside], target[inside], self.weights[inside]),
            None,
            categorical=self.categorical,
            rounds=ROUNDS,
            patience=0,
            seconds=seconds,
        )
        return booster, rounds

    def _left(self) -> float:
        return float("inf") if self._begun is None else max(self.effort.seconds - time.monotonic() + self._begun, 0.1)


def _params(rows: int, effort: Effort) -> dict[str, Any]:
    """Small trees: there is far less to learn in errors than in what was predicted."""
    return {
        "learning_rate": 0.1,
        "num_leaves": 8,
        "min_data_in_leaf": max(20, rows // 100),
        "feature_fraction": 0.7,
        "lambda_l2": 1.0,
        "cat_smooth": 20.0,
        "max_bin": 255,
        "seed": effort.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": effort.threads,
        "feature_pre_filter": False,
    }
