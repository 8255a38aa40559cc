"""Which HTTP server: processor time per request of one application under volant's own protocol, uvicorn and granian.

One process each, 16 connections of wrk, every prediction logged. Prints a JSON line per server and path: microseconds
of processor time of the server per request (user and system, from /proc), requests per second, errors. That time
says much the same on a busy machine; the rate does not.

The other servers come from an environment of their own: VOLANT_SERVERS names its site-packages (granian uvicorn uvloop
httptools); without it only volant's own is measured.

    VOLANT_SERVERS=/tmp/granian/lib/python3.11/site-packages python bench/protocols.py
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from serving import LUA, TELLING, body_for, counted, model, product

from volant.core.product import read
from volant.serve.top import family_of
from volant.testing.served import served

TICKS = os.sysconf("SC_CLK_TCK")
HERE = Path(__file__).parent
OTHERS = {
    "uvicorn": "uvicorn --factory protocols:app --http httptools --loop uvloop --no-access-log --log-level error "
    "--port {}",
    "granian": "granian --interface asgi --factory protocols:app --loop uvloop --workers 1 --no-ws --log-level error "
    "--port {}",
}


def app():
    """The application that the other servers run: what volant's own protocol serves, as ASGI."""
    from volant.serve.app import create_app
    from volant.serve.asgi import Asgi
    from volant.serve.process import store_of

    made = read(Path(os.environ["PRODUCT"]))
    return Asgi(create_app(made, ExitStack().enter_context(store_of(made))))


def processor_seconds(pid: int) -> float:
    """What a process and its children have used so far."""
    total = 0
    for one in family_of(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


@contextmanager
def other(name: str, folder: Path) -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "PRODUCT": str(folder), "PYTHONPATH": f"{HERE}:{os.environ['VOLANT_SERVERS']}"}
    command = [sys.executable, "-m", *OTHERS[name].format(port).split()]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        url, until = f"http://127.0.0.1:{port}", time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url + "/v1/health/ready", timeout=2).close()
                break
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError(f"{name} does not answer")
            time.sleep(0.1)
        yield url, process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


@contextmanager
def own(folder: Path) -> Iterator[tuple[str, int]]:
    with served(folder, "--workers", "1") as service:
        yield service.url, service.process.pid


def load(url: str, body: Path | None, seconds: float) -> tuple[int, float, int]:
    """Requests answered, per second, and errors."""
    script = LUA.format(body=body) if body else TELLING
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["wrk", "-t1", "-c16", f"-d{seconds:g}s", "-s", file.name, url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    requests, took, errors, _ = counted(said)
    return requests, requests / took, errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = product(Path(folder) / "product", model())
        body = Path(folder) / "body"
        body.write_bytes(body_for("volant"))
        for name in ("volant", *(OTHERS if os.environ.get("VOLANT_SERVERS") else ())):
            with own(place) if name == "volant" else other(name, place) as (url, pid):
                for path, sent in (("/v1/health/live", None), ("/v1/predict", body)):
                    load(url + path, sent, 1.0)
                    before = processor_seconds(pid)
                    count, rate, errors = load(url + path, sent, options.seconds)
                    micros = (processor_seconds(pid) - before) / max(count, 1) * 1e6
                    told = {"row": "protocol", "server": name, "path": path, "cpu_us": round(micros, 1)}
                    print(json.dumps({**told, "requests_per_second": round(rate), "errors": errors}), flush=True)


if __name__ == "__main__":
    main()
