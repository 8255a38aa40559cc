"""Clients that are written from the document of a service, against that service and against one that stumbles."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import sys
import threading
import types

import httpx
import pytest

from volant.cli.main import main
from volant.serve.clients.types import PYTHON, TYPESCRIPT
from volant.serve.clients.writing import client
from volant.testing import handmade

ROW = {"age": 50, "plan": "gold"}


@pytest.fixture
def written(running):
    """The Python client of the running service, imported."""
    name, text = client(running.get("/openapi.json").json(), "python")
    assert name == "churn_client.py"
    module = types.ModuleType("churn_client")
    sys.modules["churn_client"] = module
    exec(compile(text, name, "exec"), module.__dict__)
    yield module
    del sys.modules["churn_client"]


def test_it_predicts_and_says_what_is_true(written, listening):
    host, port = listening.address
    with written.Client(f"http://{host}:{port}") as service:
        assert service.ready()
        answer = service.predict([ROW, {"age": 20}], subject=["ann", None])
        assert [one["label"] for one in answer["predictions"]] == ["yes", "no"]
        said = {"prediction_id": answer["predictions"][0]["id"], "kind": "rating", "value": "up"}
        assert service.feedback([said])["feedback"][0]["duplicate"] is False
        assert service.explain([ROW])["explanations"]


def test_a_refusal_says_where_and_why(written, listening):
    host, port = listening.address
    service = written.Client(f"http://{host}:{port}")
    with pytest.raises(written.Refused) as caught:
        service.predict([{"age": "old"}])
    assert (caught.value.status, caught.value.code) == (422, "input-invalid")
    assert caught.value.troubles[0]["where"] == "rows[0].age"
    service.close()


class Stumbling(http.server.BaseHTTPRequestHandler):
    """Fails in several ways before it answers."""

    protocol_version = "HTTP/1.1"
    seen: list

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.seen.append(self.headers["idempotency-key"])
        if len(self.seen) == 1:
            self.close_connection = True
            return
        body = b"{}" if len(self.seen) > 2 else b"not a problem"
        self.send_response(200 if len(self.seen) > 2 else 503)
        self.send_header("retry-after", "0")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def stumbling():
    handler = type("Handler", (Stumbling,), {"seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server, handler.seen
    server.shutdown()
    server.server_close()


def test_it_repeats_with_the_same_key(written, stumbling):
    server, seen = stumbling
    service = written.Client(f"http://127.0.0.1:{server.server_port}")
    assert service.predict([ROW]) == {}
    assert len(seen) == 3
    assert len(set(seen)) == 1
    seen[:] = [None] * 10
    service.close()


def test_it_gives_up_in_the_end(written):
    with pytest.raises(OSError, match="refused"):
        written.Client("http://127.0.0.1:9", attempts=2).predict([ROW])
    with pytest.raises(ValueError, match="http"):
        written.Client("ftp://x")


def test_types_are_those_of_the_signature(running):
    document = running.get("/openapi.json").json()
    _, python = client(document, "python")
    _, script = client(document, "typescript")
    assert '"label": Literal["no"] | Literal["yes"],' in python
    assert '"plan": NotRequired[' in python
    assert '"label": "no" | "yes";' in script
    assert '"plan"?: ' in script
    assert PYTHON.type_of({"type": ["number", "null"]}) == "float | None"
    assert TYPESCRIPT.type_of({"type": "array", "items": {}}) == "Array<unknown>"


SCRIPT = """
import { Client, Refused } from "./churn-client.js";
const service = new Client(process.argv[2]);
const answer = await service.predict([{ age: 50, plan: "gold" }, { age: 20 }], { subject: ["ann", null] });
const [first] = answer.predictions;
const said = await service.feedback([{ prediction_id: first.id, kind: "rating", value: "up" }]);
let code = "";
try {
  await service.predict([{ age: "old" }]);
} catch (error) {
  code = error instanceof Refused ? error.code : String(error);
}
console.log(JSON.stringify([answer.predictions.map((one) => one.label), said.feedback.length, code]));
"""


def test_the_typescript_client_compiles_and_does_the_same(listening, tmp_path):
    if shutil.which("tsc") is None or shutil.which("node") is None:
        pytest.skip("there is no TypeScript compiler here, or no Node to run what it makes")
    url = "http://{}:{}".format(*listening.address)
    name, text = client(httpx.get(url + "/openapi.json").json(), "typescript")
    (tmp_path / name).write_text(text)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "use.js").write_text(SCRIPT)
    command = ["tsc", "--strict", "--target", "es2022", "--module", "es2022", "--lib", "es2022,dom", name]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    told = subprocess.run(["node", "use.js", url], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == [["yes", "no"], 1, "input-invalid"]


def test_the_command(tmp_path, capsys):
    product = handmade.make_served_product(tmp_path / "product")
    assert main(["-C", str(product.folder), "--json", "client", "typescript", "-o", str(tmp_path / "web")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["file"].endswith("web/churn-client.ts")
    assert "export class Client" in (tmp_path / "web" / "churn-client.ts").read_text()
