"""Requests over HTTP that arrive at a fixed rate, whatever becomes of those before them (an open loop).

Prints a JSON line: requests planned and answered per second, errors (any status but 200, connections that break, and
what is not answered in time), p50, p99 and p99.9 in milliseconds. Latency counts from the moment for which a request
was planned, so a server that stalls is charged with all that had to wait meanwhile. `late_ms` is the p99 of what the
load itself was late: planned moment to sending, over requests for which a connection was free. It polls without pause,
so give it a core of its own.

Source: Schroeder, Wierman and Harchol-Balter, Open versus closed (2006), section 2.

    taskset -c 1 python bench/arrivals.py http://127.0.0.1:8000/v1/predict body.json --rate 1000 --seconds 10
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
import time
from collections import deque
from pathlib import Path
from urllib.parse import urlsplit

PATIENCE_SECONDS = 5.0
"""How long after the last planned moment answers are waited for."""


class Client:
    """One connection, with at most one request under way; `planned` is the moment for which that was planned."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.planned = 0.0
        self.received = b""

    def send(self, request: bytes, planned: float) -> None:
        """Send a request, which is small enough for the socket's buffer."""
        self.planned, self.received = planned, b""
        if self.socket.send(request) != len(request):
            raise ConnectionError("the request does not fit into the socket's buffer")

    def status(self) -> int:
        """The status of the answer once it is whole, 0 before.

        Raises:
            OSError: the connection broke.
        """
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("closed")
        self.received += part
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return 0
        lines = head.lower().split(b"\r\n")
        lengths = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
        whole = len(body) >= lengths[0] if lengths else body.endswith(b"0\r\n\r\n")
        return int(head[9:12]) if whole else 0


class Load:
    """Sends requests at their planned moments, each over whatever connection is free, and takes the answers."""

    def __init__(self, url: str, body: bytes, connections: int) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._request = (
            f"POST {parts.path or '/'} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._poll = select.epoll()
        self._clients: dict[int, Client] = {}
        self._free: deque[Client] = deque()
        for _ in range(connections):
            self._connect()
        self.times: list[float] = []
        self.answered = 0
        self.late: list[float] = []
        self.errors = 0

    def _connect(self) -> None:
        client = Client(self._address)
        self._clients[client.socket.fileno()] = client
        self._poll.register(client.socket, select.EPOLLIN)
        self._free.append(client)

    def run(self, rate: float, seconds: float) -> float:
        """Seconds from the first planned moment to the last answer."""
        count, sent = round(rate * seconds), 0
        begun = time.perf_counter() + 0.05
        end = begun + seconds + PATIENCE_SECONDS
        while (now := time.perf_counter()) < end and (sent < count or len(self._free) < len(self._clients)):
            while sent < count and self._free and begun + sent / rate <= now:
                self._send(begun + sent / rate, now)
                sent += 1
            for file, _event in self._poll.poll(0):
                self._take(self._clients[file])
        now = time.perf_counter()
        self._give_up([client.planned for client in self._clients.values() if client not in self._free], now)
        self._give_up([begun + place / rate for place in range(sent, count)], now)
        return now - begun

    def _give_up(self, planned: list[float], now: float) -> None:
        """What was not answered took at least until now: leaving it out would flatter the slow."""
        self.errors += len(planned)
        self.times += [now - moment for moment in planned]

    def _send(self, planned: float, now: float) -> None:
        client = self._free.popleft()
        if self._free:  # else it is the server that was waited for
            self.late.append(now - planned)
        try:
            client.send(self._request, planned)
        except OSError:
            self._replace(client)

    def _take(self, client: Client) -> None:
        if client in self._free:  # an idle connection that the server closed
            self._free.remove(client)
            self._forget(client)
            self._connect()
            return
        try:
            status = client.status()
        except OSError:
            self._replace(client)
            return
        if status == 0:
            return
        self.times.append(time.perf_counter() - client.planned)
        self.answered += 1
        self.errors += status != 200
        self._free.append(client)

    def _replace(self, client: Client) -> None:
        self.errors += 1
        self._forget(client)
        self._connect()

    def _forget(self, client: Client) -> None:
        self._poll.unregister(client.socket)
        del self._clients[client.socket.fileno()]
        client.socket.close()


def quantile(values: list[float], share: float) -> float | None:
    """The smallest value that at least this share of the values does not exceed, in milliseconds."""
    ordered = sorted(values)
    return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000, 3) if ordered else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="where to; without it nothing is measured")
    parser.add_argument("body", nargs="?", type=Path, help="a file with the JSON to send")
    parser.add_argument("--rate", type=float, default=1000.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=64, help="the most requests under way at once")
    options = parser.parse_args()
    if options.url is None or options.body is None:
        print(json.dumps({"row": "arrivals", "no_data": "no server was named; bench/serving.py names them"}))
        return
    load = Load(options.url, options.body.read_bytes(), options.connections)
    took = load.run(options.rate, options.seconds)
    names = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
    print(
        json.dumps(
            {
                "planned_per_second": options.rate,
                "answered_per_second": round(load.answered / took, 1),
                "errors": load.errors,
                **{name: quantile(load.times, share) for name, share in names.items()},
                "late_ms": quantile(load.late, 0.99),
            }
        )
    )


if __name__ == "__main__":
    sys.exit(main())
