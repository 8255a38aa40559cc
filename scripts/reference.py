"""Writes the reference pages that follow from the code: the product file, its JSON Schema, the commands, the errors.

`make docs` runs this; a test fails when a page is not what this would write.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from volant.cli.main import COMMANDS, command, main
from volant.core.product import json_schema
from volant.errors import CODES

DOCS = Path(__file__).parents[1] / "docs"
NOTE = "<!-- Written by `make docs` from the code. Change the code, not this page. -->\n"
Schema = Mapping[str, Any]


def schema_page() -> str:
    """The JSON Schema of the product file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def product_file_page() -> str:
    """Every key of the product file, its type, its default, its meaning."""
    schema = json_schema()
    lines = [NOTE, "# The product file `volant.toml`\n", _PRODUCT_FILE_INTRODUCTION]
    own = {name: field for name, field in schema["properties"].items() if _table(field, schema) is None}
    lines += ["## Top level\n", *_keys(own, schema, schema.get("required", ()))]
    for name, field in schema["properties"].items():
        if name not in own:
            lines += _section((name,), field, schema)
    return "\n".join(lines).rstrip() + "\n"


_PRODUCT_FILE_INTRODUCTION = """\
One file describes a product. `volant new` writes it, you change it, and `volant config` prints it with every
default filled in. Unknown keys are errors, and all problems are reported at once, each with its line. Editors
complete and check the file with [its JSON Schema](volant.schema.json), which `volant schema` prints too.

```toml
version = 1
name = "churn"

[task]
type = "classify"
target = "churned"

[data]
source = "customers.csv"
```
"""


def _section(path: tuple[str, ...], field: Schema, schema: Schema) -> Iterator[str]:
    table = _table(field, schema)
    assert table is not None
    named = "additionalProperties" in field
    yield f"## `[{'.'.join(path)}{'.NAME' if named else ''}]`\n"
    yield f"{field.get('description', table.get('description', ''))}\n"
    properties = table.get("properties", {})
    own = {name: inner for name, inner in properties.items() if _table(inner, schema) is None}
    yield from _keys(own, schema, table.get("required", ()))
    for name, inner in properties.items():
        if name not in own:
            yield from _section((*path, name), inner, schema)


def _table(field: Schema, schema: Schema) -> Schema | None:
    """The table that a field is, or None where it is a plain key."""
    inner = field.get("additionalProperties", field)
    reference = inner.get("$ref") if isinstance(inner, Mapping) else None
    return schema["$defs"][reference.rpartition("/")[2]] if reference else None


def _keys(fields: Mapping[str, Schema], schema: Schema, required: Any) -> Iterator[str]:
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in fields.items():
        default = "required" if name in required else _default(field.get("default"))
        yield f"| `{name}` | {_type(field)} | {default} | {field.get('description', '')} |"
    yield ""


def _default(value: Any) -> str:
    return "not set" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(field: Schema) -> str:
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"] if option.get("type") != "null")
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    if field["type"] == "array":
        return f"list of {_type(field['items'])}s"
    if "additionalProperties" in field:
        return f"table of {_type(field['additionalProperties'])}s"
    limits = [f"{sign} {field[key]:g}" for key, sign in _LIMITS.items() if key in field]
    return " ".join([field["type"], ", ".join(limits)]).rstrip()


_LIMITS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}


def commands_page() -> str:
    """The help of every command."""
    lines = [NOTE, "# The commands\n", _COMMANDS_INTRODUCTION, f"```text\n{_help()}\n```\n"]
    for name in COMMANDS:
        lines += [f"## `volant {name}`\n", f"```text\n{_help(name)}\n```\n"]
        for sub in getattr(command(name), "commands", ()):
            lines += [f"### `volant {name} {sub}`\n", f"```text\n{_help(name, sub)}\n```\n"]
    return "\n".join(lines).rstrip() + "\n"


_COMMANDS_INTRODUCTION = """\
`-C FOLDER` names the product's folder, before or after the command; other paths are relative to where you are.
`--json` writes one JSON object to standard output and nothing else, errors included. Progress and errors go to
standard error.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | refused by a gate or a check; the reasons are shown |
| 2 | bad usage or bad input; the message says what to change |
| 3 | an internal or resource failure |
| 130 | interrupted |

`VOLANT_DEBUG=1` shows the traceback of any error.
"""


def _help(*words: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main([*words, "--help"])
    return "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())


def errors_page() -> str:
    """Every error code with its meaning."""
    lines = [NOTE, "# Errors\n", _ERRORS_INTRODUCTION, "| code | meaning |", "|---|---|"]
    lines += [f"| [`{code}`]({code}.md) | {meaning} |" for code, meaning in CODES.items()]
    return "\n".join(lines) + "\n"


_ERRORS_INTRODUCTION = """\
Every error says what is wrong, where, what was found, what is allowed, what was probably meant, and how to mend it.
It has a code that does not change; with `--json`, and over HTTP, the same facts come as data. No error holds a cell
of your data or a secret: it names rows by number and columns by name.
"""

PAGES: dict[str, Callable[[], str]] = {
    "reference/volant.schema.json": schema_page,
    "reference/product-file.md": product_file_page,
    "reference/commands.md": commands_page,
    "errors/README.md": errors_page,
}


def write() -> None:
    """Write all pages."""
    os.environ["COLUMNS"] = "80"
    for path, make in PAGES.items():
        (DOCS / path).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    write()
