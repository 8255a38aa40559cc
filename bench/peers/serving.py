"""One peer that serves an ONNX model, for `bench/serving.py`; runs with the interpreter of the peers' environment.

    python serving.py PEER PORT MODEL.onnx FOLDER

PEER is one of bare, fastapi, litserve, bentoml, mosec, mlflow. Each takes {"x": [[…]]} and gives {"y": [[…]]} in
the way its documentation shows, with two workers and its logging off. FOLDER is for what it writes.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
WORKERS = 2


def session(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def predicted(model, x):
    import numpy as np

    return model.run(None, {"x": np.asarray(x, dtype=np.float32)})[0].tolist()


def uvicorn(app, port):
    command = [sys.executable, "-m", "uvicorn", "--factory", f"serving:{app}", "--port", str(port), "--loop", "uvloop"]
    more = ["--http", "httptools", "--workers", str(WORKERS), "--no-access-log", "--log-level", "warning"]
    os.execv(sys.executable, [*command, *more])


def bare_app():
    import msgspec

    model = session(os.environ["MODEL"])

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        message = await receive()
        body = msgspec.json.encode({"y": predicted(model, msgspec.json.decode(message["body"])["x"])})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def fastapi_app():
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Asked(BaseModel):
        x: list[list[float]]

    model, app = session(os.environ["MODEL"]), FastAPI()

    @app.post("/predict")
    async def predict(asked: Asked):
        return {"y": predicted(model, asked.x)}

    return app


LITSERVE = """
import os, sys
sys.path.insert(0, {here!r})
import litserve as ls
from serving import predicted, session


class Peer(ls.LitAPI):
    def setup(self, device):
        self.model = session(os.environ["MODEL"])

    def decode_request(self, request):
        return request["x"]

    def predict(self, x):
        return predicted(self.model, x)

    def encode_response(self, output):
        return {{"y": output}}


if __name__ == "__main__":
    server = ls.LitServer(Peer(), accelerator="cpu", workers_per_device=2)
    server.run(host="127.0.0.1", port={port}, num_api_servers=2, log_level="warning", generate_client_file=False)
"""
MOSEC = """
import os, sys
sys.path.insert(0, {here!r})
from mosec import Server, Worker
from serving import predicted, session


class Peer(Worker):
    def __init__(self):
        super().__init__()
        self.model = session(os.environ["MODEL"])

    def forward(self, data):
        return {{"y": predicted(self.model, data["x"])}}


if __name__ == "__main__":
    sys.argv = ["mosec", "--port", "{port}", "--address", "127.0.0.1", "--log-level", "error"]
    server = Server()
    server.append_worker(Peer, num=2)
    server.run()
"""


def written(text, port, folder):
    """A peer that is a program of its own: its processes are spawned, and look for its class by name."""
    (folder / "peer.py").write_text(text.format(here=str(Path(__file__).parent), port=port))
    os.execv(sys.executable, [sys.executable, str(folder / "peer.py")])


BENTO = """
import os, sys
sys.path.insert(0, {here!r})
import bentoml
from serving import predicted, session


@bentoml.service(workers=2)
class Peer:
    def __init__(self):
        self.model = session(os.environ["MODEL"])

    @bentoml.api
    def predict(self, x: list[list[float]]) -> dict:
        return {{"y": predicted(self.model, x)}}
"""


def bentoml(port, folder):
    (folder / "peer.py").write_text(BENTO.format(here=str(Path(__file__).parent)))
    os.environ.update(BENTOML_DO_NOT_TRACK="True", BENTOML_HOME=str(folder))
    command = [sys.executable, "-m", "bentoml", "serve", "peer:Peer", "--port", str(port), "--working-dir", str(folder)]
    os.execv(sys.executable, [*command, "--quiet"])


MLFLOW = """
import sys
sys.path.insert(0, {here!r})
import mlflow
from serving import predicted, session


class Peer(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.model = session(context.artifacts["model"])

    def predict(self, context, model_input, params=None):
        return predicted(self.model, model_input)


mlflow.models.set_model(Peer())
"""


def mlflow(port, path, folder):
    import mlflow as library

    (folder / "peer.py").write_text(MLFLOW.format(here=str(Path(__file__).parent)))
    place = folder / "model"
    library.pyfunc.save_model(
        str(place), python_model=str(folder / "peer.py"), artifacts={"model": path}, pip_requirements=[]
    )
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(place), "-p", str(port), "-h", "127.0.0.1"]
    os.execv(sys.executable, [*command, "--env-manager", "local", "--workers", str(WORKERS)])


def main(peer, port, path, folder):
    os.environ["MODEL"] = path
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # some start programs by name
    if peer in ("bare", "fastapi"):
        uvicorn(f"{peer}_app", port)
    elif peer == "bentoml":
        bentoml(port, folder)
    elif peer == "mlflow":
        mlflow(port, path, folder)
    else:
        written({"litserve": LITSERVE, "mosec": MOSEC}[peer], port, folder)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
