"""59: SIGTERM under load. Whoever sent a request is answered; and nothing that was answered is missing."""

from __future__ import annotations

import json
import socket
import threading
import time

from volant.store import open_store
from volant.testing import handmade
from volant.testing.served import served

ROW = {"age": 50, "plan": "gold"}
BODY = json.dumps({"row": ROW}).encode()
REQUEST = b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(
    BODY
)


class Client(threading.Thread):
    """Sends request after request over one connection until it is told that this one is the last."""

    def __init__(self, address) -> None:
        super().__init__()
        self.answered: list[str] = []
        self.failure = ""
        self._address = address

    def run(self) -> None:
        with socket.create_connection(self._address, timeout=30) as connection, connection.makefile("rb") as answers:
            while not self.failure:
                connection.sendall(REQUEST + BODY)
                head = self._head(answers)
                if not head.startswith(b"HTTP/1.1 200 "):
                    self.failure = head[:60].decode() or "the connection was cut off"
                    return
                size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                self.answered.append(json.loads(answers.read(size))["predictions"][0]["id"])
                if b"connection: close" in head:
                    return

    @staticmethod
    def _head(answers) -> bytes:
        head = b""
        while line := answers.readline():
            head += line
            if line == b"\r\n":
                break
        return head


def test_59_everything_sent_is_answered(tmp_path):
    product = handmade.make_served_product(tmp_path)
    with served(product.folder, "--workers", "2") as service:
        clients = [Client(service.address) for _ in range(12)]
        for client in clients:
            client.start()
        time.sleep(1.0)
        assert service.stop() == 0
        for client in clients:
            client.join(30)
    assert [client.failure for client in clients] == [""] * 12
    told = [id for client in clients for id in client.answered]
    assert len(told) > 100
    with open_store(product.home) as store:
        assert store.counts()["predictions"] == len(told)
        assert set(store.find_predictions(told)) == set(told)
