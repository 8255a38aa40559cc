"""Row 21 of the performance board: requests per second over HTTP beside other servers, the same ONNX model in each.

Prints a JSON line per server and number of connections: requests per second (median of the repeats and its 95 %
bootstrap interval), errors, p50, p99 and p99.9 as wrk saw them, seconds from the start of the process to the first
answer, megabytes (proportional set size of all its processes, after the load). Volant logs every prediction; the peers
log nothing. The servers take turns, forwards and backwards. The last lines give volant's ratios.

Two loads. Closed: each of wrk's connections sends when it was answered, which tells how much a server can do. Open
(`bench/arrivals.py`): requests arrive at a fixed rate whatever becomes of those before them, and their latency counts
from the moment for which they were planned, so that a server that stalls cannot hide who had to wait.

Peers come from an environment of their own: VOLANT_PEERS names its interpreter (bentoml litserve mosec mlflow fastapi
uvicorn uvloop httptools msgspec onnxruntime); without it only volant is measured. `--layout split` (by default where
there are two cores or more) pins server and load to cores of their own, `shared` gives both all cores.

    VOLANT_PEERS=/tmp/peers/env/bin/python python bench/serving.py --seconds 5 --repeats 5
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from volant.bind.onnx import LESS_OR_EQUAL, Trees, trees_model
from volant.core.ids import file_digest, files_digest
from volant.core.records import Field, Pipeline, Signature, Step
from volant.serve.top import family_of, memory_of
from volant.store import open_store
from volant.testing import handmade
from volant.testing.served import served

PEERS = ("bare", "fastapi", "litserve", "bentoml", "mosec", "mlflow")
PATHS = {"bare": "/", "mosec": "/inference", "mlflow": "/invocations"}
WIDTH, TREES, DEPTH = 10, 50, 4
CORES = sorted(os.sched_getaffinity(0))
TELLING = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout + e.status,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""
"""Has wrk say in one line what it counted; see `counted`."""
LUA = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = io.open("{body}"):read("*a")
"""
LUA += TELLING


def say(**facts) -> None:
    print(json.dumps(facts), flush=True)


# ---------------------------------------------------------------- the model


def grow(trees: Trees, chance: random.Random, depth: int) -> tuple[int, bool]:
    if depth == 0:
        return trees.add_leaf(0, chance.uniform(-0.1, 0.1)), True
    node = trees.add_node(chance.randrange(WIDTH), LESS_OR_EQUAL, chance.uniform(-1, 1), True)
    for on_true in (True, False):
        child, is_leaf = grow(trees, chance, depth - 1)
        trees.set_child(node, on_true, child, is_leaf)
    return node, False


def model() -> bytes:
    """A small ensemble of trees: x (n, 10) to the margin y (n, 1)."""
    trees, chance = Trees(WIDTH, 1), random.Random(0)
    for _ in range(TREES):
        trees.roots.append(grow(trees, chance, DEPTH)[0])
    return trees_model(trees)


def product(folder: Path, data: bytes) -> Path:
    """A product that serves the model: ten numbers in, a class out."""
    names = [f"x{i}" for i in range(WIDTH)]
    steps = [Step("float", (name,), f"f{name}") for name in names]
    steps += [
        Step("stack", tuple(f"f{name}" for name in names), "x"),
        Step("onnx", ("x",), "margin", {"output": "y"}, file="model.onnx"),
        Step("sigmoid_pair", ("margin",), "probability"),
        Step("decide", ("probability",), "label", {"classes": ["no", "yes"]}),
    ]
    outputs = {"probability": "probability", "label": "label"}
    inputs = tuple(Field(name, "number", True, 0.5) for name in names)
    signature = Signature("classify", "churned", inputs, (Field("label", "category"),), ("no", "yes"))
    made = handmade.make_product(folder)
    digest = handmade.write_release(made.home, Pipeline(tuple(steps), outputs), signature)
    place = made.home / "candidates" / digest
    (place / "model.onnx").write_bytes(data)
    files = {path.name: file_digest(path) for path in sorted(place.iterdir()) if path.name != "manifest.json"}
    listed = ["pipeline.json", "signature.json", "model.onnx"]
    digest = files_digest({name: files[name] for name in listed})
    manifest = {"version": 1, "digest": digest, "model": listed, "files": files}
    (place / "manifest.json").write_text(json.dumps(manifest))
    place.rename(made.home / "candidates" / digest)
    with open_store(made.home) as store:
        handmade.promote(store, digest)
    return made.folder


# ---------------------------------------------------------------- servers


@dataclass
class Server:
    """A server that runs: where, since when, and its processes."""

    url: str
    pid: int
    cold: float = 0.0


def body_for(name: str) -> bytes:
    numbers = [0.5] * WIDTH
    if name == "volant":
        return json.dumps({"row": {f"x{i}": 0.5 for i in range(WIDTH)}}).encode()
    return json.dumps({"inputs" if name == "mlflow" else "x": [numbers]}).encode()


def answers(url: str, body: bytes) -> bool:
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def wait_for(server: Server, name: str, begun: float, patience: float = 120.0) -> Server:
    body = body_for(name)
    while not answers(server.url, body):
        if time.monotonic() - begun > patience:
            raise TimeoutError(f"{name} does not answer")
        time.sleep(0.02)
    server.cold = time.monotonic() - begun
    return server


@contextmanager
def volant(folder: Path, cores: list[int]) -> Iterator[Server]:
    begun = time.monotonic()
    with served(folder, "--workers", str(len(cores)), pinned=cores) as service:
        yield wait_for(Server(service.url + "/v1/predict", service.process.pid), "volant", begun)


@contextmanager
def peer(name: str, onnx: Path, cores: list[int]) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = Path(__file__).parent / "peers" / "serving.py"
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, (Path(folder) / "said").open("wb") as said:
        command = ["taskset", "-c", ",".join(map(str, cores)), os.environ["VOLANT_PEERS"], script]
        process = subprocess.Popen(
            [*command, name, str(port), onnx, folder], stdout=said, stderr=said, start_new_session=True
        )
        try:
            url = f"http://127.0.0.1:{port}{PATHS.get(name, '/predict')}"
            yield wait_for(Server(url, process.pid), name, begun)
        except TimeoutError:
            raise RuntimeError((Path(folder) / "said").read_text()[-2000:]) from None
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(10)


# ---------------------------------------------------------------- load


@dataclass
class Found:
    """What was seen of one server under one load."""

    rates: list[float] = field(default_factory=list)
    errors: int = 0
    times: list[tuple[float, float, float]] = field(default_factory=list)


@dataclass
class Arrived:
    """What was seen of one server under requests that arrive at a fixed rate, once per repeat."""

    facts: list[dict[str, float]] = field(default_factory=list)


def load(
    server: Server, name: str, connections: int, seconds: float, cores: list[int]
) -> tuple[float, int, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder) / "body", Path(folder) / "post.lua"
        body.write_bytes(body_for(name))
        script.write_text(LUA.format(body=body))
        command = ["taskset", "-c", ",".join(map(str, cores)), "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s"]
        said = subprocess.run([*command, "-s", script, server.url], capture_output=True, text=True, check=True).stdout
    requests, took, errors, times = counted(said)
    return (requests - errors) / took, errors, times


def counted(said: str) -> tuple[int, float, int, list[float]]:
    """What wrk counted: requests, seconds, errors, and milliseconds at p50, p99 and p99.9."""
    requests, micros, errors, *times = map(int, re.findall(r"RESULT (.*)", said)[0].split())
    return requests, micros / 1e6, errors, [time_us / 1000 for time_us in times]


def arrivals(server: Server, name: str, rate: float, seconds: float, cores: list[int]) -> dict[str, float]:
    """What an open load at this rate sees."""
    script = Path(__file__).parent / "arrivals.py"
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        body.write_bytes(body_for(name))
        command = ["taskset", "-c", ",".join(map(str, cores)), sys.executable, script, server.url, body]
        options = [f"--rate={rate:g}", f"--seconds={seconds:g}"]
        said = subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout
    return json.loads(said)


def interval(values: list[float]) -> list[float]:
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(2000))
    return [round(medians[49], 3), round(medians[1949], 3)]


def run(name: str, start, loads, seen: dict, cores: list[int], options) -> None:
    """Start a server, warm it up, and put it under each load once."""
    with start() as server:
        load(server, name, 8, 1.0, cores)
        for connections in loads:
            rate, errors, times = load(server, name, connections, options.seconds, cores)
            found = seen.setdefault((name, connections), Found())
            found.rates.append(rate)
            found.errors += errors
            found.times.append(tuple(times))
        for rate in options.rates:
            arrived = seen.setdefault((name, "open", rate), Arrived())
            arrived.facts.append(arrivals(server, name, rate, options.seconds, cores))
        memory = sum(memory_of(pid) for pid in family_of(server.pid))
        seen.setdefault((name, "start"), []).append((server.cold, memory))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds per measurement")
    parser.add_argument("--repeats", type=int, default=5, help="repeats; each starts every server once")
    layouts = ("shared", "split")
    parser.add_argument("--layout", choices=layouts, default=layouts[len(CORES) > 1], help="who has which cores")
    parser.add_argument("--rates", type=float, nargs="*", default=[100.0, 1000.0], help="arrivals per second")
    parser.add_argument("--only", nargs="*", default=None, help="servers to measure besides volant")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        say(row="serving", no_data="wrk is not installed")
        return
    servers, clients = (CORES, CORES) if options.layout == "shared" else (CORES[:-1], CORES[-1:])
    wanted = PEERS if options.only is None else tuple(options.only)
    names = ("volant", *wanted) if os.environ.get("VOLANT_PEERS") else ("volant",)
    say(
        row="machine",
        cores=len(CORES),
        load=os.getloadavg()[0],
        layout=options.layout,
        server_cores=servers,
        load_cores=clients,
        seconds=options.seconds,
    )
    seen: dict = {}
    with tempfile.TemporaryDirectory() as folder:
        onnx = Path(folder) / "model.onnx"
        onnx.write_bytes(model())
        place = product(Path(folder) / "product", onnx.read_bytes())
        for turn in range(options.repeats):
            for name in names if turn % 2 == 0 else reversed(names):
                start = (
                    (lambda: volant(place, servers)) if name == "volant" else (lambda n=name: peer(n, onnx, servers))
                )
                try:
                    run(name, start, (1, 32), seen, clients, options)
                except RuntimeError as error:
                    say(row=f"serving, {name}", no_data=str(error)[-500:])
        with open_store(Path(folder) / "product" / ".volant") as store:
            say(row="kept", predictions=store.counts()["predictions"])
    tell(names, seen)
    tell_open(names, seen, options.rates)


def tell(names, seen: dict) -> None:
    for name in names:
        for connections in (1, 32):
            found = seen.get((name, connections))
            if found is None:
                continue
            p50, p99, p999 = (statistics.median(times[k] for times in found.times) for k in range(3))
            cold, memory = (statistics.median(one[k] for one in seen[name, "start"]) for k in range(2))
            say(
                row=f"serving, {name}, {connections} connections",
                requests_per_second=round(statistics.median(found.rates)),
                interval_95=interval(found.rates),
                errors=found.errors,
                p50_ms=round(p50, 3),
                p99_ms=round(p99, 3),
                p999_ms=round(p999, 3),
                cold_start_s=round(cold, 2),
                memory_mb=round(memory),
            )
    ours = seen.get(("volant", 32))
    for name in names[1:]:
        theirs = seen.get((name, 32))
        if ours is not None and theirs is not None:
            ratios = [a / b for a, b in zip(ours.rates, theirs.rates, strict=False)]
            say(
                row=f"volant / {name}, 32 connections",
                ratio=round(statistics.median(ratios), 2),
                interval_95=interval(ratios),
            )


def tell_open(names, seen: dict, rates: list[float]) -> None:
    for name in names:
        for rate in rates:
            arrived = seen.get((name, "open", rate))
            if arrived is None:
                continue
            kept = ("answered_per_second", "p50_ms", "p99_ms", "p999_ms", "late_ms")
            found = {key: [one[key] for one in arrived.facts if one[key] is not None] for key in kept}
            say(
                row=f"serving, {name}, {rate:g} arrivals a second",
                errors=sum(one["errors"] for one in arrived.facts),
                **{key: round(statistics.median(values), 3) for key, values in found.items() if values},
                p99_interval_95=interval(found["p99_ms"]),
            )


if __name__ == "__main__":
    sys.exit(main())
