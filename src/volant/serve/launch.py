"""`volant serve`: what must hold before anybody is answered, and then the processes that answer."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from volant.core.clock import Clock, Machine
from volant.core.product import Product
from volant.errors import BadInput
from volant.runtime.load import verify
from volant.runtime.seal import require_seal
from volant.serve.certificates import tls
from volant.serve.keys import Guard, refuse_open_door, resolve
from volant.serve.limits import MOST_PROCESSES
from volant.serve.listener import sockets, url_of
from volant.serve.logs import set_up
from volant.serve.process import Plan, store_of
from volant.serve.supervisor import Supervisor
from volant.serve.tracing import Tracing
from volant.store import Store, flock, write_file_atomic
from volant.store.part import iso

FACTS = "service.json"
_LOCK = "alive"


@dataclass(frozen=True)
class Address:
    """Where to listen, and with how many processes; None is what the first product's file says."""

    host: str | None = None
    port: int | None = None
    workers: int | None = None


def serve(products: Sequence[Product], address: Address, announce: Callable[[str], None]) -> None:
    """Serve the champions of products until SIGTERM or SIGINT, then finish what was begun.

    Args:
        products: one, at the root of the address, or several, each under its name.
        address: where to listen.
        announce: is told the address once requests are answered there.

    Raises:
        BadInput: codes `no-release`, `key-required`, `address-in-use`, `tls-invalid`, `usage`, or that of a
            damaged release.
    """
    file = products[0].file.serve
    host = file.host if address.host is None else address.host
    port = file.port if address.port is None else address.port
    workers = worker_count(file.workers if address.workers is None else address.workers)
    mounted = _mounted(products)
    set_up(file.log, access=any(product.file.serve.access_log for product in products))
    for product in products:
        with store_of(product) as store:
            _refuse_unready(product, store, host)
            store.note("serve.start", product.name, {"config": product.config_hash, "host": host, "workers": workers})
    context, renew = _tls(products[0])
    if (tracing := Tracing.wanted()) is not None:  # each process has its own; here it is only seen that it can
        tracing.close()
    with sockets(host, port, workers) as listening, ExitStack() as stack:
        url = url_of(listening[0], "http" if context is None else "https")
        folders = [stack.enter_context(_run_folder(product)) for product in products]
        for folder in folders:
            write_file_atomic(folder / FACTS, json.dumps(_facts(products, url, workers)).encode())
        plan = Plan(mounted, workers, folders[0], context, renew)
        Supervisor(plan, listening, lambda: announce(_said(mounted, url))).run()


def worker_count(wanted: int) -> int:
    """How many processes answer: as many as wanted, or one per core."""
    return min(wanted or Machine.here().cores, MOST_PROCESSES - 1)


def _mounted(products: Sequence[Product]) -> tuple[tuple[str, Product], ...]:
    if len(products) == 1:
        return (("", products[0]),)
    names = [product.name for product in products]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput("two products have the same name", code="usage", got=twice, fix="give one of them another name")
    return tuple((f"/{product.name}", product) for product in products)


def _refuse_unready(product: Product, store: Store, host: str) -> None:
    champion = store.champion()
    if champion is None:
        fix = "run `volant train`: what passes the gate is served"
        raise BadInput("there is no release to serve yet", code="no-release", where=product.name, fix=fix)
    folder = product.home / "candidates" / champion.release
    if verify(folder) != champion.release:
        what, fix = "the folder of the champion holds another release", "restore it, roll back, or train again"
        raise BadInput(what, code="artifact-damaged", where=champion.release[:12], fix=fix)
    require_seal(folder, product.file.sign.signers)
    guard = Guard(resolve(product.file.serve.key))
    guard.learn(store.api_keys())
    refuse_open_door(host, guard)


def _tls(product: Product) -> tuple[ssl.SSLContext, Callable[[], None]] | tuple[None, None]:
    named = product.file.serve.tls
    if named.certificate is None or named.key is None:
        return None, None
    files = product.folder / named.certificate, product.folder / named.key
    context = tls(*files)

    def renew() -> None:
        tls(*files)  # what cannot be used leaves the present one alone
        context.load_cert_chain(*files)

    return context, renew


def _said(mounted: Sequence[tuple[str, Product]], url: str) -> str:
    lines = [f"{product.name} is served at {url}{prefix} (try {url}{prefix}/docs)" for prefix, product in mounted]
    return "\n".join(lines)


@contextmanager
def _run_folder(product: Product) -> Iterator[Path]:
    """A folder for what the processes of this service leave for each other; those of dead services are swept away."""
    root = product.home / "run"
    root.mkdir(exist_ok=True)
    for old in root.iterdir():
        if not flock.is_held(old / _LOCK):
            shutil.rmtree(old, ignore_errors=True)
    folder = root / str(os.getpid())
    folder.mkdir(exist_ok=True)
    held = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    flock.take(held)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _facts(products: Sequence[Product], url: str, workers: int) -> dict[str, object]:
    """What `volant status` and `volant top` tell of this service."""
    names = [product.name for product in products]
    return {"pid": os.getpid(), "url": url, "workers": workers, "since": iso(Clock().now()), "products": names}


def running(home: Path) -> list[dict[str, Any]]:
    """The services of a product that run on this machine."""
    found = []
    for folder in sorted((home / "run").glob("*")):
        if flock.is_held(folder / _LOCK):
            with contextlib.suppress(OSError, ValueError):
                found.append({**json.loads((folder / FACTS).read_text()), "folder": str(folder)})
    return found
