"""How many of the faults that volant passes other model servers pass, with their defaults: the same probes for all.

Every probe is bytes over a raw socket (or a signal), and what must come back is a status out of few; afterwards an
ordinary request must be answered within ten seconds. Only the status is judged, not its form, which favours the peers.
Rows of the list of faults that need the media, the store, the releases or the feedback of volant apply to no peer and
are left out. Prints a JSON line per server and probe, and one per server with the count.

    VOLANT_PEERS=/tmp/peers/env/bin/python python bench/faults.py
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import os
import re
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from serving import CORES, PEERS, WIDTH, Server, answers, body_for, model, peer, product, say, volant

from volant.serve.top import family_of

PATIENCE = 12.0


@dataclass
class Target:
    """A server under test: where it is, and how its bodies are built."""

    name: str
    server: Server

    @property
    def place(self) -> tuple[tuple[str, int], str]:
        url = urlsplit(self.server.url)
        return (str(url.hostname), int(url.port or 80)), url.path

    def rows(self, text: str) -> bytes:
        """A body with this in the place of the rows, as JSON text."""
        key = {"volant": "rows", "mlflow": "inputs"}.get(self.name, "x")
        return f'{{"{key}": {text}}}'.encode()

    def row(self, first: str = "0.5") -> str:
        """One row as JSON text, with this in the place of its first number."""
        cells = [first, *["0.5"] * (WIDTH - 1)]
        if self.name == "volant":
            return "{" + ", ".join(f'"x{i}": {cell}' for i, cell in enumerate(cells)) + "}"
        return "[" + ", ".join(cells) + "]"

    def head(self, *lines: str, method: str = "POST", path: str | None = None) -> bytes:
        """A request's head with these header lines."""
        told = [f"{method} {path or self.place[1]} HTTP/1.1", "Host: x", *lines]
        return ("\r\n".join(told) + "\r\n\r\n").encode("latin-1")

    def post(self, body: bytes, *lines: str, media: str = "application/json") -> bytes:
        return self.head(f"Content-Type: {media}", f"Content-Length: {len(body)}", *lines) + body


def status_of(answer: bytes) -> int:
    """The status of the last answer in some bytes, 0 where there is none."""
    found = re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)
    return int(found[-1]) if found else 0


def exchange(target: Target, pieces, patience: float = PATIENCE) -> bytes:
    """Send pieces and read what comes back until the server closes, falls silent for a second, or time is over."""
    answer, until = b"", time.monotonic() + patience
    with contextlib.suppress(OSError), socket.create_connection(target.place[0], timeout=5) as connection:
        with contextlib.suppress(OSError):
            for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                connection.sendall(piece)
        while time.monotonic() < until:
            connection.settimeout(1.0 if answer else max(until - time.monotonic(), 0.1))
            if not (part := connection.recv(65536)):
                break
            answer += part
    return answer


Probe = Callable[[Target], int]
PROBES: dict[str, tuple[tuple[int, ...], Probe]] = {}


def probe(row: str, *statuses: int) -> Callable[[Probe], Probe]:
    """A probe of a row, and the statuses with which it is passed."""

    def listed(made: Probe) -> Probe:
        PROBES[row] = statuses, made
        return made

    return listed


def simple(row: str, statuses: tuple[int, ...], request: Callable[[Target], bytes]) -> None:
    """A probe that is one request."""
    PROBES[row] = statuses, lambda target: status_of(exchange(target, request(target)))


JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"


@probe("1 truncated body", 400)
def _(target: Target) -> int:
    with socket.create_connection(target.place[0], timeout=PATIENCE) as connection:
        connection.sendall(target.head(JSON, "Content-Length: 100") + b'{"x"')
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            return status_of(connection.recv(65536))
    return 0


simple("2 announced length over any cap", (413,), lambda t: t.head(JSON, "Content-Length: 100000000000"))


@probe("3 chunks over any cap", 413)
def _(target: Target) -> int:
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    return status_of(exchange(target, [target.head(JSON, CHUNKED), *[piece] * 256], 60.0))


@probe("4 three megabytes in single bytes", 413, 400)
def _(target: Target) -> int:
    return status_of(
        exchange(target, [target.head(JSON, CHUNKED), *[b"1\r\n \r\n" * 10_000] * 300, b"0\r\n\r\n"], 60.0)
    )


simple("5a length and chunks", (400,), lambda t: t.head(JSON, "Content-Length: 5", CHUNKED) + b"0\r\n\r\n")
simple("5b two lengths", (400,), lambda t: t.head(JSON, "Content-Length: 5", "Content-Length: 6") + b"12345")


def slowly(row: str, start: Callable[[Target], bytes]) -> None:
    def probing(target: Target) -> int:
        with socket.create_connection(target.place[0], timeout=1.0) as connection:
            until = time.monotonic() + PATIENCE
            connection.sendall(start(target))
            while time.monotonic() < until:
                try:
                    return status_of(connection.recv(65536))
                except TimeoutError:
                    connection.sendall(b"a")
                except OSError:
                    return 0
        return 0

    PROBES[row] = (408,), probing


slowly("6 slow head", lambda t: b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
slowly("7 slow body", lambda t: t.head(JSON, "Content-Length: 1000") + b"{")


@probe("9 a thousand idle sockets", 200)
def _(target: Target) -> int:
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(socket.create_connection(target.place[0], timeout=5))
        return 200 if answers(target.server.url, body_for(target.name)) else 0


simple("10 header of 64 kB", (431,), lambda t: t.post(body_for(t.name), "X-Long: " + "a" * 65536))
simple("11 long address", (414,), lambda t: t.head(method="GET", path="/" + "a" * 65536))
simple("12 dots in a path", (404,), lambda t: t.head(method="GET", path="/../../etc/passwd"))
simple("14 wrong media type", (415,), lambda t: t.post(body_for(t.name), media="text/plain"))
simple("15 empty body", (400,), lambda t: t.post(b""))
simple("18 garbage behind a request", (400,), lambda t: t.post(body_for(t.name)) + b"\x00\x01garbage\r\n\r\n")
simple("19 bad JSON", (400,), lambda t: t.post(b'{"x": [[0.5,'))
simple("20 invalid UTF-8", (400,), lambda t: t.post(b'{"x\xff": 1}'))
simple("21 nested 100,000 deep", (400,), lambda t: t.post(t.rows("[" * 100_000 + "]" * 100_000)))
simple("22 bare NaN", (400,), lambda t: t.post(t.rows(f"[{t.row('NaN')}]")))
simple("23 integer of 400 digits", (422,), lambda t: t.post(t.rows(f"[{t.row('9' * 400)}]")))
simple("24 a key twice", (400,), lambda t: t.post(t.rows(f"[{t.row()}]")[:-1] + b", " + t.rows(f"[{t.row()}]")[1:]))
simple("25a missing field", (422,), lambda t: t.post(b"{}"))
simple("25b unknown field", (422,), lambda t: t.post(t.rows(f"[{t.row()}]")[:-1] + b', "what": 1}'))
simple("25c wrong type", (422,), lambda t: t.post(t.rows(f"[{t.row(chr(34) + 'old' + chr(34))}]")))
simple("26a no rows", (422,), lambda t: t.post(t.rows("[]")))
simple("26b wrong shape", (422,), lambda t: t.post(t.rows("[[]]")))
simple("27 a million rows", (413,), lambda t: t.post(t.rows("[" + ",".join(["[]"] * 1_000_000) + "]")))


@probe("13 wrong method", 405)
def _(target: Target) -> int:
    answer = exchange(target, target.head(method="DELETE"))
    return status_of(answer) if b"\nallow:" in answer.lower() else 0


@probe("16 gzip bomb", 413, 415)
def _(target: Target) -> int:
    bomb = gzip.compress(b" " * 300_000_000, 9)
    return status_of(exchange(target, target.post(bomb, "Content-Encoding: gzip"), 60.0))


@probe("17 ten thousand parts", 413, 415)
def _(target: Target) -> int:
    part = b'--b\r\ncontent-disposition: form-data; name="x"\r\n\r\n1\r\n'
    return status_of(
        exchange(target, target.post(part * 10_000 + b"--b--\r\n", media="multipart/form-data; boundary=b"))
    )


@probe("57 a worker is killed", 200)
def _(target: Target) -> int:
    """The process that was started last is killed; for half a minute nobody hangs, and in the end all is well."""
    children = [pid for pid in family_of(target.server.pid) if pid != target.server.pid]
    if not children:
        return 0
    with contextlib.suppress(ProcessLookupError):
        os.kill(children[-1], signal.SIGKILL)
    time.sleep(20)
    good = [answers(target.server.url, body_for(target.name)) for _ in range(20)]
    return 200 if all(good) else 0


@probe("59 SIGTERM under load", 200)
def _(target: Target) -> int:
    """The last probe: every request whose head was sent before the end is answered."""
    body, failed, stop = target.post(body_for(target.name)), [], threading.Event()

    def ask() -> None:
        with contextlib.suppress(OSError), socket.create_connection(target.place[0], timeout=10) as connection:
            while not stop.is_set():
                connection.sendall(body)
                answer = connection.recv(65536)
                if status_of(answer) != 200:
                    failed.append(answer[:20])
                    return
                if b"\nconnection: close" in answer.lower():
                    return

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    os.kill(target.server.pid, signal.SIGTERM)
    time.sleep(3.0)
    stop.set()
    for thread in threads:
        thread.join(15)
    return 0 if failed else 200


def alive(target: Target) -> bool:
    """Whether an ordinary request is answered within ten seconds."""
    until = time.monotonic() + 10
    while not answers(target.server.url, body_for(target.name)):
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def judge(target: Target, only: str) -> None:
    """Try everything on one server; what it does not survive fails, and so does all that comes after it."""
    passed, tried = 0, 0
    for row, (statuses, probing) in PROBES.items():
        if only not in row:
            continue
        try:
            got = probing(target)
        except OSError:
            got = 0
        stands = row.startswith("59") or alive(target)
        tried, passed = tried + 1, passed + (got in statuses and stands)
        say(row="fault", server=target.name, fault=row, wanted=statuses, got=got, answers_others=stands)
    say(row=f"faults, {target.name}", passed=passed, of=tried)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", nargs="*", default=("volant", *PEERS))
    parser.add_argument("--only", default="", help="rows whose name holds this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        onnx = Path(folder) / "model.onnx"
        onnx.write_bytes(model())
        place = product(Path(folder) / "product", onnx.read_bytes())
        for name in options.servers:
            start = volant(place, CORES) if name == "volant" else peer(name, onnx, CORES)
            try:
                with start as server:
                    judge(Target(name, server), options.only)
            except RuntimeError as error:
                say(row=f"faults, {name}", no_data=str(error)[-300:])


if __name__ == "__main__":
    main()
