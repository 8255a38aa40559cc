"""Learn the order of the portfolio on public tables; none of the tables that judge (bench/tables.py) is read.

Every configuration that a learner offers is fitted on folds of each table, and of other questions that are asked of the
same rows (`QUESTIONS`: two classes are rare among the tables); its out-of-fold predictions are kept under
bench/out/portfolio, so that this can be done in parts. `--learn` then puts configurations into order: next
comes the one that lowers the loss of the ensemble of those before it by the largest share, averaged over tables, for
the time it takes; where none brings anything more, the one that is best by itself.
Prints one JSON line per fit, and with `--learn` the order, which belongs into src/volant/search/order.json.
Needs VOLANT_DATA.

    python bench/portfolio.py --tables phoneme vehicle
    python bench/portfolio.py --learn
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tables import JUDGING, table_of
from volant.bind.threads import blas_threads
from volant.core.plugins import load, load_all
from volant.core.protocols import RunContext
from volant.search.ensemble import greedy_weights
from volant.search.fits import Configuration, Fits
from volant.search.folds import fold_numbers
from volant.search.portfolio import BASELINE, kind
from volant.testing.rows import MemoryRows

OUT = Path(__file__).parent / "out" / "portfolio"
LEFT_OUT = {"kddcup"}
"""Too large for its share of what is learned; it is measured for memory instead."""
MOST_ROWS, FOLDS, MOST_SECONDS, MOST_PLACES = 10_000, 2, 8.0, 6
QUESTIONS = {
    "above": ("wine_quality", "ames_house_prices", "cpu_act", "puma8NH", "metro_traffic", "bike_hourly"),
    "fifths": ("cpu_act", "metro_traffic", "bike_hourly"),
    "most": ("splice", "vehicle", "segmentation"),
    "components": ("mnist", "fashion_mnist", "mnist+fashion_mnist"),
}
"""Is the number above its median, in which fifth is it, is it the most frequent class, which digit or garment is it by
the first principal components; with twenty classes, which of all digits and garments."""
COMPONENTS = 20
PATIENT = 0.25
"""Power of a configuration's seconds by which its gain is divided: 0 would not mind them at all."""
LEAST_SHARE = 0.02
"""Share of the baseline's loss below which one loss is about as good as another."""
LEAST_ROWS = 600
"""Rows of the tables that are learned from: on smaller ones everything is tried, and chance decides what is best."""


def learning_tables() -> list[str]:
    listed = json.loads((Path(os.environ["VOLANT_DATA"]) / "tabular_a" / "tables.json").read_text())
    questions = [f"{name}.{question}" for question, names in QUESTIONS.items() for name in names]
    return [*(t["name"] for t in listed if t["name"] not in {*JUDGING, *LEFT_OUT}), "bike_hourly", *questions]


def asked(name: str) -> tuple[pa.Table, str, str]:
    """A public table or a question that is asked of its rows: the table, its target and its kind."""
    source, _, question = name.partition(".")
    if question == "components":
        return components(source)
    table, target, sort = bikes() if source == "bike_hourly" else table_of(source)
    values = table.column(target).to_numpy()
    if question == "above":
        answers, sort = np.where(values > np.median(values), "yes", "no"), "binary"
    elif question == "fifths":
        edges = np.quantile(values, [0.2, 0.4, 0.6, 0.8])
        answers, sort = np.char.add("part ", np.searchsorted(edges, values).astype(str)), "multiclass"
    elif question == "most":
        kinds, counts = np.unique(values.astype(str), return_counts=True)
        answers, sort = np.where(values.astype(str) == kinds[counts.argmax()], "yes", "no"), "binary"
    else:
        return table, target, sort
    return table.set_column(table.column_names.index(target), target, pa.array(answers)), target, sort


def bikes() -> tuple[pa.Table, str, str]:
    """Bicycles hired per hour, by weather and time."""
    table = pq.read_table(Path(os.environ["VOLANT_DATA"]) / "bike_hourly" / "bike_hourly.parquet")
    return table.drop_columns(["instant", "dteday"]), "cnt", "regression"


def components(names: str) -> tuple[pa.Table, str, str]:
    """Small pictures as smooth numbers: their first principal components. Names joined by `+` are mixed."""
    files = {name: np.load(Path(os.environ["VOLANT_DATA"]) / name / f"{name}.npz") for name in names.split("+")}
    pixels = np.concatenate([kept["x_train"] for kept in files.values()])
    labels = np.concatenate([np.char.add(f"{name} ", kept["y_train"].astype(str)) for name, kept in files.items()])
    some = np.random.default_rng(0).permutation(len(pixels))[:MOST_ROWS]
    pixels = pixels[some].reshape(len(some), -1) / 255.0
    pixels = pixels - pixels.mean(axis=0)
    _, axes = np.linalg.eigh(pixels.T @ pixels)
    columns = {f"component {i}": pixels @ axes[:, -1 - i] for i in range(COMPONENTS)}
    return pa.table({**columns, "label": labels[some]}), "label", "multiclass"


def rows_of(name: str, folder: Path) -> tuple[MemoryRows, object, object]:
    """At most `MOST_ROWS` rows, as volant reads them, their problem and their task."""
    from volant.core.product import read
    from volant.wheel.collect import collect
    from volant.wheel.context import work_on

    table, target, sort = asked(name)
    if len(table) > MOST_ROWS:
        table = table.take(np.sort(np.random.default_rng(0).choice(len(table), MOST_ROWS, replace=False)))
    pq.write_table(table, folder / "train.parquet")
    task = "regress" if sort == "regression" else "classify"
    text = f'version = 1\nname = "t"\n[task]\ntype = "{task}"\ntarget = "{target}"\n[data]\nsource = "train.parquet"\n'
    (folder / "volant.toml").write_text(text)
    with work_on(read(folder)) as context:
        data = collect(context)
        kept = data.take(np.flatnonzero(data.sides() != "unlabelled"))
        return kept, context.task.problem(kept, target, context.metric), context.task


def fit_all(name: str) -> None:
    """Out-of-fold predictions of every configuration on one table."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data, problem, task = rows_of(name, folder)
        truth = task.encode(data, problem)
        numbers = fold_numbers(data.keys(), truth if problem.classes else None, FOLDS, 0)
        fits = Fits(folder / "fits", problem, task.output)
        OUT.mkdir(parents=True, exist_ok=True)
        frequencies = load("learners", BASELINE)
        np.savez_compressed(OUT / f"{name}.npz", truth=truth, kind=np.array(kind(problem)))
        for learner in (frequencies, *load_all("learners").values()):
            if not learner.supports(problem):
                continue
            for place_, options in enumerate(learner.portfolio(problem)[:MOST_PLACES]):
                fit_one(name, learner, place_, options, (data, numbers, fits))


def fit_one(name, learner, place, options, given) -> None:
    """One configuration on all folds, two at a time where its learner allows that."""
    data, numbers, fits = given
    path = OUT / f"{name}-{learner.name}-{place}.npz"
    if path.is_file():
        return
    crew = 1 if getattr(learner, "exclusive", False) else 2

    def fold(number: int):
        held, rows = (data.take(np.flatnonzero(at)) for at in (numbers == number, numbers != number))
        context = RunContext(validation=held, seconds=MOST_SECONDS, threads=2 // crew)
        return fits.make(f"{learner.name}-{place}-{number}", Configuration(learner, options), rows, context)

    told = {"table": name, "learner": learner.name, "place": place}
    started = time.monotonic()
    try:
        with blas_threads(2 // crew), ThreadPoolExecutor(crew) as pool:
            made = list(pool.map(fold, range(FOLDS)))
    except Exception as cause:
        print(json.dumps({**told, "failed": str(cause)[:200]}), flush=True)
        return
    seconds = (time.monotonic() - started) / FOLDS
    predicted = np.empty((len(data), *made[0].predicted.shape[1:]))
    for number, fit in enumerate(made):
        predicted[numbers == number] = fit.predicted
    np.savez_compressed(path, predicted=predicted.astype(np.float32), seconds=seconds, bytes=made[0].bytes)
    loss = loss_of(np.load(OUT / f"{name}.npz")["truth"])(predicted)
    print(
        json.dumps({**told, "loss": round(loss, 5), "seconds": round(seconds, 2), "bytes": made[0].bytes}), flush=True
    )


def loss_of(truth: np.ndarray):
    """Log-loss, or root of the mean squared error."""
    if truth.dtype.kind == "f":
        return lambda p: float(np.sqrt(((p - truth) ** 2).mean()))
    rows = np.arange(len(truth))
    return lambda p: float(-np.log(np.clip(p[rows, truth], 1e-15, 1)).mean())


def fitted(sort: str) -> dict[str, tuple]:
    """By table of a kind: its loss, and by configuration the predictions and the seconds."""
    tables = {}
    for name in learning_tables():
        if not (OUT / f"{name}.npz").is_file() or str(np.load(OUT / f"{name}.npz")["kind"]) != sort:
            continue
        if len(np.load(OUT / f"{name}.npz")["truth"]) < LEAST_ROWS:
            continue
        found = {}
        for path in OUT.glob(f"{name}-*.npz"):
            learner, place = path.stem.removeprefix(f"{name}-").rsplit("-", 1)
            kept = np.load(path)
            found[learner, int(place)] = (kept["predicted"].astype(np.float64), float(kept["seconds"]))
        tables[name] = (loss_of(np.load(OUT / f"{name}.npz")["truth"]), found)
    whole = max(len(found) for _, found in tables.values())
    return {name: given for name, given in tables.items() if len(given[1]) == whole}


def learn(sort: str, most: int) -> list[tuple[str, int]]:
    """The order for tables of one kind."""
    tables = fitted(sort)
    waiting = set.intersection(*(set(found) for _, found in tables.values())) - {(BASELINE, 0)}
    before = {name: loss(found[BASELINE, 0][0]) for name, (loss, found) in tables.items()}
    least = {name: LEAST_SHARE * value for name, value in before.items()}
    slowness = {c: np.mean([found[c][1] / mean_seconds(found) for _, found in tables.values()]) for c in waiting}
    alone = {c: np.mean([np.log(loss(found[c][0]) + least[n]) for n, (loss, found) in tables.items()]) for c in waiting}
    order: list[tuple[str, int]] = []
    while len(order) < most and waiting:
        gains = {}
        for c in sorted(waiting):
            after = {n: together(loss, found, [*order, c]) for n, (loss, found) in tables.items()}
            gain = np.mean([np.log((before[n] + least[n]) / (after[n] + least[n])) for n in tables])
            gains[c] = float(gain) / (0.2 + slowness[c]) ** PATIENT
        best = max(gains, key=lambda c: (round(gains[c], 5), -alone[c]))
        order.append(best)
        waiting.remove(best)
        before = {n: together(loss, found, order) for n, (loss, found) in tables.items()}
        losses = {n: round(value, 5) for n, value in before.items()}
        print(json.dumps({"kind": sort, "next": best, "gain": round(gains[best], 5), "losses": losses}), flush=True)
    return order


def mean_seconds(found) -> float:
    return float(np.mean([seconds for _, seconds in found.values()]))


def together(loss, found, chosen) -> float:
    """The loss of the greedy ensemble of some configurations."""
    arrays = [found[c][0] for c in chosen]
    weights = greedy_weights(arrays, loss, rounds=12)
    return loss(sum(w * p for w, p in zip(weights, arrays, strict=True) if w))


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--tables", nargs="*")
    given.add_argument("--learn", action="store_true")
    given.add_argument("--most", type=int, default=20)
    wanted = given.parse_args()
    if "VOLANT_DATA" not in os.environ:
        raise SystemExit("VOLANT_DATA is not set")
    if wanted.learn:
        print(json.dumps({sort: learn(sort, wanted.most) for sort in ("two_classes", "classes", "number")}))
        return
    for name in wanted.tables or learning_tables():
        fit_all(name)


if __name__ == "__main__":
    main()
