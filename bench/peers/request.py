"""Processor time of one small prediction in an ASGI application under uvicorn's protocol, for `bench/request.py`.

    python request.py PEER MODEL.onnx COUNT REPEATS

PEER is one of bare, fastapi of `serving.py`. Runs with the interpreter of the peers' environment. Prints microseconds:
the least of the repeats, without a socket, as `bench/request.py` measures volant.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
BODY = b'{"x": [[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]]}'


class Nowhere(asyncio.Transport):
    """A transport whose client reads everything at once."""

    def __init__(self):
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""

    def write(self, data):
        self.written += bytes(data)

    def is_closing(self):
        return False

    def close(self):
        pass


async def measure(app, path, count, repeats):
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    from uvicorn.server import ServerState

    config = Config(app, access_log=False, log_level="warning", lifespan="off")
    config.load()
    protocol, transport = HttpToolsProtocol(config, ServerState(), {}), Nowhere()
    protocol.connection_made(transport)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n"
    request = head.encode() + BODY

    async def one():
        transport.written = b""
        protocol.data_received(request)
        while b'{"y"' not in transport.written:
            await asyncio.sleep(0)

    found = []
    for _ in range(repeats):
        begun = time.process_time()
        for _ in range(count):
            await one()
        found.append((time.process_time() - begun) / count * 1e6)
    print(round(min(found), 1))


def main(peer, model, count, repeats):
    import uvloop

    os.environ["MODEL"] = model
    import serving

    app = {"bare": serving.bare_app, "fastapi": serving.fastapi_app}[peer]()
    path = {"bare": "/", "fastapi": "/predict"}[peer]
    uvloop.run(measure(app, path, int(count), int(repeats)))


if __name__ == "__main__":
    main(*sys.argv[1:])
