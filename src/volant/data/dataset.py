"""Dataset versions: immutable, content-addressed Parquet with the side, key and provenance of each row.

A version is a folder named by its digest: `main.parquet` holds the canonical columns, `rows.parquet` one
record per row (number in its source, key, side, provenance, weight, reference), `dataset.json` the facts.
Of media (pictures) `main.parquet` holds the hash of each file's bytes; the files lie in packs beside the datasets.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from volant.columns.media import is_media, media_columns
from volant.columns.missing import with_missing
from volant.core.ids import canonical_json
from volant.core.plugins import column_type
from volant.core.records import Batch, Column, Schema
from volant.data.shelf import MEDIA, StoreShelf
from volant.data.splits import assign, content_hashes, earliest, row_keys, time_cuts
from volant.errors import BadInput
from volant.store.artifacts import locked_folder, sweep
from volant.store.packs import Packs

FORMAT = 1
MOST_EVIDENCE = 20
MOST_WEIGHT = 1e12
"""Weights whose sums and squares are still numbers, also in the learners that reckon with float32."""


@contextmanager
def _damage_told(folder: Path) -> Iterator[None]:
    """Say in plain words that a file of a dataset version cannot be read."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as cause:  # what is no Parquet is a ValueError to Arrow
        fix = "run `volant check` again; what was made of feedback, `volant improve` makes anew"
        raise BadInput("a dataset version is damaged", code="artifact-damaged", where=folder.name, fix=fix) from cause


class _File:
    """The columns of a dataset folder, read once each and kept while the dataset is open.

    Threads may share it: an opened Parquet file bears one reader at a time.
    """

    def __init__(self, folder: Path, schema: Schema) -> None:
        self.folder = folder
        self.schema = schema
        self.media = frozenset(media_columns(schema))
        self.shelf = StoreShelf(home_of(folder))
        self._main: pq.ParquetFile | None = None
        self._columns: dict[str, pa.ChunkedArray] = {}
        self._rows: pa.Table | None = None
        self._reading = threading.Lock()

    def column(self, name: str) -> pa.ChunkedArray:
        with self._reading:
            if name not in self._columns:
                with _damage_told(self.folder):
                    if self._main is None:  # kept open: its footer is long where there are many columns
                        self._main = pq.ParquetFile(self.folder / "main.parquet", memory_map=True)
                    self._columns[name] = self._main.read(columns=[name]).column(name)
            return self._columns[name]

    def rows(self, name: str) -> np.ndarray:
        with self._reading:
            if self._rows is None:
                with _damage_told(self.folder):
                    self._rows = pq.read_table(self.folder / "rows.parquet")
            values: np.ndarray = self._rows.column(name).to_numpy(zero_copy_only=False)
        return values


class Dataset:
    """A dataset version, or a view of some of its rows. Implements `core.protocols.Rows`."""

    def __init__(
        self, digest: str, folder: Path, facts: Mapping[str, Any], file: _File, positions: np.ndarray | None = None
    ) -> None:
        self.digest = digest
        self.folder = folder
        self.facts = facts
        self.schema = file.schema
        self._file = file
        self._positions = positions

    def __len__(self) -> int:
        return int(self.facts["rows"]) if self._positions is None else len(self._positions)

    def _pick(self, values: Any) -> Any:
        if self._positions is None:
            return values
        return (
            values.take(pa.array(self._positions)) if isinstance(values, pa.ChunkedArray) else values[self._positions]
        )

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Canonical columns of these rows as Arrow; media with the bytes of all their files."""
        table = self.stored(columns)
        for name in self._file.media & set(table.column_names):
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, self._file.shelf.column(table.column(name).to_pylist()))
        return table

    def stored(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Columns of these rows as they are stored: media as the hashes of their files."""
        names = list(self.schema.names if columns is None else columns)
        return pa.table({name: self._pick(self._file.column(name)) for name in names})

    def batch(self, columns: Sequence[str]) -> Batch:
        """Canonical columns of these rows as the arrays that pipelines take, shape (n,) each.

        Media are read when somebody looks into a cell.
        """
        stored = self.stored(columns)
        media = [name for name in stored.column_names if name in self._file.media]
        plain = table_to_batch(stored.drop_columns(media), self.schema)
        plain |= {name: self._file.shelf.cells(stored.column(name).to_pylist()) for name in media}
        return {name: plain[name] for name in stored.column_names}

    @property
    def shelf(self) -> StoreShelf:
        """Where the files of its media lie."""
        return self._file.shelf

    def has_media(self) -> bool:
        """Whether all files are there that the rows name."""
        named = (self.stored([name]).column(0).drop_null().to_pylist() for name in self.media)
        return all(bool(self.shelf.packs.has(hashes).all()) for hashes in named)

    @property
    def media(self) -> tuple[str, ...]:
        """The names of the columns whose cells are files."""
        return tuple(name for name in self.schema.names if name in self._file.media)

    def weights(self) -> np.ndarray:
        """Sample weights, shape (n,), float64."""
        return np.asarray(self._pick(self._file.rows("weight")), dtype=np.float64)

    def keys(self) -> np.ndarray:
        """The key of each row, shape (n,): subject, group, or a hash of its inputs."""
        return np.asarray(self._pick(self._file.rows("key")), dtype=object)

    def numbers(self) -> np.ndarray:
        """The number of each row in its source, counted from 0, shape (n,)."""
        return np.asarray(self._pick(self._file.rows("number")), dtype=np.int64)

    def sides(self) -> np.ndarray:
        """`train`, `judge`, `test` or `unlabelled` per row, shape (n,)."""
        return np.asarray(self._pick(self._file.rows("side")), dtype=object)

    def provenance(self) -> np.ndarray:
        """`source` or `feedback` per row, shape (n,)."""
        return np.asarray(self._pick(self._file.rows("provenance")), dtype=object)

    def references(self) -> np.ndarray:
        """The prediction each feedback row comes from, shape (n,); empty text for rows of the source."""
        return np.asarray(self._pick(self._file.rows("reference")), dtype=object)

    def take(self, positions: np.ndarray) -> Dataset:
        """A view of some rows, given their positions in this one. Nothing is copied."""
        inside = positions if self._positions is None else self._positions[positions]
        return Dataset(self.digest, self.folder, self.facts, self._file, np.asarray(inside, dtype=np.int64))

    def part(self, name: str) -> Dataset:
        """A view of one side of the split."""
        return self.take(np.flatnonzero(self.sides() == name))


def table_to_batch(table: pa.Table, schema: Schema) -> dict[str, np.ndarray]:
    """Canonical Arrow columns as the arrays that pipelines take."""
    return {
        name: column_type(schema[name].type).to_numpy(table.column(name).combine_chunks())
        for name in table.column_names
    }


def home_of(folder: Path) -> Path:
    """The home of the product whose dataset version lies in `folder`."""
    return folder.absolute().parent.parent


@dataclass(frozen=True)
class SplitRule:
    """How rows are divided; see `data.split` of the product file.

    `columns` make the key of a row that nobody owns, by default all inputs. A product keeps those of its first version:
    a column that comes later, or is not looked at any more, moves no row.
    """

    by: str = "random"
    judge: float = 0.1
    test: float = 0.1
    salt: str = "volant"
    columns: tuple[str, ...] = ()


@dataclass
class Extra:
    """What is known of rows besides their columns: for rows that come from feedback. One entry per row."""

    provenance: str = "source"
    references: Sequence[str] = ()
    weights: np.ndarray | None = None
    sides: Sequence[str] = ()


@dataclass
class Writer:
    """Collects canonical chunks into a new dataset version.

    Args:
        root: the folder of all dataset versions.
        schema: columns with types and roles.
        rule: how rows are divided.
        cuts: cut points of the version before this one, which are kept.
        missing: the product's own texts that mean missing.
        leave_out: whether rows with a file that cannot be read are left out.
    """

    root: Path
    schema: Schema
    rule: SplitRule
    cuts: Mapping[str, Any] | None = None
    missing: Sequence[str] | None = None
    leave_out: bool = False
    unreadable: dict[str, list[int]] = field(default_factory=dict)
    unreadable_count: dict[str, int] = field(default_factory=dict)
    unreadable_files: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        sweep(self.root)
        self._held = ExitStack()
        self._folder, lock = locked_folder(self.root)
        self._held.callback(os.close, lock)
        media = frozenset(media_columns(self.schema))
        types = [(c.name, pa.string() if c.name in media else column_type(c.type).storage) for c in self.schema.columns]
        self._arrow = pa.schema([pa.field(name, storage) for name, storage in types])
        packs = Packs(home_of(self._folder) / MEDIA)
        self._media = self._held.enter_context(packs.writing()) if media else None
        self._out = pq.ParquetWriter(self._folder / "main.parquet", self._arrow, compression="zstd")
        self._hash = hashlib.sha256()
        self._rows: list[pa.Table] = []
        self._count = 0
        self._numbers = 0

    def abort(self) -> None:
        """Throw away what was written."""
        self._out.close()
        self._held.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add_raw(self, chunk: pa.RecordBatch) -> None:
        """Add rows as they come from a source: parsed by the column types, unreadable cells noted."""
        columns = {}
        numbers = np.arange(self._numbers, self._numbers + len(chunk), dtype=np.int64)
        kept = np.ones(len(chunk), dtype=bool)
        for column in self.schema.columns:
            kind = with_missing(column_type(column.type), self.missing)
            raw = chunk.column(column.name)
            parsed = kind.parse(raw)
            columns[column.name] = parsed.values if not is_media(column.type) else self._kept(parsed.values)
            if len(parsed.unreadable):
                self._note(column.name, numbers[parsed.unreadable])
                if is_media(column.type):
                    self._note_files(column.name, raw.take(pa.array(parsed.unreadable)))
                    kept[parsed.unreadable] = not self.leave_out
        table = pa.table(columns, schema=self._arrow)
        self.add(table if kept.all() else table.filter(pa.array(kept)), Extra(), numbers[kept])
        self._numbers = int(numbers[-1]) + 1 if len(numbers) else self._numbers

    def _kept(self, files: pa.Array) -> pa.Array:
        """The hashes of files, which are put into a pack."""
        assert self._media is not None
        keep = self._media.add
        return pa.array([None if data is None else keep(data) for data in files.to_pylist()], pa.string())

    def _note_files(self, name: str, raw: pa.Array) -> None:
        """Note the paths of files that cannot be read, where the source tells them."""
        if pa.types.is_struct(raw.type) and raw.type.get_field_index("path") >= 0:
            noted = self.unreadable_files.setdefault(name, [])
            noted.extend(str(path) for path in raw.field("path").to_pylist()[: max(MOST_EVIDENCE - len(noted), 0)])

    def _note(self, name: str, rows: np.ndarray) -> None:
        kept = self.unreadable.setdefault(name, [])
        kept.extend(int(r) for r in rows[: max(MOST_EVIDENCE - len(kept), 0)])
        self.unreadable_count[name] = self.unreadable_count.get(name, 0) + len(rows)

    def add(self, table: pa.Table, extra: Extra, numbers: np.ndarray | None = None) -> None:
        """Add canonical rows, media as the hashes of files that are in packs.

        `numbers` (n,) are those of the rows in their source, if they do not simply go on.
        """
        n = len(table)
        numbers = np.arange(self._numbers, self._numbers + n, dtype=np.int64) if numbers is None else numbers
        table = table.select(self._arrow.names).cast(self._arrow)
        self._out.write_table(table)
        self._hash.update(content_hashes(table).tobytes())
        self._rows.append(self._row_records(table, extra, numbers))
        self._count += n
        self._numbers += n

    def _row_records(self, table: pa.Table, extra: Extra, numbers: np.ndarray) -> pa.Table:
        n = len(numbers)
        weights = np.ones(n) if extra.weights is None else np.asarray(extra.weights, dtype=np.float64)
        named = self.schema.of_role("weight")
        if named and extra.weights is None:
            weights = self._weights(table.column(named[0].name).to_numpy(), named[0].name)
        target = self.schema.of_role("target")
        stratum = self._strata(table, target[0].name) if target else np.full(n, "", dtype=object)
        return pa.table(
            {
                "number": numbers,
                "key": pa.array(self._keys(table), type=pa.string()),
                "side": pa.array(list(extra.sides) or [""] * n, type=pa.string()),
                "provenance": pa.array([extra.provenance] * n, type=pa.string()),
                "weight": weights,
                "reference": pa.array(list(extra.references) or [""] * n, type=pa.string()),
                "stratum": pa.array(stratum, type=pa.string()),
                "time": self._times(table, n),
            }
        )

    def _weights(self, values: np.ndarray, name: str) -> np.ndarray:
        """Weights of rows as they are read; a missing one counts as 1."""
        weights = np.where(np.isnan(values), 1.0, values)
        fit = (weights == 0) | ((weights >= 1 / MOST_WEIGHT) & (weights <= MOST_WEIGHT))
        wrong = np.flatnonzero(~fit)
        if len(wrong):
            raise BadInput(
                f"the weights in {name!r} must be zero, or between {1 / MOST_WEIGHT:g} and {MOST_WEIGHT:g}",
                code="column-type",
                where=f"columns.{name}",
                got=f"row {self._numbers + int(wrong[0])} and {len(wrong) - 1:,} more are not",
                fix="mend these weights, or give the column another role",
            )
        return weights

    def _keys(self, table: pa.Table) -> np.ndarray:
        owner = self.schema.of_role("subject") or self.schema.of_role("group")
        columns = list(self.rule.columns) or [c.name for c in self.schema.inputs]
        return row_keys(table, subject=owner[0].name if owner else None, inputs=columns)

    def _times(self, table: pa.Table, n: int) -> pa.Array:
        named = self.schema.of_role("time")
        if not named:
            return pa.nulls(n, pa.timestamp("us"))
        column = table.column(named[0].name).combine_chunks()
        return column.cast(pa.timestamp("us")) if pa.types.is_timestamp(column.type) else _as_time(column)

    def _strata(self, table: pa.Table, target: str) -> np.ndarray:
        values = table.column(target)
        if pa.types.is_string(values.type) or pa.types.is_boolean(values.type):
            return np.array(values.cast(pa.string()).to_pylist(), dtype=object)
        missing = values.is_null().to_numpy()
        return np.array([None if gone else "number" for gone in missing], dtype=object)

    def finish(self, notes: Mapping[str, Any] | None = None) -> Dataset:
        """Divide the rows and put the version in its place.

        Raises:
            BadInput: code `source-empty` when there are no rows.
        """
        self._out.close()
        if not self._count:
            self.abort()
            raise BadInput("the data has no rows", code="source-empty", fix="point the product file at data with rows")
        rows = pa.concat_tables(self._rows).combine_chunks()
        sides, cuts = self._divide(rows)
        rows = rows.set_column(2, "side", pa.array(sides, type=pa.string())).drop_columns(["stratum", "time"])
        pq.write_table(rows, self._folder / "rows.parquet", compression="zstd")
        digest = self._digest(rows)
        names, counts = np.unique(sides, return_counts=True)
        facts = {
            "format": FORMAT,
            "digest": digest,
            "rows": self._count,
            "sides": {str(k): int(v) for k, v in zip(names, counts, strict=True)},
            "schema": [asdict(c) for c in self.schema.columns],
            "split": asdict(self.rule),
            "cuts": cuts,
            "unreadable": self.unreadable,
            "unreadable_count": self.unreadable_count,
            "unreadable_files": self.unreadable_files,
            "notes": dict(notes or {}),
        }
        (self._folder / "dataset.json").write_bytes(json.dumps(facts, ensure_ascii=False, default=str).encode())
        if self._media is not None:
            self._media.commit()
        settled = _settle(self._folder, self.root / digest)
        self._held.close()
        return settled

    def _divide(self, rows: pa.Table) -> tuple[np.ndarray, dict[str, Any]]:
        stratum = np.array(rows.column("stratum").to_pylist(), dtype=object)
        labelled = stratum != None  # noqa: E711 - elementwise
        by_class = self.rule.by == "stratified" and not (self.schema.of_role("subject") or self.schema.of_role("group"))
        keys = np.array(rows.column("key").to_pylist(), dtype=object)
        times = self._moments(rows, keys) if self.rule.by == "time" else None
        sides, cuts = assign(
            keys,
            salt=self.rule.salt,
            judge=self.rule.judge,
            test=self.rule.test,
            labels=np.where(labelled, stratum, "").astype(str) if by_class else None,
            times=times,
            cuts=self.cuts if self.cuts or times is None else self._time_cuts(times[labelled]),
        )
        given = np.array(rows.column("side").to_pylist(), dtype=object)
        sides = np.where(given != "", given, sides)
        return np.where(labelled, sides, "unlabelled").astype(object), cuts

    def _moments(self, rows: pa.Table, keys: np.ndarray) -> np.ndarray:
        """The time that each row is divided by, (n,), datetime64."""
        times: np.ndarray = rows.column("time").to_numpy(zero_copy_only=False)
        return earliest(times, keys) if self.schema.of_role("subject") else times

    def _time_cuts(self, times: np.ndarray) -> dict[str, int]:
        """Cut points by the times (n,) of the rows that have an answer."""
        needed, found = 1 + (self.rule.judge > 0) + (self.rule.test > 0), len(np.unique(times.astype(np.int64)))
        if 0 < found < needed:
            name = self.schema.of_role("time")[0].name
            raise BadInput(
                f"a split by time needs at least {needed} times, one for each side",
                code="target-unfit",
                where=f"columns.{name}",
                got=f"{found} in {len(times):,} rows" + self._of_subjects(),
                fix="give a column with finer times the role, or divide the rows in another way: `data.split.by`",
            )
        return time_cuts(times, self.rule.judge, self.rule.test)

    def _of_subjects(self) -> str:
        return ", where a subject counts from its first row on" if self.schema.of_role("subject") else ""

    def _digest(self, rows: pa.Table) -> str:
        schema = [[c.name, c.type, c.role] for c in self.schema.columns]
        self._hash.update(canonical_json([FORMAT, schema]))
        self._hash.update(content_hashes(rows.select(["side", "provenance", "weight"])).tobytes())
        return self._hash.hexdigest()


def _as_time(column: pa.Array) -> pa.Array:
    """Numbers as moments in the same order: the bits of a float, read as a whole number, rise with it."""
    numbers = column.to_numpy(zero_copy_only=False).astype(np.float64) + 0.0  # one zero
    bits = numbers.view(np.int64)
    ordered = np.where(bits < 0, ~bits ^ np.int64(-(2**63)), bits)
    return pa.array(ordered.view("datetime64[us]"), mask=np.isnan(numbers))


def _settle(folder: Path, final: Path) -> Dataset:
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    if final.exists():
        shutil.rmtree(folder)
    else:
        folder.rename(final)
    return open_dataset(final)


def write_dataset(
    root: Path,
    schema: Schema,
    chunks: Iterable[pa.RecordBatch],
    rule: SplitRule,
    *,
    cuts: Mapping[str, Any] | None = None,
    missing: Sequence[str] | None = None,
    notes: Mapping[str, Any] | None = None,
    leave_out: bool = False,
) -> Dataset:
    """Write a dataset version from raw chunks of a source; see `Writer`."""
    writer = Writer(root, schema, rule, cuts, missing, leave_out)
    try:
        for chunk in chunks:
            writer.add_raw(chunk)
        return writer.finish(notes)
    except BaseException:
        writer.abort()
        raise


def open_dataset(folder: Path) -> Dataset:
    """Open a dataset version.

    Raises:
        BadInput: code `artifact-damaged`.
    """
    with _damage_told(folder):
        facts = json.loads((folder / "dataset.json").read_bytes())
        schema = Schema(tuple(Column(**c) for c in facts["schema"]))
        return Dataset(str(facts["digest"]), folder, facts, _File(folder, schema))
