"""`volant client`: a typed client of a product's service, one file, without dependencies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import msgspec

from volant import __version__
from volant.core import plugins
from volant.core.product import Product
from volant.core.protocols import Task
from volant.errors import BadInput
from volant.serve.clients.types import PYTHON, TYPESCRIPT, Language, named_types
from volant.serve.openapi import document
from volant.serve.process import store_of
from volant.serve.slot import load


@dataclass(frozen=True)
class Kind:
    """A language that clients are written in."""

    language: Language
    template: str
    file: str


KINDS = {
    "python": Kind(PYTHON, "client.py.j2", "{}_client.py"),
    "typescript": Kind(TYPESCRIPT, "client.ts.j2", "{}-client.ts"),
}


def described(product: Product) -> Mapping[str, Any]:
    """The OpenAPI document of a product, by the champion that it has now.

    Raises:
        BadInput: code `no-release`.
    """
    task: Task = plugins.load("tasks", product.file.task.type)
    with store_of(product) as store:
        champion = store.champion()
    if champion is None:
        fix = "run `volant train`: what passes the gate is served"
        raise BadInput("there is no release yet", code="no-release", where=product.name, fix=fix)
    folder = product.home / "candidates" / champion.release
    slot = load(folder, champion.release, signers=product.file.sign.signers)
    found: Mapping[str, Any] = msgspec.json.decode(document(product, task, slot, guarded=True))
    return found


def client(found: Mapping[str, Any], name: str) -> tuple[str, str]:
    """The name of the file and the text of a client, for a document and one of `KINDS`."""
    kind = KINDS[name]
    title = str(found["info"]["title"])
    facts = {
        "title": title,
        "summary": found["info"]["summary"],
        "contract": found["info"]["version"],
        "version": __version__,
        "types": named_types(found, kind.language),
    }
    safe = "".join(letter if letter.isalnum() else "_" for letter in title)
    return kind.file.format(safe), template(kind.template)(**facts)


def template(name: str) -> Callable[..., str]:
    """What renders a template of this package."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    source = files("volant.serve.clients").joinpath(name).read_text(encoding="utf-8")
    return environment.from_string(source).render
