"""Four turns of the wheel, an attack and a rollback, through the same stages that every product uses."""

from __future__ import annotations

import re
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import volant
from volant.core.budget import Budget, Spending
from volant.core.product import FILE
from volant.core.progress import Progress, Silent
from volant.errors import BadInput, Failure
from volant.runtime.load import open_release
from volant.runtime.rows import rows_to_batch
from volant.testing.demo.digits import TARGET, Digits, Drawings, digits, settings
from volant.testing.demo.told import DemoResult, Poisoned, RolledBack, Round
from volant.testing.paired import accuracy, compare
from volant.testing.poison import flip_labels
from volant.testing.served import served, wait_for_release
from volant.testing.simulate import Session, User, crowd, simulate
from volant.wheel.context import work_on
from volant.wheel.handle import ProductHandle
from volant.wheel.learn import assemble
from volant.wheel.new import new
from volant.wheel.results import TrainResult, TurnResult
from volant.wheel.train import train_on

USERS, STUBBORN, SLIP = 100, 0.03, 0.1
"""How many people answer; how many of them always say "7"; how many of the others' corrections are slips."""
POISON = 0.4
"""Share of the training labels that the attack flips."""


def demo(
    *,
    progress: Progress | None = None,
    folder: Path | None = None,
    rounds: int = 4,
    seed: int = 0,
    budget: str = "100 units",
) -> DemoResult:
    """Turn the wheel on handwritten digits.

    Args:
        progress: is told what happens.
        folder: where the product is made; by default a new temporary folder, which stays.
        rounds: turns of the wheel.
        seed: of the division of the data and of everything that users do.
        budget: of each training.

    Raises:
        BadInput: code `product-exists`: there is something in `folder` already.
        Failure: code `training-failed`: no first champion could be trained.
    """
    begun = time.monotonic()
    place = folder or Path(tempfile.mkdtemp(prefix="volant-demo-")) / "digits"
    data = digits(rounds, seed)
    users = crowd(USERS, stubborn=STUBBORN, slip=SLIP)
    stage = _Stage(_product(place, data, seed, budget), data, users, seed, progress or Silent())
    with _one_thread():
        first = stage.first_champion()
        with served(place) as service:
            stage.url = service.url
            told = tuple(stage.turn(number) for number in range(1, rounds + 1))
            poisoned = stage.poison(budget)
            rollback = stage.roll_back()
    return stage.conclude(first, told, poisoned, rollback, time.monotonic() - begun)


def _one_thread() -> AbstractContextManager[Any]:
    """Matrices this small are multiplied fastest by a single thread."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[Any] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _product(place: Path, data: Digits, seed: int, budget: str) -> ProductHandle:
    """A product with 150 labelled digits beside its file."""
    if place.is_dir() and any(place.iterdir()):
        raise BadInput(
            "the demonstration wants an empty folder", code="product-exists", where=str(place), fix="choose another"
        )
    place.mkdir(parents=True, exist_ok=True)
    data.labelled.write(place / "digits.csv")
    new("digits", str(place / "digits.csv"), TARGET, task="classify", folder=place)
    inferred = (place / FILE).read_text(encoding="utf-8")
    head = re.sub(r"\[(data\.split|columns)\].*?(?=\n\[|\Z)", "", inferred, flags=re.DOTALL)
    (place / FILE).write_text(head + settings(budget, seed), encoding="utf-8")
    return volant.open(place)


def _line(told: Round) -> str:
    challenger = "" if told.challenger is None else f", challenger {told.challenger.value:.1%}"
    counted = f"{told.accepted} labels accepted, {told.rejected} rejected"
    return f"round {told.number}: {counted}; champion {told.champion.value:.1%}{challenger}: {told.outcome}"


@dataclass
class _Stage:
    """The product, the data and the people of one demonstration."""

    product: ProductHandle
    data: Digits
    users: tuple[User, ...]
    seed: int
    progress: Progress
    url: str = ""

    def first_champion(self) -> str:
        """Train on what is labelled; gives the release."""
        self.progress.stage("first champion")
        result = self.product.train()
        if not result.promoted:
            raise Failure(
                "the first champion was refused",
                code="training-failed",
                got=result.verdict.reasons[0] if result.verdict and result.verdict.reasons else None,
                fix="give the demonstration more time",
            )
        return result.candidate

    def champion(self) -> str:
        """The release that is deployed."""
        return self.product.status().champion or ""

    def right(self, release: str) -> list[bool]:
        """Where a release is right on the hidden test set."""
        return right(self.product.product.home / "candidates" / release, self.data.hidden)

    def turn(self, number: int) -> Round:
        """Users answer, the wheel turns once, and the service takes up what was promoted."""
        self.progress.stage(f"round {number}")
        begun = time.monotonic()
        shown = self.data.rounds[number - 1]
        session = simulate(self.url, shown.rows, shown.truths, self.users, seed=self.seed * 1000 + number)
        turned = self.product.improve()
        wait_for_release(self.url, turned.champion_after)
        told = self._told(number, session, turned, time.monotonic() - begun)
        self.progress.say(_line(told))
        return told

    def _told(self, number: int, session: Session, turned: TurnResult, seconds: float) -> Round:
        trained, labels = turned.train, turned.labels
        return Round(
            number=number,
            answers=len(session.said),
            wrong=session.wrong,
            accepted=labels.accepted,
            rejected=labels.rejected,
            held=labels.held,
            judged=labels.judged,
            champion=accuracy(self.right(turned.champion_before)),
            challenger=None if trained is None else accuracy(self.right(trained.candidate)),
            outcome=turned.outcome,
            reason=_reason(trained),
            release=turned.champion_after,
            seconds=round(seconds, 1),
        )

    def poison(self, budget: str) -> Poisoned:
        """Somebody flips labels where they are kept; the gate must see what came of it."""
        self.progress.stage("a poisoned challenger")
        with work_on(self.product.product) as context, context.store.lock("train", wait=0.0):
            spoilt = flip_labels(assemble(context).dataset, context.folder("datasets"), POISON, seed=self.seed)
            context.store.add_dataset(spoilt.digest, len(spoilt), {"kind": "poison", "cuts": spoilt.facts["cuts"]})
            spending = Spending(Budget.parse(budget), context.clock)
            result = train_on(context, spoilt, spending, time.monotonic())
        wait_for_release(self.url, self.champion())
        return Poisoned(
            share=POISON,
            candidate=result.candidate,
            champion=accuracy(self.right(self.champion())),
            challenger=accuracy(self.right(result.candidate)),
            refused=not result.promoted,
            reason=_reason(result),
        )

    def roll_back(self) -> RolledBack:
        """One release back and forth again, with the service running."""
        self.progress.stage("a rollback, and back again")
        champion = self.champion()
        previous = self.product.rollback(reason="shown by the demonstration").release
        answered = wait_for_release(self.url, previous)
        restored = self.product.promote(champion, reason="the gate let it pass before").release
        wait_for_release(self.url, restored)
        return RolledBack(champion=champion, previous=previous, answered=answered, restored=restored)

    def conclude(
        self, first: str, told: tuple[Round, ...], poisoned: Poisoned, rollback: RolledBack, seconds: float
    ) -> DemoResult:
        """Compare the last champion with the first on the hidden test set, row by row."""
        before, after = self.right(first), self.right(self.champion())
        gain = compare(before, after)
        folder = self.product.product.folder
        return DemoResult(
            folder=folder,
            labelled=len(self.data.labelled),
            hidden=len(self.data.hidden),
            users=len(self.users),
            stubborn=sum(user.habit == "stubborn" for user in self.users),
            first=accuracy(before),
            rounds=told,
            poisoned=poisoned,
            rollback=rollback,
            last=accuracy(after),
            gain=gain,
            passed=gain.is_better and poisoned.refused and rollback.restored == rollback.champion,
            seconds=round(seconds, 1),
            next=(f"volant -C {folder} serve", f"volant -C {folder} history"),
        )


def _reason(result: TrainResult | None) -> str:
    verdict = None if result is None else result.verdict
    return verdict.reasons[0] if verdict and verdict.reasons else "" if result is None else result.note


def right(folder: Path, drawings: Drawings) -> list[bool]:
    """Where a release says what a drawing shows."""
    release = open_release(folder)
    batch, _ = rows_to_batch(drawings.rows, release.signature)
    said = release.predict(batch)["label"]
    return [label == truth for label, truth in zip(said, drawings.truths, strict=True)]
