"""The training loop: batches, schedules, early stopping, deadlines and a way back from numbers that are none.

A loop knows nothing of what it trains. It draws batches of rows, asks the objective for their loss, steps the
optimiser, asks how good the model is on held-out rows, and leaves the model with the best weights it had.
Whatever is drawn comes from a generator that the training alone uses, so that several may run at the same time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch

from volant.bind.threads import Shared
from volant.core.progress import Progress, Silent
from volant.neural.average import Average
from volant.neural.optimisers import Adam

LEAST_STEPS = 20
"""Steps between two looks at the held-out rows, at the least: they cost time too."""
MOST_FALLS = 6
"""How often training may go back to its last good weights before it ends there."""


class Objective(Protocol):
    """What a loop trains: a model with its loss, and how good it is on rows that are held out."""

    model: torch.nn.Module

    def loss(self, batch: Sequence[torch.Tensor], progress: float) -> torch.Tensor:
        """The mean loss of a batch, at this progress of the training in [0, 1]."""

    def judge(self) -> float | None:
        """The loss on held-out rows, or None where there are none."""


@dataclass(frozen=True)
class Plan:
    """How long a model trains, and on what.

    Attributes:
        epochs: passes through the rows that the schedules are laid out for.
        batch: rows per step.
        until: progress in [0, 1] at which training ends, though schedules are laid out for more.
        patience: progress without a better judgement after which training ends.
        seconds: time it may take; schedules run faster where it is short, so that they end in time.
        average: decay of the running mean of the weights that is judged and kept; 0 for the weights themselves.
    """

    epochs: int
    batch: int
    until: float = 1.0
    patience: float = 1.0
    seconds: float = math.inf
    average: float = 0.0


@dataclass(frozen=True)
class Trained:
    """How a training went: `best` is the progress at which the weights stood that were kept."""

    epochs: float = 0.0
    best: float = 0.0
    loss: float | None = None
    falls: int = 0
    rows_per_second: float = 0.0


def _limit(threads: int) -> Callable[[], Any]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    return lambda: torch.set_num_threads(before)


torch_threads = Shared(_limit)
"""`with torch_threads(n):` torch uses `n` threads; trainings at the same time share the setting."""


@dataclass
class _Run:
    """Where a training stands."""

    began: float | None
    steps: int = 0
    rows: int = 0
    unsaid: list[float] = field(default_factory=list)
    found: Trained = field(default_factory=Trained)
    kept: dict[str, torch.Tensor] = field(default_factory=dict)


class Loop:
    """Trains an objective on tensors whose first dimension is the rows."""

    def __init__(
        self,
        objective: Objective,
        data: Sequence[torch.Tensor],
        optimiser: Adam,
        plan: Plan,
        dice: torch.Generator,
        progress: Progress | None = None,
    ) -> None:
        self.dice = dice
        self.objective, self.data, self.optimiser, self.plan = objective, tuple(data), optimiser, plan
        self.progress = progress or Silent()
        self.average = Average(objective.model, plan.average)
        self.rows = len(self.data[0])
        self.per_epoch = max(1, math.ceil(self.rows / plan.batch))
        self.every = self.per_epoch * max(1, round(LEAST_STEPS / self.per_epoch))

    def run(self) -> Trained:
        """Train; the model is left with the best weights found, in the state for prediction."""
        model = self.objective.model
        run = _Run(None if math.isinf(self.plan.seconds) else time.monotonic())
        self._keep(run, 0.0, None)
        model.train()
        for batch in self._batches():
            now = self._at(run)
            if now >= self.plan.until or not self._step(run, batch, now):
                break
            if run.steps % self.every == 0 and not self._look(run):
                break
        if run.steps % self.every or not run.steps:
            self._look(run)
        model.load_state_dict(run.kept)
        model.eval()
        return replace(run.found, epochs=round(run.steps / self.per_epoch, 3))

    def _at(self, run: _Run) -> float:
        """The progress: the share of the steps done, or of the time used where that is more."""
        share = run.steps / (self.per_epoch * self.plan.epochs)
        if run.began is None:
            return share
        return max(share, (time.monotonic() - run.began) / self.plan.seconds)

    def _batches(self) -> Iterator[tuple[torch.Tensor, ...]]:
        """Batches without end, each epoch in an order of its own; every batch of an epoch is about as large."""
        while True:
            order = torch.randperm(self.rows, generator=self.dice)
            for places in torch.tensor_split(order, self.per_epoch):
                yield tuple(values[places] for values in self.data)

    def _step(self, run: _Run, batch: tuple[torch.Tensor, ...], now: float) -> bool:
        """One step; False if training must end because it keeps failing."""
        loss = self.objective.loss(batch, now)
        value = float(loss.detach())
        if not math.isfinite(value):
            return self._back(run)
        loss.backward()
        self.optimiser.step(now)
        self.average.update()
        run.steps += 1
        run.rows += len(batch[0])
        run.unsaid.append(value)
        return True

    def _back(self, run: _Run) -> bool:
        run.found = replace(run.found, falls=run.found.falls + 1)
        self.objective.model.load_state_dict(run.kept)
        self.average.restart()
        self.optimiser.calm()
        return run.found.falls <= MOST_FALLS

    def _look(self, run: _Run) -> bool:
        """Judge, keep the weights if they are the best, and tell; False if patience is at its end."""
        now = min(self._at(run), self.plan.until)
        model = self.objective.model
        model.eval()
        with torch.inference_mode(), self.average.applied():
            loss = self.objective.judge()
            if self._is_better(run, loss) and self._is_sound():
                self._keep(run, now, loss)
        model.train()
        self._tell(run, now, loss)
        return now - run.found.best <= self.plan.patience

    def _is_better(self, run: _Run, loss: float | None) -> bool:
        return loss is None or (math.isfinite(loss) and (run.found.loss is None or loss < run.found.loss))

    def _is_sound(self) -> bool:
        return all(bool(torch.isfinite(p).all()) for p in self.objective.model.parameters())

    def _keep(self, run: _Run, now: float, loss: float | None) -> None:
        run.found = replace(run.found, best=now, loss=loss)
        run.kept = {name: value.detach().clone() for name, value in self.objective.model.state_dict().items()}

    def _tell(self, run: _Run, now: float, loss: float | None) -> None:
        speed = ""
        if run.began is not None:
            rate = run.rows / max(time.monotonic() - run.began, 1e-9)
            run.found = replace(run.found, rows_per_second=rate)
            speed = f", {rate:,.0f} rows/s"
        judged = "" if loss is None else f", {loss:.4f} held out"
        trained = sum(run.unsaid) / max(len(run.unsaid), 1)
        run.unsaid.clear()
        self.progress.advance(now, f"epoch {run.steps / self.per_epoch:.0f}, loss {trained:.4f}{judged}{speed}")
