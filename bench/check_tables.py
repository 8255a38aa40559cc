"""Sound tables that invite false alarms, and faults to plant into them: what `checks.py` measures with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from volant.core.records import Column, Schema
from volant.data.checks.patterns import PROVINCES, WEIGHTS
from volant.data.dataset import Dataset, Extra, SplitRule, Writer

STORED = {"number": pa.float64(), "boolean": pa.bool_(), "timestamp": pa.timestamp("us")}
G = np.random.Generator


@dataclass
class Table:
    """Columns, and what the checks are told besides."""

    columns: dict[str, np.ndarray]
    types: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)

    def dataset(self, root: Path) -> Dataset:
        kinds = {name: self.types.get(name) or guess(values) for name, values in self.columns.items()}
        roles = {"y": "target"} | self.roles
        schema = Schema(tuple(Column(name, kind, roles.get(name, "input")) for name, kind in kinds.items()))
        arrays = {
            name: pa.array(values, STORED.get(kinds[name], pa.string()), from_pandas=True)
            for name, values in self.columns.items()
        }
        writer = Writer(root, schema, SplitRule())
        writer.add(pa.table(arrays), Extra())
        return writer.finish()


def guess(values: np.ndarray) -> str:
    return {"M": "timestamp", "b": "boolean", "f": "number", "i": "number"}.get(
        np.asarray(values).dtype.kind, "category"
    )


def words(g: G, rows: int, choices: list[str], p: list[float] | None = None) -> np.ndarray:
    return np.asarray(g.choice(choices, size=rows, p=p)).astype(object)


def target(g: G, score: np.ndarray, task: str) -> np.ndarray:
    """Classes or numbers that follow `score`, with honest noise."""
    noisy = (score - score.mean()) / score.std() + 0.5 * g.normal(size=len(score))
    if task == "regress":
        return noisy
    cuts = np.quantile(noisy, [0.5] if task == "binary" else [0.35, 0.7])
    return np.array(["low", "middle", "high"], dtype=object)[np.searchsorted(cuts, noisy)]


# ---- sound tables -------------------------------------------------------------------------------


def mixed(g: G, rows: int, task: str) -> Table:
    x, z, count = g.normal(size=rows), g.lognormal(size=rows), g.poisson(3, size=rows).astype(float)
    color = words(g, rows, ["red", "green", "blue"], [0.5, 0.3, 0.2])
    score = 1.5 * x + np.log(z) + (color == "red")
    x = np.where(g.random(rows) < 0.05, np.nan, x)
    color[g.random(rows) < 0.03] = None
    flag = g.random(rows) < 0.4
    return Table({"x": x, "z": z, "color": color, "count": count, "flag": flag, "y": target(g, score, task)})


def heavy(g: G, rows: int, task: str) -> Table:
    """Heavy tails, many zeros, redundant and rounded numbers."""
    wealth, spend = g.pareto(1.2, rows) * 1000, np.where(g.random(rows) < 0.9, 0, g.lognormal(6, 1.5, rows))
    t = g.standard_t(3, rows)
    score = np.log1p(wealth) + t
    columns = {"wealth": wealth, "spend": spend.round(), "t": t, "u": -t + 0.05 * g.normal(size=rows)}
    return Table({**columns, "rate": g.beta(2, 5, rows).round(2), "y": target(g, score, task)})


def coarse(g: G, rows: int, task: str) -> Table:
    """Few different rows, so that many repeat, some with other targets."""
    a, b = g.integers(0, 4, rows).astype(float), g.integers(1, 6, rows).astype(float)
    grade = words(g, rows, list("ABCD"))
    smokes = words(g, rows, ["yes", "no"])
    score = a + b + 2 * (grade == "A") + g.normal(size=rows)
    return Table({"a": a, "b": b, "grade": grade, "smokes": smokes, "y": target(g, score, task)})


def worldly(g: G, rows: int, task: str) -> Table:
    """Accents, Chinese, and codes that look like telephone, card or network numbers, and are not."""
    city = words(g, rows, ["Orléans", "Genève", "Malmö", "São Paulo", "Łódź", "北京", "上海", "東京", "Москва", "ÅRÅS"])
    said = words(
        g,
        rows,
        ["très bien, merci à vous", "质量很好，物流也快", "Größe passt, schöne Farbe", "un café noir s’il vous plaît"],
    )
    order = 13800000000.0 + g.integers(0, 40, rows)
    version = words(g, rows, ["1.2.3.4", "10.0.1.2", "2.0.0.12"])
    part = np.array([f"{n:016d}" for n in g.choice(10**15, 40)], dtype=object)[g.integers(0, 40, rows)]
    day = np.datetime64("2021-03-01") + g.integers(0, 900, rows).astype("timedelta64[D]")
    score = g.normal(size=rows) + (city == "北京") + 0.4 * (said == "un café noir s’il vous plaît")
    x = score + 0.3 * g.normal(size=rows)
    columns = {"city": city, "said": said, "order": order, "version": version, "part": part, "x": x}
    return Table({**columns, "day": day.astype("datetime64[us]"), "y": target(g, score, task)})


def timed(g: G, rows: int, task: str) -> Table:
    """A time column in order, nothing that changes with it; names that forbid what is not there."""
    time_ = np.datetime64("2022-01-01", "us") + np.sort(g.integers(0, 10**9, rows)).astype("timedelta64[s]")
    age, price = g.integers(18, 90, rows).astype(float), g.gamma(2, 30, rows).round(2)
    change, temperature = g.normal(0, 5, rows).round(1), g.normal(12, 9, rows).round(1)
    score = age / 10 + change / 5 + g.normal(size=rows)
    columns = {"at": time_, "age": age, "price": price, "change": change, "temperature": temperature}
    return Table({**columns, "y": target(g, score, task)}, roles={"at": "time"})


FAMILIES = (mixed, heavy, coarse, worldly, timed)
TASKS = ("binary", "multiclass", "regress")

# ---- planted faults -----------------------------------------------------------------------------

Plant = Callable[[Table, G], Table]
PLANTS: dict[str, dict[str, Plant]] = defaultdict(dict)


def plant(check: str, variant: str) -> Callable[[Plant], Plant]:
    def keep(make: Plant) -> Plant:
        PLANTS[check][variant] = make
        return make

    return keep


def add(check: str, variant: str, make: Callable[[np.ndarray, G], np.ndarray], kind: str = "") -> None:
    """A fault that is one more column, made from the target."""

    def planted(table: Table, g: G) -> Table:
        table.columns = {"planted": make(table.columns["y"], g), **table.columns}
        if kind:
            table.types["planted"] = kind
        return table

    PLANTS[check][variant] = planted


def some(g: G, rows: int, share: float, least: int = 3) -> np.ndarray:
    return g.choice(rows, size=max(least, int(share * rows)), replace=False)


def rows_of(table: Table, rows: np.ndarray) -> Table:
    table.columns = {name: values[rows] for name, values in table.columns.items()}
    return table


def classes(y: np.ndarray) -> bool:
    return y.dtype == object


@plant("enough_rows", "19 rows")
def _(table: Table, g: G) -> Table:
    return rows_of(table, np.arange(19))


@plant("enough_rows", "60 rows")
def _(table: Table, g: G) -> Table:
    return rows_of(table, np.arange(60))


@plant("absent_columns", "one gone")
def _(table: Table, g: G) -> Table:
    table.context["notes"] = {"absent": ["gone"]}
    return table


@plant("target_values", "one value")
def _(table: Table, g: G) -> Table:
    table.columns["y"] = np.full_like(table.columns["y"], table.columns["y"][0])
    return table


@plant("target_values", "5 % missing")
def _(table: Table, g: G) -> Table:
    y = table.columns["y"].copy()
    y[some(g, len(y), 0.05)] = None if classes(y) else np.nan
    table.columns["y"] = y
    return table


add("usable_inputs", "a list", lambda y, g: np.array(["[1, 2]", "[3]"], dtype=object)[g.integers(0, 2, len(y))], "list")
add("target_copy", "equal", lambda y, g: y.copy())
add(
    "target_copy",
    "recoded",
    lambda y, g: np.unique(y, return_inverse=True)[1].astype(float) if classes(y) else np.exp(-y / 3),
)
add(
    "leakage",
    "perfect",
    lambda y, g: (np.unique(y, return_inverse=True)[1] if classes(y) else y) + 0.005 * g.random(len(y)),
)


def nearly(y: np.ndarray, g: G) -> np.ndarray:
    if not classes(y):
        return y + 0.02 * g.normal(size=len(y))
    told = np.char.add("type ", y.astype(str)).astype(object)
    wrong = some(g, len(y), 0.004, 1)
    told[wrong] = told[g.permutation(wrong)]
    told[wrong[0]] = "type none"
    return told


add("leakage", "nearly perfect", nearly)
add("missing_values", "60 %", lambda y, g: np.where(g.random(len(y)) < 0.6, np.nan, g.normal(size=len(y))))
add("missing_values", "all", lambda y, g: np.full(len(y), np.nan))


def telling(y: np.ndarray, g: G) -> np.ndarray:
    high = y == "high" if classes(y) and (y == "high").any() else y == "middle" if classes(y) else y > np.median(y)
    return np.where(g.random(len(y)) < np.where(high, 0.4, 0.1), np.nan, g.normal(size=len(y)))


add("missing_tells", "40 % against 10 %", telling)
add("constant_columns", "one number", lambda y, g: np.full(len(y), 7.0))
add("constant_columns", "one word", lambda y, g: np.full(len(y), "EUR", dtype=object))
add("id_like", "counter", lambda y, g: np.arange(1000.0, 1000.0 + len(y)))
add("id_like", "shuffled counter", lambda y, g: g.permutation(len(y)).astype(float))
add("id_like", "codes", lambda y, g: np.array([f"{n:010x}" for n in g.choice(2**40, len(y))], dtype=object))


@plant("exact_duplicates", "1 %")
def _(table: Table, g: G) -> Table:
    rows = len(table.columns["y"])
    return rows_of(table, g.permutation(np.append(np.arange(rows), some(g, rows, 0.01))))


@plant("near_duplicates", "1 %, numbers jittered")
def _(table: Table, g: G) -> Table:
    rows = len(table.columns["y"])
    table.columns = {"p": g.normal(size=rows), "q": g.gamma(2, size=rows), "r": g.normal(size=rows), **table.columns}
    rows_of(table, np.append(np.arange(rows), some(g, rows, 0.01)))
    for name in "pqr":
        table.columns[name][rows:] += 1e-4 * g.normal(size=len(table.columns[name]) - rows)
    return rows_of(table, g.permutation(len(table.columns["y"])))


@plant("near_duplicates", "1 %, texts edited")
def _(table: Table, g: G) -> Table:
    rows = len(table.columns["y"])
    stock = np.array([f"w{n}ord" for n in range(3000)])
    texts = np.array([" ".join(g.choice(stock, 30)) for _ in range(rows)], dtype=object)
    table.columns, table.types["text"] = {"text": texts, **table.columns}, "text"
    rows_of(table, np.append(np.arange(rows), some(g, rows, 0.01)))
    for row in range(rows, len(table.columns["y"])):
        table.columns["text"][row] = table.columns["text"][row].replace(" ", "  ", 1).upper() + " indeed"
    return rows_of(table, g.permutation(len(table.columns["y"])))


@plant("conflicting_duplicates", "1 %")
def _(table: Table, g: G) -> Table:
    rows = len(table.columns["y"])
    table.columns = {"p": g.normal(size=rows), **table.columns}
    rows_of(table, np.append(np.arange(rows), some(g, rows, 0.01)))
    y = table.columns["y"]
    for row in range(rows, len(y)):
        y[row] = g.choice(sorted(set(y) - {y[row]})) if classes(y) else -y[row] + np.sign(-y[row])
    return rows_of(table, g.permutation(len(y)))


@plant("class_imbalance", "1.5 %")
def _(table: Table, g: G) -> Table:
    y = table.columns["y"]
    rare = np.flatnonzero(y == y[0])
    return rows_of(table, np.sort(np.append(np.flatnonzero(y != y[0]), rare[: max(3, int(0.015 * len(y)))])))


add(
    "rare_categories",
    "half",
    lambda y, g: np.where(
        g.random(len(y)) < 0.5, "usual", np.array([f"v{n}" for n in g.integers(0, len(y) // 4, len(y))])
    ).astype(object),
)


@plant("row_order", "sorted by target")
def _(table: Table, g: G) -> Table:
    table.columns.pop("at", None)
    return rows_of(
        table, np.argsort(table.columns["y"].astype(str) if classes(table.columns["y"]) else table.columns["y"])
    )


@plant("row_order", "an input rises")
def _(table: Table, g: G) -> Table:
    table.columns.pop("at", None)
    rows = len(table.columns["y"])
    table.columns = {"level": g.normal(size=rows) + 1.5 * np.arange(rows) / rows, **table.columns}
    return table


@plant("drift", "last quarter of time")
def _(table: Table, g: G) -> Table:
    rows = len(table.columns["y"])
    moment = g.permutation(rows)
    at = np.datetime64("2023-01-01", "us") + moment.astype("timedelta64[h]")
    level = g.normal(size=rows) + (moment > 0.75 * rows)
    table.columns = {"at": at, "level": level, **{k: v for k, v in table.columns.items() if k != "at"}}
    table.roles["at"] = "time"
    return table


@plant("drift", "one file of three")
def _(table: Table, g: G) -> Table:
    rows = len(table.columns["y"])
    third = rows // 3
    kind = np.where(np.arange(rows) // third == 1, words(g, rows, ["a", "c"]), words(g, rows, ["a", "b"]))
    table.columns = {"kind": kind.astype(object), **table.columns}
    table.context["notes"] = {"files": {"a.csv": third, "b.csv": third, "c.csv": rows - 2 * third}}
    return table


def slipped(y: np.ndarray, g: G) -> np.ndarray:
    x = g.normal(170, 10, len(y))
    x[some(g, len(y), 0, 2)] *= 100
    return x


def broken(value: float) -> Callable[[np.ndarray, G], np.ndarray]:
    def make(y: np.ndarray, g: G) -> np.ndarray:
        x = g.normal(20, 5, len(y))
        x[some(g, len(y), 0.01, 5)] = value
        return x

    return make


add("outliers", "two in other units", slipped)
for name, value in (("infinite", np.inf), ("1e308", 1e308), ("-999", -999.0)):
    add("impossible_values", name, broken(value))


@plant("impossible_values", "a negative age")
def _(table: Table, g: G) -> Table:
    age = g.integers(18, 80, len(table.columns["y"])).astype(float)
    age[some(g, len(age), 0, 1)] *= -1
    table.columns = {"customer_age": age, **table.columns}
    return table


def spelled(y: np.ndarray, g: G) -> np.ndarray:
    return words(g, len(y), ["Paris", "Lyon", " paris", "LYON", "Ｌyon"], [0.5, 0.47, 0.01, 0.01, 0.01])


def dates(y: np.ndarray, g: G) -> np.ndarray:
    days = np.datetime64("2020-01-01") + g.integers(0, 900, len(y)).astype("timedelta64[D]")
    other = g.random(len(y)) < 0.1
    return np.array(
        [d.item().strftime("%d/%m/%Y" if o else "%Y-%m-%d") for d, o in zip(days, other, strict=True)], dtype=object
    )


def half_words(y: np.ndarray, g: G) -> np.ndarray:
    numbers = np.char.add(g.integers(0, 500, len(y)).astype(str), ".5").astype(object)
    numbers[some(g, len(y), 0.05)] = "see note"
    return numbers


add("mixed_formats", "spellings", spelled)
add("mixed_formats", "two formats of dates", dates)
add("mixed_formats", "numbers and words", half_words)


@plant("mixed_formats", "unreadable cells")
def _(table: Table, g: G) -> Table:
    first = next(iter(table.columns))
    table.context |= {"unreadable": {first: [3, 5]}, "unreadable_count": {first: 2}}
    return table


def recoded(text: str, wrote: str, read: str) -> Callable[[np.ndarray, G], np.ndarray]:
    bad = text.encode(wrote).decode(read, "replace")
    return lambda y, g: words(g, len(y), [bad, "plain"], [0.02, 0.98])


for text, wrote, read in (
    ("café crème", "utf-8", "cp1252"),
    ("Größe", "utf-8", "latin-1"),
    ("质量很好", "gbk", "latin-1"),
    ("这家酒店不错", "utf-8", "gbk"),
    ("质量很好", "gbk", "utf-8"),
    ("it’s fine", "utf-8", "cp1252"),
):
    add("encoding_damage", f"{wrote} read as {read}, {text}", recoded(text, wrote, read))


def identity(g: G) -> str:
    born = f"{g.integers(1950, 2010)}{g.integers(1, 13):02d}{g.integers(1, 29):02d}"
    front = f"{g.choice(sorted(PROVINCES))}0101{born}{g.integers(0, 1000):03d}"
    return front + "10X98765432"[sum(int(d) * w for d, w in zip(front, WEIGHTS, strict=True)) % 11]


def card(g: G) -> str:
    front = "4" + "".join(str(d) for d in g.integers(0, 10, 14))
    total = sum((lambda v: v - 9 if v > 9 else v)(int(d) * (2 if i % 2 == 0 else 1)) for i, d in enumerate(front))
    return front + str(-total % 10)


PEOPLE: dict[str, Callable[[G], str]] = {
    "e-mail": lambda g: f"user{g.integers(10**6)}@example{g.integers(9)}.com",
    "Chinese mobile": lambda g: f"1{g.choice([3, 5, 7, 8, 9])}{g.integers(10)}{g.integers(10**8):08d}",
    "Chinese mobile, spaced": lambda g: (
        f"+86 1{g.choice([3, 5, 8])}{g.integers(10)} {g.integers(10**4):04d} {g.integers(10**4):04d}"
    ),
    "American telephone": lambda g: f"({g.integers(200, 999)}) {g.integers(200, 999)}-{g.integers(10**4):04d}",
    "Chinese identity": identity,
    "American identity": lambda g: f"{g.integers(100, 665)}-{g.integers(10, 99)}-{g.integers(1000, 9999)}",
    "payment card": card,
    "network address": lambda g: ".".join(str(n) for n in g.integers(1, 255, 4)),
}


def people(make: Callable[[G], str]) -> Callable[[np.ndarray, G], np.ndarray]:
    return lambda y, g: np.array([make(g) for _ in y], dtype=object)


for name, maker in PEOPLE.items():
    add("personal_data", name, people(maker), "category")
add("personal_data", "mobile as number", lambda y, g: np.array([float(PEOPLE["Chinese mobile"](g)) for _ in y]))


def letters(y: np.ndarray, g: G) -> np.ndarray:
    return np.array(
        [f"please answer {PEOPLE['e-mail'](g)} soon" if g.random() < 0.05 else "nothing to add here" for _ in y],
        dtype=object,
    )


add("personal_data", "e-mail inside texts", letters, "text")


@plant("wrong_labels", "6 % flipped")
def _(table: Table, g: G) -> Table:
    y = table.columns["y"]
    rows = len(y)
    if not classes(y):
        sure = 10 * np.sin(g.normal(size=rows)) + 0.1 * g.normal(size=rows)
        table.columns = {"a": np.arcsin(np.clip(sure / 10, -1, 1)), "y": sure}
        far = np.flatnonzero(np.abs(sure) > 5)[:3]
        table.columns["y"][far] *= -1
        return table
    a, b = g.normal(size=rows), g.normal(size=rows)
    y = np.where(a + b > 0, "yes", "no").astype(object)
    flipped = some(g, rows, 0.06)
    y[flipped] = np.where(y[flipped] == "yes", "no", "yes")
    table.columns = {"a": a, "b": b, "c": g.normal(size=rows), "y": y}
    return table


ONLY_CLASSES = {"class_imbalance"}
NOT_TOLD = {("exact_duplicates", "coarse"), ("conflicting_duplicates", "coarse")}
"""Families in which the planted fault is what chance does anyway."""
