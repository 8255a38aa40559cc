"""`volant ship`: what runs the service elsewhere, written for the product at hand. Nothing is built or started."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from volant import __version__
from volant.core.product import FILE, Product
from volant.errors import BadInput
from volant.store import write_file_atomic

TARGETS: Mapping[str, Mapping[str, str]] = {
    "docker": {"Dockerfile": "Dockerfile.j2", ".dockerignore": "dockerignore.j2", "compose.yaml": "compose.yaml.j2"},
    "systemd": {"volant-{name}.service": "volant.service.j2"},
    "k8s": {
        "config.yaml": "config.yaml.j2",
        "storage.yaml": "storage.yaml.j2",
        "service.yaml": "service.yaml.j2",
        "workload.yaml": "workload.yaml.j2",
        "scaling.yaml": "scaling.yaml.j2",
    },
}
"""For each target its files, and the templates that they are made from."""

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
USER = 10001
"""The user and group that runs in containers: no one that the host knows."""


@dataclass(frozen=True)
class Facts:
    """What the templates are filled with."""

    product: str
    name: str
    version: str
    package: str
    port: int
    user: int
    folder: str
    command: str
    account: str
    secrets: tuple[str, ...]
    text: str
    memory_mb: int
    scales: bool
    tls: bool


def ship(product: Product, target: str, out: Path, *, account: str = "volant") -> list[Path]:
    """Write the files of a target into `out`; gives what was written.

    Raises:
        BadInput: code `usage`: a file is there already and differs: nothing was written.
    """
    made = {
        out / name.format(name=_facts(product, account).name): text for name, text in _texts(product, target, account)
    }
    differing = [path for path, text in made.items() if path.exists() and path.read_text() != text]
    if differing:
        fix = "move it away, or write to another folder with --out"
        raise BadInput("there is such a file already", code="usage", where=str(differing[0]), fix=fix)
    out.mkdir(parents=True, exist_ok=True)
    for path, text in made.items():
        write_file_atomic(path, text.encode())
    return list(made)


def _texts(product: Product, target: str, account: str) -> list[tuple[str, str]]:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["quoted"] = _quoted
    facts = _facts(product, account)
    made = []
    for name, template in TARGETS[target].items():
        source = files("volant.serve.shipping").joinpath("templates", template).read_text(encoding="utf-8")
        text = environment.from_string(source).render(**asdict(facts))
        if text.strip():
            made.append((name, text))
    return made


def _facts(product: Product, account: str) -> Facts:
    file, text = product.file, (product.folder / FILE).read_text(encoding="utf-8-sig")
    postgres = file.store.url is not None
    extras = [*(["postgres"] if postgres else []), *(["sign"] if file.sign.signers or file.sign.key else [])]
    return Facts(
        product=product.name,
        name=re.sub(r"[^a-z0-9-]", "-", product.name.lower()).strip("-"),
        version=__version__,
        package=f"volant[{','.join(extras)}]=={__version__}" if extras else f"volant=={__version__}",
        port=file.serve.port or 8000,
        user=USER,
        folder=str(product.folder),
        command=str(Path(sys.executable).parent / "volant"),
        account=account,
        secrets=tuple(dict.fromkeys(_REFERENCE.findall(text))),
        text=text,
        memory_mb=1024,
        scales=postgres,
        tls=file.serve.tls.certificate is not None,
    )


def _quoted(text: str) -> str:
    """A text as systemd and shells take it in quotes; a percent sign begins a specifier in units."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'
