"""New: look at the data, infer types and task, and write the product file."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from volant.columns.media import media_columns
from volant.core.plugins import load
from volant.core.product import FILE, parse, read
from volant.core.progress import Progress, Silent
from volant.core.records import Schema
from volant.data.infer import infer_schema, infer_task
from volant.data.sources import Source, filled_in, read_source
from volant.errors import BadInput
from volant.wheel.presets import Preset, classes_of, preset_of
from volant.wheel.results import NewProduct

HEADER = """\
# {name}: a volant product. `volant config` prints this file with every default filled in.
version = 1
name = {name_text}

[task]
type = {task}{pad}# {reason}
target = {target}
{promise}
[data]
source = {source}
{query}{split}
[columns]
"""
SERVE_MEDIA = """
[serve]
max_body_mb = 32  # pictures from cameras have 2 to 12 MB each
"""
SMALL, TINY = 2_000, 400
SMALL_SPLIT = """\
judge = {judge}  # {rows} rows are few: a larger share judges, so that the gate can tell a gain from chance
test = {test}
"""


def new(
    name: str,
    data: str,
    target: str | None = None,
    *,
    folder: Path | None = None,
    query: str | None = None,
    task: str | None = None,
    preset: str | None = None,
    progress: Progress | None = None,
) -> NewProduct:
    """Make the folder of a product with a product file in it.

    Args:
        name: name of the product; also its folder, unless `folder` is given.
        data: a file, a folder, or a database URL.
        target: the column to predict; of folders of pictures by default the name of the folder.
        folder: where to put it.
        query: the SQL query, when `data` is a database URL.
        task: the task, when it should not be inferred.
        preset: the kind of product, one of `PRESETS`, whose settings are written too.
        progress: told what happens.

    Raises:
        BadInput: codes `product-exists`, `usage`, `source-…`, `column-missing`, `target-missing`, `target-unfit`.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", name):
        fix = "begin with a letter; use letters, digits, - and _; at most 64 characters"
        raise BadInput("that is no name for a product", code="usage", where="NAME", got=name, fix=fix)
    place = (folder or Path(name)).absolute()
    if (place / FILE).exists() or (place.exists() and not place.is_dir()):
        raise BadInput(
            f"there is a product in {place.name} already", code="product-exists", fix="choose another name or folder"
        )
    kind = None if preset is None else preset_of(preset, task)
    task = task if kind is None else kind.task
    (progress or Silent()).stage("look at the data")
    source = read_source(data, folder=Path.cwd(), query=query)
    sample = source.sample()
    target = target or _answer(source)
    if task is not None:
        load("tasks", task)
    schema = infer_schema(sample, target, {}, task=task, source=source)
    inferred, reason = infer_task(sample.column(target).combine_chunks(), target)
    head = HEADER.format(
        name=name,
        name_text=_toml(name),
        task=_toml(task or inferred),
        pad="  ",
        reason="as the preset asks" if kind else "as asked for" if task else reason.replace("\n", " "),
        target=_toml(target),
        source=_toml(_relative(data, place)),
        query=f"query = {_toml(query)}\n" if query else "",
        split=_split(len(sample), kind),
        promise=kind.promise if kind else "",
    )
    text = head + "\n".join(_lines(schema)) + "\n" + (_settings(kind, classes_of(sample, schema, kind)) if kind else "")
    text += _for_media(schema) if "[serve]" not in text else ""
    parse(text)
    _write(place, text)
    product = read(place)
    return NewProduct(name, place, product.file.task.type, reason, target, schema.columns)


def _answer(source: Source) -> str:
    """The column that is to be predicted if nobody says which.

    Raises:
        BadInput: code `usage`.
    """
    if source.answer is None:
        fix = "name it: --target COLUMN"
        what = "which column is to be predicted?"
        raise BadInput(what, code="usage", where="--target", choices=source.names, fix=fix)
    return source.answer


def _for_media(schema: Schema) -> str:
    """Requests that hold pictures are larger than others."""
    return SERVE_MEDIA if media_columns(schema) else ""


def _split(rows: int, preset: Preset | None) -> str:
    """The section `[data.split]`, where there is something to say."""
    judge, test = (0.3, 0.2) if rows < TINY else (0.2, 0.1)
    shares = SMALL_SPLIT.format(rows=rows, judge=judge, test=test) if rows < SMALL else ""
    lines = (preset.split if preset else "") + shares
    return f"\n[data.split]\n{lines}" if lines else ""


def _settings(preset: Preset, classes: Sequence[str]) -> str:
    """The sections of a preset, with the names of the classes."""
    head = f"\n# Preset {preset.name}: {preset.summary}."
    return head + preset.text.format(**dict(zip(("no", "yes"), map(_key, classes), strict=False)))


def _relative(data: str, place: Path) -> str:
    """The source as the product file names it: relative to its folder, whatever was relative to this one."""
    database = re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^/?$][^?]*)(.*)", data)
    if database:
        return database[1] + _relative(database[2], place) + database[3]
    if "://" in data or (data.startswith(("~", "$")) and Path(filled_in(data)).expanduser().is_absolute()):
        return data
    path, _, sheet = data.partition("#")
    relative = os.path.relpath(Path(path).absolute(), place)
    return relative.replace(os.sep, "/") + (f"#{sheet}" if sheet else "")


def _toml(text: str) -> str:
    """A TOML string: JSON's escapes are TOML's too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _key(name: str) -> str:
    """A TOML key: bare where it may be."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _lines(schema: Schema) -> list[str]:
    """One line per column with its type, its role where it is no input, and the reason as a comment."""
    lines = []
    for column in schema.columns:
        if column.role == "target":
            continue
        role = "" if column.role == "input" else f", role = {_toml(column.role)}"
        reason = " ".join(column.reason.split())
        lines.append(f"{_key(column.name)} = {{ type = {_toml(column.type)}{role} }}  # {reason}")
    return lines


def _write(place: Path, text: str) -> None:
    made = not place.exists()
    try:
        place.mkdir(parents=True, exist_ok=True)
        temporary = place / f".{FILE}.new"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(place / FILE)
    except OSError as cause:
        if made:
            shutil.rmtree(place, ignore_errors=True)
        raise BadInput(
            "the product's folder cannot be written",
            code="usage",
            where=str(place),
            got=type(cause).__name__,
            fix="choose another folder, or mend its permissions",
        ) from cause
