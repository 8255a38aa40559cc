"""What an earlier search left behind, so that another goes on from its fits instead of beginning anew.

Each fit on a fold goes on with rows that its own held-out rows are not among, and rows keep their folds, so what is
said of a row out of fold still comes from models that never saw it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from volant.core.ids import keyed_unit
from volant.core.protocols import Earlier, Learner, Rows
from volant.core.records import Pipeline
from volant.search.fits import LEARNED, Configuration
from volant.search.logarithm import Logarithm
from volant.search.trials import Trial
from volant.search.views import WithWeights

FILE, FOLDS = "members.json", "folds.npy"


@dataclass(frozen=True)
class Known:
    """A member of the earlier result: its configuration, its fits on folds, and its last fit where there was one."""

    configuration: Configuration
    on_folds: tuple[str, ...]
    last: str | None


@dataclass(frozen=True)
class Before:
    """An earlier search, and how to go on from it.

    Attributes:
        folder: its fits.
        members: what its result was made of.
        folds: how many folds there were.
        known: hashes of the keys of its rows, in order, and `numbers` their folds.
        way: `warm` or `online`.
        fresh: which of the rows now were not among its rows, (n,).
        replay: how many of the others are looked at again.
    """

    folder: Path
    members: tuple[Known, ...]
    folds: int
    known: np.ndarray
    numbers: np.ndarray
    way: str
    fresh: np.ndarray
    replay: int

    def trials(self) -> list[Trial]:
        """The members, to be tried again."""
        return [Trial(one.configuration, reason="it goes on from the champion") for one in self.members]

    def fold_of(self, keys: np.ndarray) -> np.ndarray:
        """The fold of each row, (n,): where its key was, and by a hash where the key is new."""
        units = hashed(keys)
        place = np.minimum(np.searchsorted(self.known, units), len(self.known) - 1)
        chance = np.array(keyed_unit("folds of later rows", map(str, keys)))
        dealt = np.floor(chance * (self.folds if self.folds > 1 else 5))
        dealt = dealt if self.folds > 1 else np.minimum(dealt, 1)
        return np.where(self.known[place] == units, self.numbers[place], dealt).astype(np.int64)

    def earlier(self, configuration: Configuration, fold: int | None) -> Earlier | None:
        """The fit that one on a fold, or the last one (`None`), goes on from; None where there was none."""
        member = next(one for one in self.members if one.configuration.key == configuration.key)
        name = member.last if fold is None else member.on_folds[fold]
        if name is None or not (self.folder / name / "fit.json").is_file():
            return None
        record = json.loads((self.folder / name / "fit.json").read_bytes())
        return Earlier(Pipeline.of(record["pipeline"]), self.folder / name / LEARNED, self.way)

    def lesson(self, data: Rows, positions: np.ndarray) -> Rows:
        """What is learned from rows at some positions: the new ones, and online nothing else.

        In a warm start `replay` of all old rows, drawn by a hash of their keys, weigh as much as all of them did.
        """
        new = positions[self.fresh[positions]]
        if self.way == "online":
            return data.take(new)
        old = positions[~self.fresh[positions]]
        share = min(self.replay / max(int((~self.fresh).sum()), 1), 1.0)
        drawn = old[np.array(keyed_unit("replay", map(str, data.keys()[old]))) < share] if share < 1.0 else old
        weights = data.weights()
        factor = weights[old].sum() / max(weights[drawn].sum(), 1e-300) if len(drawn) else 1.0
        rows = np.sort(np.concatenate([new, drawn]))
        return WithWeights(data.take(rows), np.where(self.fresh[rows], 1.0, factor))


def hashed(keys: np.ndarray) -> np.ndarray:
    """Keys as numbers that tell them apart and name nobody, (n,)."""
    return np.array(keyed_unit("folds known", map(str, keys)))


def remember(
    folder: Path, trials: Sequence[Trial], lasts: Mapping[str, str], keys: np.ndarray, folds: np.ndarray
) -> None:
    """Write down what a later search needs to go on from this one.

    Args:
        folder: the folder of the run.
        trials: what the result is made of.
        lasts: the names of last fits, by the keys of their configurations.
        keys: of the rows, (n,).
        folds: of the rows, (n,).
    """
    units, first = np.unique(hashed(keys), return_index=True)
    np.save(folder / FOLDS, np.stack([units, folds[first].astype(np.float64)]), allow_pickle=False)
    (folder / FILE).write_text(json.dumps([_record(one, lasts.get(one.configuration.key)) for one in trials]))


def _record(trial: Trial, last: str | None) -> dict[str, Any]:
    made = trial.configuration
    log = None if made.logarithm is None else asdict(made.logarithm)
    names = [fit.folder.name for fit in trial.fits]
    about = {"learner": made.learner.name, "version": made.learner.version}
    return {**about, "options": asdict(made.options), "logarithm": log, "folds": names, "last": last}


def recall(folder: Path, learners: Mapping[str, Learner], *, way: str, fresh: np.ndarray, replay: int) -> Before | None:
    """What the search of a run left behind, or None where it left nothing that these learners can go on from."""
    if not (folder / FILE).is_file() or not (folder / FOLDS).is_file():
        return None
    members = [_known(record, learners) for record in json.loads((folder / FILE).read_bytes())]
    if not members or any(one is None or not one.on_folds for one in members):
        return None
    known, numbers = np.load(folder / FOLDS, allow_pickle=False)
    whole = tuple(one for one in members if one is not None)
    return Before(folder / "fits", whole, len(whole[0].on_folds), known, numbers, way, fresh, replay)


def _known(record: Mapping[str, Any], learners: Mapping[str, Learner]) -> Known | None:
    learner = learners.get(record["learner"])
    if learner is None or learner.version != record["version"]:
        return None
    names = {one.name for one in fields(learner.options)}
    if set(record["options"]) != names:
        return None
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in record["options"].items()}
    log = None if record["logarithm"] is None else Logarithm(**record["logarithm"])
    configuration = Configuration(learner, learner.options(**given), log)
    return Known(configuration, tuple(record["folds"]), record["last"])
