"""What every learner promises."""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from volant.bind import onnx
from volant.core import plugins
from volant.core.clock import Machine
from volant.core.protocols import WAYS, Asks, Earlier, Learner, RunContext, Sketches
from volant.core.records import Cost, Pipeline, Support
from volant.runtime.load import Runner, inside
from volant.runtime.steps import STEPS, TREES
from volant.testing.contract.claims import claim, is_described, nothing_global_changes, run
from volant.testing.contract.tables import CLASSES, Case, cases, emptied, make_case, unseen
from volant.testing.rows import MemoryRows

MACHINE = Machine(cores=2, memory=8 * 1024**3, disk=64 * 1024**3)
CODE_FREE = (".onnx", ".safetensors", ".json", ".txt")
A_HANDFUL = 6
MANY = 600
"""Rows that several threads share."""
GRACE = 5.0
"""Seconds by which a busy machine may be late."""


def check_learner(learner: Learner) -> None:
    """Try a learner on small tables and report every promise that it breaks.

    Raises:
        AssertionError: naming the learner and, per broken promise, what was expected.
    """
    run("learner", learner, LEARNER_CONTRACT)


def _supported(learner: Learner) -> Iterator[Case]:
    yield from (case for case in cases() if learner.supports(case.problem))


_EXAMPLES: dict[str, tempfile.TemporaryDirectory[str]] = {}
"""Where learners wrote what their example options name."""


def _options(learner: Learner, case: Case) -> Any:
    """The first options of its portfolio, its sketch, or what it gives as an example where these lack something."""
    first = learner.sketch(case.problem) if isinstance(learner, Sketches) else learner.portfolio(case.problem)[0]
    if not isinstance(learner, Asks) or not learner.lacks(first):
        return first
    if learner.name not in _EXAMPLES:
        _EXAMPLES[learner.name] = tempfile.TemporaryDirectory(prefix="volant-example-")
    return learner.example(Path(_EXAMPLES[learner.name].name))


_EXPORTED: dict[str, tuple[Pipeline, dict[str, bytes]]] = {}
"""What fits on the cases as they are gave: several promises look at the same one."""


def _export(learner: Learner, case: Case, folder: Path, *, anew: bool = False) -> Pipeline:
    """Fit on the case's rows and export into `folder`; a fit that was made before is used again unless `anew`."""
    folder.mkdir(parents=True, exist_ok=True)
    key = repr((type(learner), vars(learner), case.name, case.problem))
    if anew or key not in _EXPORTED:
        pipeline = _fitted(learner, case, folder)
        _EXPORTED[key] = pipeline, {p.relative_to(folder).as_posix(): p.read_bytes() for p in _files(folder)}
        return pipeline
    pipeline, files = _EXPORTED[key]
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return pipeline


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def _fitted(
    learner: Learner, case: Case, folder: Path, *, train: MemoryRows | None = None, seconds: float = math.inf
) -> Pipeline:
    """Fit on the case's rows, or on `train`, and export into `folder`. A handful of rows has no validation."""
    rows = case.train if train is None else train
    context = RunContext(seed=7, validation=case.fresh if len(rows) > A_HANDFUL else None, seconds=seconds)
    folder.mkdir(parents=True, exist_ok=True)
    model = learner.fit(rows, replace(case.problem, rows=len(rows)), _options(learner, case), context)
    return model.export(folder)


def _predict(
    learner: Learner,
    case: Case,
    rows: MemoryRows,
    *,
    train: MemoryRows | None = None,
    seconds: float = math.inf,
    anew: bool = False,
) -> np.ndarray:
    with tempfile.TemporaryDirectory() as place:
        usual = train is None and seconds == math.inf
        made = (
            _export(learner, case, Path(place), anew=anew)
            if usual
            else _fitted(learner, case, Path(place), train=train, seconds=seconds)
        )
        return _outputs(Runner(made, Path(place)), case, rows)


def _outputs(runner: Runner, case: Case, rows: MemoryRows) -> np.ndarray:
    output = plugins.load("tasks", case.problem.task).output
    return runner.predict(rows.batch([c.name for c in case.problem.inputs]))[output]


def _sound(values: np.ndarray, case: Case, rows: int, when: str) -> None:
    options = len(case.problem.classes or case.problem.labels)
    shape = (rows, options) if options else (rows,)
    claim(values.shape == shape, f"{when} ({case.name}): the output has shape {shape}, got {values.shape}")
    claim(bool(np.isfinite(values).all()), f"{when} ({case.name}): every output is finite")
    if case.problem.classes:
        fit = (values >= 0).all() and np.allclose(values.sum(axis=1), 1.0, atol=1e-5)
        claim(bool(fit), f"{when} ({case.name}): probabilities are not negative and add up to one")
    if case.problem.labels:
        inside = bool(((values >= 0) & (values <= 1)).all())
        claim(inside, f"{when} ({case.name}): the probability of each label lies between 0 and 1")


def _told(values: np.ndarray, case: Case) -> np.ndarray:
    """The numbers of an output that speak of the last class, of all labels, or of the target itself."""
    return values[..., -1] if case.problem.classes else values


def describes_itself(learner: Learner) -> None:
    is_described(learner)
    claim(isinstance(learner.version, int) and learner.version >= 1, "`version` is a whole number from 1")


def options_are_a_frozen_dataclass_with_defaults(learner: Learner) -> None:
    claim(dataclasses.is_dataclass(learner.options), "`options` is a dataclass")
    claim(learner.options.__dataclass_params__.frozen, "`options` is frozen")
    made = learner.options()
    claim(made == learner.options(), "`options()` works: every option has a default")
    json.dumps(dataclasses.asdict(made), allow_nan=False)


def says_what_it_supports(learner: Learner) -> None:
    answers = [learner.supports(case.problem) for case in cases()]
    claim(all(isinstance(a, Support) for a in answers), "`supports` gives a Support")
    claim(any(answers), "it supports at least one of: " + ", ".join(case.name for case in cases()))
    strange = learner.supports(replace(cases()[0].problem, task="no_such_task"))
    claim(not strange, "it does not support a task that it cannot know")
    claim(all(a or a.reason for a in (*answers, strange)), "where it says no, it says why")


def estimates_cost(learner: Learner) -> None:
    for case in _supported(learner):
        small, large = (learner.estimate(replace(case.problem, rows=n), MACHINE) for n in (100, 1_000_000))
        claim(isinstance(small, Cost), "`estimate` gives a Cost")
        for cost in (small, large):
            claim(math.isfinite(cost.seconds) and cost.seconds > 0, "seconds are finite and above zero")
            claim(
                cost.bytes >= 0 and isinstance(cost.units, int) and cost.units >= 0, "bytes and units count up from 0"
            )
        claim(large.seconds >= small.seconds and large.bytes >= small.bytes, "more rows cost no less")


def offers_a_portfolio(learner: Learner) -> None:
    for case in _supported(learner):
        offered = learner.portfolio(case.problem)
        claim(len(offered) >= 1, "the portfolio is not empty")
        claim(all(isinstance(o, learner.options) for o in offered), "the portfolio holds instances of `options`")
        claim(list(offered) == list(learner.portfolio(case.problem)), "the portfolio is the same each time")
        if isinstance(learner, Sketches):
            claim(isinstance(learner.sketch(case.problem), learner.options), "the sketch is an instance of `options`")


def settles_options_after_folds(learner: Learner) -> None:
    case = next(_supported(learner))
    model = learner.fit(case.train, case.problem, _options(learner, case), RunContext(validation=case.fresh))
    facts = [model.facts()] * 2
    json.dumps(facts, allow_nan=False)
    settled = learner.settle(_options(learner, case), facts)
    claim(isinstance(settled, learner.options), "`settle` gives an instance of `options`")
    claim(settled == learner.settle(_options(learner, case), facts), "`settle` gives the same each time")


def exports_no_code(learner: Learner) -> None:
    for case in _supported(learner):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            pipeline = _export(learner, case, folder)
            unknown = {step.op for step in pipeline.steps} - set(STEPS)
            claim(not unknown, f"only steps of the closed vocabulary are used, not {sorted(unknown)}")
            named = {step.file for step in pipeline.steps if step.file}
            claim(all(inside(folder, name).is_file() for name in named), "every file that a step names was written")
            written = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
            claim(written == named, f"nothing else is written: {sorted(written - named)}")
            claim(all(Path(n).suffix in CODE_FREE for n in named), f"files are of the kinds {', '.join(CODE_FREE)}")
            for name in named:
                _plain_onnx(folder / name)


def _plain_onnx(path: Path) -> None:
    if path.suffix != ".onnx":
        return
    contents = onnx.contents(path)
    claim(not contents.foreign, f"{path.name} has standard operators only, not {list(contents.foreign)}")
    claim(not contents.external, f"{path.name} holds its own weights")


def pipeline_is_plain_data(learner: Learner) -> None:
    for case in _supported(learner):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            pipeline = _export(learner, case, folder)
            again = Pipeline.of(json.loads(json.dumps(pipeline.record(), allow_nan=False)))
            first, second = (_outputs(Runner(p, folder), case, case.fresh) for p in (pipeline, again))
            claim(np.array_equal(first, second), "the pipeline predicts the same after it went through JSON")
            _only_inputs(pipeline, case)


def _only_inputs(pipeline: Pipeline, case: Case) -> None:
    known = {column.name for column in case.problem.inputs}
    for step in pipeline.steps:
        claim(set(step.inputs) <= known, f"step {step.op} takes input columns and earlier values only")
        known.add(step.output)
    output = plugins.load("tasks", case.problem.task).output
    claim(set(pipeline.outputs) == {output}, f"the pipeline gives {output!r}, as the task asks")


def predicts_soundly(learner: Learner) -> None:
    for case in _supported(learner):
        _sound(_predict(learner, case, case.fresh), case, len(case.fresh), "fresh rows")


def one_row_is_predicted_like_many(learner: Learner) -> None:
    for case in _supported(learner):
        with tempfile.TemporaryDirectory() as place:
            runner = Runner(_export(learner, case, Path(place)), Path(place))
            many = _outputs(runner, case, case.fresh)
            one = np.concatenate([_outputs(runner, case, case.fresh.take(np.array([i]))) for i in range(8)])
            _sound(one, case, 8, "one row at a time")
            claim(np.allclose(one, many[:8], rtol=1e-4, atol=1e-5), "one row gives what it gives among others")


def threads_change_no_answer(learner: Learner) -> None:
    """A service answers with one thread what was judged with several."""
    for case in _supported(learner):
        with tempfile.TemporaryDirectory() as place:
            pipeline = _export(learner, case, Path(place))
            rows = case.fresh.take(np.resize(np.arange(len(case.fresh)), MANY))
            alone, together = (_outputs(Runner(pipeline, Path(place), threads), case, rows) for threads in (1, 2))
            claim(np.array_equal(alone, together), f"the number of threads changes no bit of an answer ({case.name})")
            trees = any(step.file and TREES in (Path(place) / step.file).read_bytes() for step in pipeline.steps)
            one = _outputs(Runner(pipeline, Path(place)), case, rows.take(np.array([0])))
            claim(not trees or np.array_equal(one, together[:1]), "trees give one row what they give it among others")


def same_seed_gives_same_bytes(learner: Learner) -> None:
    for case in _supported(learner):
        with tempfile.TemporaryDirectory() as place:
            first, second = (_bytes(learner, case, Path(place) / name) for name in ("first", "second"))
            claim(first == second, f"the same rows, options and seed give the same files ({case.name})")


def _bytes(learner: Learner, case: Case, folder: Path) -> dict[str, bytes]:
    pipeline = _export(learner, case, folder, anew=True)
    files = {p.name: p.read_bytes() for p in folder.iterdir()}
    return files | {"pipeline": json.dumps(pipeline.record(), sort_keys=True).encode()}


def keeps_no_state(learner: Learner) -> None:
    case = next(_supported(learner))
    first = _predict(learner, case, case.fresh)
    posed: Any = {"classes": case.problem.classes, "labels": case.problem.labels}
    other = make_case("other", 90, **posed, seed=9)
    if not learner.supports(other.problem):
        types = tuple(column.type for column in case.problem.inputs)
        other = make_case("other", 90, **posed, types=types, seed=9)
    with nothing_global_changes(learner):
        _predict(learner, other, other.fresh, anew=True)
    again = _predict(learner, case, case.fresh, anew=True)
    claim(np.allclose(first, again), "what it learned before changes nothing later")


def keeps_the_order_of_classes(learner: Learner) -> None:
    case = next((c for c in _supported(learner) if c.problem.classes == CLASSES), None)
    if case is None:
        return
    turned = replace(case, problem=replace(case.problem, classes=tuple(sorted(CLASSES))))
    given, other = (_predict(learner, c, case.fresh).mean(axis=0) for c in (case, turned))
    by_name = dict(zip(sorted(CLASSES), other, strict=True))
    for name, mean in zip(CLASSES, given, strict=True):
        claim(abs(mean - by_name[name]) < 0.15, "column i of the output belongs to class i of the problem")
    claim(float(given.max() - given.min()) > 0.1, "frequent classes get more probability than rare ones")


def bears_a_class_without_rows(learner: Learner) -> None:
    for case in _supported(learner):
        if not case.problem.classes:
            continue
        more = replace(case, problem=replace(case.problem, classes=(*case.problem.classes, "nobody")))
        values = _predict(learner, more, case.fresh)
        _sound(values, more, len(case.fresh), "a class without rows")
        claim(bool((values[:, -1] < 0.2).all()), "a class without rows is not likely")


def a_label_is_not_learned_from_silence(learner: Learner) -> None:
    """Rows that say nothing of a label, which carry it wherever they say something, do not speak against it."""
    for case in _supported(learner):
        if not case.problem.labels:
            continue
        values = _predict(learner, case, case.fresh, train=_silent(case))
        _sound(values, case, len(case.fresh), "rows that say nothing of a label")
        low = values[:, -1].mean() < 0.4  # a quarter, if silence were a no
        claim(not low, f"what nobody has said of a label does not speak against it ({case.name})")


def _silent(case: Case) -> MemoryRows:
    """The training rows: two of three say nothing of the last label, and of the others three of four carry it."""
    *others, last = case.problem.labels
    cells: list[dict[str, bool]] = []
    for row, text in enumerate(case.train.table(["target"]).column(0).to_pylist()):
        told = json.loads(text)
        said = {name: name in told for name in others} if isinstance(told, list) else dict(told)
        cells.append({**said, last: row % 4 != 0} if row % 3 == 0 else said)
    kind = plugins.column_type("labels")
    target = pa.array([kind.parse_cell(cell) for cell in cells], type=kind.storage)
    columns = case.train.table()
    columns = columns.set_column(columns.schema.get_field_index("target"), "target", target)
    return MemoryRows.of(case.train.schema, columns)


def bears_missing_values(learner: Learner) -> None:
    for case in _supported(learner):
        empty = emptied(case.fresh)
        _sound(_predict(learner, case, empty), case, len(empty), "rows with nothing but missing values")
        gone = emptied(case.train)
        values = _predict(learner, case, case.fresh, train=gone)
        _sound(values, case, len(empty), "after training on missing values alone")


def bears_unseen_categories(learner: Learner) -> None:
    for case in _supported(learner):
        strange = unseen(case.fresh)
        _sound(_predict(learner, case, strange), case, len(strange), "categories and texts never seen")


def bears_extreme_numbers(learner: Learner) -> None:
    for case in _supported(learner):
        huge = {c.name: np.full(4, v) for c, v in _numbers(case)}
        batch = dict(case.fresh.take(np.arange(4)).batch([c.name for c in case.problem.inputs])) | huge
        with tempfile.TemporaryDirectory() as place:
            runner = Runner(_export(learner, case, Path(place)), Path(place))
            output = plugins.load("tasks", case.problem.task).output
            _sound(runner.predict(batch)[output], case, 4, "numbers near the limits of a float")


def _numbers(case: Case) -> Iterator[tuple[Any, float]]:
    named = [c for c in case.problem.inputs if c.type == "number"]
    yield from zip(named, (1e308, -1e308, 1e300, 0.0), strict=False)


def bears_few_rows(learner: Learner) -> None:
    for case in _supported(learner):
        for rows in (2, A_HANDFUL):
            few = case.train.take(np.arange(rows))
            values = _predict(learner, case, case.fresh, train=few)
            _sound(values, case, len(case.fresh), f"after training on {rows} rows")


def weight_zero_is_absence(learner: Learner) -> None:
    for case in _supported(learner):
        half = len(case.train) // 2
        spoilt = _spoilt(case, half)
        alone = _predict(learner, case, case.fresh, train=case.train.take(np.arange(half)))
        among = _predict(learner, case, case.fresh, train=spoilt)
        claim(
            np.allclose(alone, among, rtol=1e-3, atol=1e-4), f"a row of weight 0 is as if it were absent ({case.name})"
        )


def _spoilt(case: Case, half: int) -> MemoryRows:
    """The training rows with the targets of the second half reversed, and those rows weighing nothing."""
    rows = case.train
    target = rows.columns.column("target").to_pylist()
    end = len(rows)
    turned = [*target[:half], *reversed(target[half:end]), *target[end:]]
    columns = rows.columns.set_column(rows.columns.schema.get_field_index("target"), "target", pa.array(turned))
    weight = np.where(np.arange(len(columns)) < half, 1.0, 0.0)
    return MemoryRows(rows.schema, columns, weight, rows.places)


def heavier_rows_win(learner: Learner) -> None:
    for case in _supported(learner):
        light, heavy = (_predict(learner, case, case.fresh, train=_disputed(case, w)) for w in (0.25, 4.0))
        rise = _told(heavy - light, case).mean()
        claim(float(rise) > 0, f"of rows that contradict each other the heavier ones win ({case.name})")


def _disputed(case: Case, weight: float) -> MemoryRows:
    """Each training row twice: as it is, and with the last class, all labels or the greatest number, so weighed."""
    table = case.train.table()
    target = table.column("target").to_pylist()
    last = case.problem.classes[-1] if case.problem.classes else max(target)
    if case.problem.labels:
        last = plugins.column_type("labels").parse_cell(case.problem.labels)
    place = table.schema.get_field_index("target")
    other = table.set_column(place, "target", pa.array([last] * len(target)))
    weights = np.repeat([1.0, weight], len(target))
    return MemoryRows.of(case.train.schema, pa.concat_tables([table, other]), weights)


def goes_on_from_an_earlier_fit(learner: Learner) -> None:
    """A fit on half of the rows is kept; from there it goes on with the whole table, and with reversed targets."""
    able: Any = learner
    ways = tuple(getattr(learner, "ways", ()))
    claim(set(ways) <= set(WAYS), f"ways to go on are some of {', '.join(WAYS)}")
    tried = {"two classes", "numbers", "two classes, pictures", "numbers, pictures in a table", "labels, pictures"}
    for case in (one for one in _supported(learner) if ways and one.name in tried):
        with tempfile.TemporaryDirectory() as place:
            half, options = case.train.take(np.arange(len(case.train) // 2)), _options(learner, case)
            model = learner.fit(
                half, replace(case.problem, rows=len(half)), options, RunContext(seed=7, validation=case.fresh)
            )
            first, kept = Path(place) / "first", Path(place) / "kept"
            first.mkdir()
            kept.mkdir()
            earlier = model.export(first)
            able.keep(model, kept)
            before = _outputs(Runner(earlier, first), case, case.fresh)
            for way in ways:
                said = []
                for number, rows in enumerate((case.train, case.train, _disputed(case, 4.0))):
                    folder = Path(place) / f"{way}{number}"
                    folder.mkdir()
                    run_on = RunContext(seed=7, validation=case.fresh)
                    gone_on = able.resume(Earlier(earlier, kept, way), rows, case.problem, options, run_on)
                    said.append(_outputs(Runner(gone_on.export(folder), folder), case, case.fresh))
                    _sound(said[-1], case, len(case.fresh), f"after going on, {way}")
                _moves(case, way, before, *said)


def _moves(case: Case, way: str, before: np.ndarray, one: np.ndarray, same: np.ndarray, other: np.ndarray) -> None:
    claim(np.array_equal(one, same), f"going on, {way}, gives the same each time ({case.name})")
    claim(not np.array_equal(one, before), f"going on, {way}, learns something ({case.name})")
    rise = _told(other - one, case).mean()
    claim(float(rise) > 0, f"going on, {way}, follows what later rows say ({case.name})")


def keeps_to_directions_or_refuses(learner: Learner) -> None:
    """One column's direction is the one that the data shows, the other's the opposite."""
    for classes in (("no", "yes"), ()):
        plain = make_case("directions", 300, classes=classes, types=("number", "number"))
        asked = ("increasing", "decreasing")
        inputs = tuple(replace(c, monotone=d) for c, d in zip(plain.problem.inputs, asked, strict=True))
        case = replace(plain, problem=replace(plain.problem, inputs=inputs))
        support = learner.supports(case.problem)
        claim(bool(support) or bool(support.reason), "where it cannot keep to directions, it says so")
        if not support or not learner.supports(plain.problem):
            continue
        with tempfile.TemporaryDirectory() as place:
            runner = Runner(_export(learner, case, Path(place)), Path(place))
            for swept, sign in zip(inputs, (1, -1), strict=True):
                steps = sign * _swept(runner, case, swept.name)
                claim(bool((steps >= -1e-6).all()), f"predictions are {swept.monotone} in a column if so asked")


def _swept(runner: Runner, case: Case, name: str) -> np.ndarray:
    """Changes of the prediction as one number grows, in the place of eight rows, relative to the spread of targets."""
    grid, changes = np.linspace(-60.0, 60.0, 150), []
    for row in range(8):
        batch = case.fresh.take(np.full(len(grid), row)).batch([c.name for c in case.problem.inputs])
        task = plugins.load("tasks", case.problem.task)
        out = runner.predict({**batch, name: grid})[task.output]
        changes.append(np.diff(out[:, 1] if case.problem.classes else out / 15.0))
    return np.concatenate(changes)


def honours_seconds(learner: Learner) -> None:
    case = next(_supported(learner))
    posed: Any = {"classes": case.problem.classes, "labels": case.problem.labels}
    large = make_case("many rows", 4_000, **posed, types=("number",) * 6)
    if not learner.supports(large.problem):
        return
    for seconds in (0.001, 0.5):
        started = time.monotonic()
        values = _predict(learner, large, large.fresh, seconds=seconds)
        spent = time.monotonic() - started
        claim(spent <= seconds + GRACE, f"a fit that may take {seconds} s took {spent:.1f} s")
        _sound(values, large, len(large.fresh), "after a fit that was cut short")


LEARNER_CONTRACT = (
    describes_itself,
    options_are_a_frozen_dataclass_with_defaults,
    says_what_it_supports,
    estimates_cost,
    offers_a_portfolio,
    settles_options_after_folds,
    exports_no_code,
    pipeline_is_plain_data,
    predicts_soundly,
    one_row_is_predicted_like_many,
    threads_change_no_answer,
    same_seed_gives_same_bytes,
    keeps_no_state,
    keeps_the_order_of_classes,
    bears_a_class_without_rows,
    a_label_is_not_learned_from_silence,
    bears_missing_values,
    bears_unseen_categories,
    bears_extreme_numbers,
    bears_few_rows,
    weight_zero_is_absence,
    heavier_rows_win,
    goes_on_from_an_earlier_fit,
    keeps_to_directions_or_refuses,
    honours_seconds,
)
"""Every promise of a learner, each a function that takes the learner."""
