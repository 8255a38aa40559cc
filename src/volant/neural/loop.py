"""The training loop: batches, schedules, early stopping, deadlines and a way back from numbers that are none.

A loop knows nothing of what it trains. It draws batches of rows, asks the objective for their loss, steps the
optimiser, asks how good the model is on held-out rows, and leaves the model with the best weights it had.
Whatever is drawn comes from generators that the training alone uses, so that several may run at the same time.
With a place for checkpoints, a training that was killed goes on where it stood, to the same weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch

from volant.bind.threads import Shared
from volant.core.progress import Progress, Silent
from volant.neural.average import Average
from volant.neural.checkpoint import Checkpoint, read
from volant.neural.curves import Point
from volant.neural.feeding import Batch, Feeder, Source, Tensors
from volant.neural.means import Means
from volant.neural.optimisers import Optimiser
from volant.neural.precision import reckoned_in
from volant.neural.sharded import like, mine, whole
from volant.neural.stepping import Stepper

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


@runtime_checkable
class Tells(Protocol):
    """An optional ability of an objective: metrics beside the loss, as it was last judged."""

    def told(self) -> Mapping[str, float]: ...


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
        looks: how often the held-out rows are looked at, at the most; 0 for once per epoch.
        best: keep the weights that did best on the held-out rows; else the last ones.
    """

    epochs: float
    batch: int
    until: float = 1.0
    patience: float = 1.0
    seconds: float = math.inf
    average: float = 0.0
    looks: int = 0
    best: bool = True


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
    """Where a training stands: `drawn` counts batches, `spent` the seconds of processes that were killed."""

    began: float | None
    spent: float = 0.0
    steps: int = 0
    drawn: int = 0
    rows: int = 0
    unsaid: list[float] = field(default_factory=list)
    found: Trained = field(default_factory=Trained)
    kept: dict[str, torch.Tensor] = field(default_factory=dict)

    def seconds(self) -> float:
        """How long it has gone on; a training without a deadline reads no clock."""
        return self.spent if self.began is None else self.spent + time.monotonic() - self.began


class Loop:
    """Trains an objective on tensors whose first dimension is the rows, or on what a source fetches."""

    def __init__(
        self,
        objective: Objective,
        data: Sequence[torch.Tensor] | Source,
        optimiser: Optimiser,
        plan: Plan,
        dice: torch.Generator,
        progress: Progress | None = None,
        means: Means | None = None,
    ) -> None:
        self.dice, self.plan, self.means = dice, plan, means or Means()
        self.objective, self.optimiser, self.progress = objective, optimiser, progress or Silent()
        source: Any = data if hasattr(data, "fetch") else Tensors(data)
        crew = self.means.crew
        self.feeder = Feeder(source, plan.batch, dice.initial_seed(), crew.rank, crew.size)
        self.stepper = Stepper(objective, optimiser, self.means, lambda text: self.progress.say(text))
        self.average = Average(objective.model, plan.average)
        self.rows, self.per_epoch = self.feeder.rows, self.feeder.per_epoch
        self.every = self.per_epoch * max(1, round(LEAST_STEPS / self.per_epoch))
        if plan.looks:
            self.every = max(1, math.ceil(self.per_epoch * plan.epochs / plan.looks))

    def run(self) -> Trained:
        """Train; the model is left with the best weights found, in the state for prediction."""
        model = self.objective.model
        run = self._begun()
        model.train()
        with closing(self.feeder.batches(run.drawn)) as batches:
            for batch in batches:
                now = self._at(run)
                if now >= self.plan.until or not self._step(run, batch, now):
                    break
                if run.steps % self.every == 0 and not self._look(run):
                    break
                self._save_sometimes(run)
        if run.steps % self.every or not run.steps:
            self._look(run)
        model.load_state_dict(run.kept)
        model.eval()
        return replace(run.found, epochs=round(run.steps / self.per_epoch, 3))

    def _begun(self) -> _Run:
        """The run where it was when its process was killed, or a new one."""
        run = _Run(None if math.isinf(self.plan.seconds) else time.monotonic())
        keeper = self.means.keeper
        found = None if keeper is None else read(keeper.path, self._identity())
        if found is None:
            self._keep(run, 0.0, None)
            return run
        self.progress.say("a training that was cut short goes on where it stood")
        return self._restored(run, found)

    def _identity(self) -> str:
        """What tells this training from others: its plan, its rows, and the shape of what it trains."""
        plan = {name: value for name, value in asdict(self.plan).items() if name != "seconds"}
        shapes = {name: list(value.shape) for name, value in self.objective.model.state_dict().items()}
        return repr([plan, self.rows, self.dice.initial_seed(), shapes])

    def _at(self, run: _Run) -> float:
        """The progress: the share of the steps done, or that of the time on the way to the end where it is more."""
        share = run.steps / (self.per_epoch * self.plan.epochs)
        if run.began is None:
            return share
        return self.means.crew.agreed(max(share, self.plan.until * run.seconds() / self.plan.seconds))

    def _step(self, run: _Run, batch: Batch, now: float) -> bool:
        """One step; False if training must end because it keeps failing."""
        run.drawn += 1
        value = self.stepper.step(batch, now)
        if not math.isfinite(value):
            return self._back(run)
        self.average.update()
        run.steps += 1
        run.rows += len(batch[0]) * self.means.crew.size
        run.unsaid.append(value)
        return True

    def _back(self, run: _Run) -> bool:
        """Go back to the last good weights at half the rate; False if that was done too often already."""
        run.found = replace(run.found, falls=run.found.falls + 1)
        going = run.found.falls <= MOST_FALLS
        then = "at half the rate" if going else "and ends there: it keeps failing, so try a smaller rate"
        self.progress.say(f"the loss is no finite number at step {run.steps:,}: back to the last good weights {then}")
        self.objective.model.load_state_dict(run.kept)
        self.average.restart()
        self.optimiser.calm()
        return going

    def _look(self, run: _Run) -> bool:
        """Judge, keep the weights if they are the best, and tell; False if patience is at its end."""
        now = min(self._at(run), self.plan.until)
        model = self.objective.model
        model.eval()
        with torch.no_grad(), self.average.applied(), reckoned_in(self.means.kind, self.means.crew.device):
            loss = self.objective.judge()
            if self._is_better(run, loss) and self._is_sound():
                self._keep(run, now, loss)
        model.train()
        self._tell(run, now, loss)
        return now - run.found.best <= self.plan.patience

    def _is_better(self, run: _Run, loss: float | None) -> bool:
        if loss is None or not self.plan.best:
            return loss is None or math.isfinite(loss)
        return math.isfinite(loss) and (run.found.loss is None or loss < run.found.loss)

    def _is_sound(self) -> bool:
        sound = all(bool(torch.isfinite(mine(p)).all()) for p in self.objective.model.parameters())
        return self.means.crew.mean(float(sound)) == 1.0

    def _keep(self, run: _Run, now: float, loss: float | None) -> None:
        run.found = replace(run.found, best=now, loss=loss)
        run.kept = {name: value.detach().clone() for name, value in self.objective.model.state_dict().items()}

    def _tell(self, run: _Run, now: float, loss: float | None) -> None:
        metrics = dict(self.objective.told()) if isinstance(self.objective, Tells) else {}
        trained = sum(run.unsaid) / max(len(run.unsaid), 1)
        run.unsaid.clear()
        point = Point(run.steps, run.steps / self.per_epoch, now, trained, loss, metrics)
        if run.began is not None:
            seconds = max(run.seconds(), 1e-9)
            run.found = replace(run.found, rows_per_second=run.rows / seconds)
            point = replace(point, seconds=seconds, rows_per_second=run.rows / seconds)
        self.progress.advance(now, point.text())
        if self.means.curves is not None and self.means.crew.rank == 0:
            self.means.curves.add(point)

    def _save_sometimes(self, run: _Run) -> None:
        keeper = self.means.keeper
        if keeper is not None and keeper.is_due(run.steps):
            checkpoint = self._checkpoint(run)
            if self.means.crew.rank == 0:
                checkpoint.write(keeper.path)
            self.means.crew.wait()

    def _checkpoint(self, run: _Run) -> Checkpoint:
        parts: dict[str, Mapping[str, torch.Tensor]] = {
            "model": self.objective.model.state_dict(),
            "kept": run.kept,
            "average": self.average.state(),
            "optimiser": self.optimiser.state(),
            "dice": {"state": self.dice.get_state()},
        }
        tensors = {f"{part}/{name}": whole(value) for part, held in parts.items() for name, value in held.items()}
        counts = {name: getattr(run, name) for name in ("steps", "drawn", "rows", "unsaid")}
        facts = {**counts, "spent": run.seconds(), "found": asdict(run.found), "stepper": self.stepper.state()}
        return Checkpoint(self._identity(), tensors, facts)

    def _restored(self, run: _Run, found: Checkpoint) -> _Run:
        model, facts = self.objective.model, dict(found.facts)
        now = model.state_dict()
        model.load_state_dict({name: like(value, now[name]) for name, value in found.part("model").items()})
        run.kept = {name: like(value, now[name]) for name, value in found.part("kept").items()}
        self.average.restore(found.part("average"))
        self.optimiser.restore(found.part("optimiser"))
        self.dice.set_state(found.part("dice")["state"])
        self.stepper.restore(facts.pop("stepper"))
        run.found = Trained(**facts.pop("found"))
        return replace(run, **facts)
