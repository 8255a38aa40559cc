"""Whoever is told may be broken in any way: it holds nothing up."""

import socket
import threading
from types import SimpleNamespace

import pytest

from volant.core.loop_file import NotifySection
from volant.wheel.notify import notify


@pytest.fixture
def answering():
    """Makes addresses that answer with some bytes, once."""
    servers, threads = [], []

    def make(said):
        server = socket.create_server(("127.0.0.1", 0))

        def once():
            with server.accept()[0] as one:
                one.recv(65536)
                one.sendall(said)

        thread = threading.Thread(target=once, daemon=True)
        thread.start()
        servers.append(server)
        threads.append(thread)
        return f"http://127.0.0.1:{server.getsockname()[1]}/"

    yield make
    for thread in threads:
        thread.join(timeout=10)
    for server in servers:
        server.close()


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (b"what?\r\n\r\n", "BadStatusLine"),
        (b"", "RemoteDisconnected"),
        (b"HTTP/1.1 204 x\r\n\r\n", "sent"),
        (b"HTTP/1.1 302 x\r\nlocation: file:///etc/passwd\r\n\r\n", "answered with 302"),
        (b"HTTP/1.1 200 x\r\n" + b"a: b\r\n" * 200 + b"\r\n", "HTTPException"),
    ],
)
def test_a_webhook_that_answers_nonsense_is_only_named(answering, said, result):
    told = []
    file = SimpleNamespace(notify=NotifySection(url=answering(said)))
    context = SimpleNamespace(product=SimpleNamespace(file=file), progress=SimpleNamespace(say=told.append))
    assert [one["result"] for one in notify(context, {"product": "x"})] == [result]
    assert bool(told) == (result != "sent")
