"""A soak: twenty minutes at half of the most load, three hot swaps, a canary that is promoted and one that is refused.

The load comes from wrk, paced by delays; beside it a few clients look at what they are answered, and by which release.

Prints a JSON line a minute (requests, errors, megabytes) and one at the end with what must hold: no errors, memory flat
(a line through the second half rises by less than 5 % of its level), the canaries' ends, all rows in the ledger.
Exit status 1 where it does not hold.

    python bench/soak.py --minutes 20
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
from serving import TELLING, counted

from volant.core.records import Pipeline, Step
from volant.serve.top import family_of, memory_of
from volant.store import open_store
from volant.testing import handmade
from volant.testing.served import served

ROW = {"age": 50, "plan": "gold"}
CONNECTIONS, LOOKED_AT = 32, 50.0
"""Connections of wrk, and requests per second that are looked at beside."""
TEXT = (
    handmade.FILE_TEXT
    + """
[serve.watch]
window = "20s"
"""
)


class Load:
    """Clients that send requests at times that were set before, whatever the answers take: an open loop."""

    def __init__(self, url: str, rate: float, clients: int = 8) -> None:
        self.statuses: Counter[int] = Counter()
        self.releases: Counter[str] = Counter()
        self.late = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, args=(url, clients / rate, n / rate), daemon=True)
            for n in range(clients)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _work(self, url: str, every: float, offset: float) -> None:
        due, number = time.monotonic() + offset, 0
        with httpx.Client(base_url=url, timeout=60) as client:
            while not self._stop.is_set():
                if (wait := due - time.monotonic()) > 0:
                    time.sleep(wait)
                due, number = due + every, number + 1
                try:
                    answer = client.post("/v1/predict", json={"row": ROW, "subject": f"s{number % 997}"})
                    status, name = answer.status_code, answer.json().get("release", "")
                except httpx.HTTPError:
                    status, name = 0, ""
                with self._lock:
                    self.statuses[status] += 1
                    self.releases[name] += 1
                    self.late += due < time.monotonic() - 1.0


def script(folder: Path, pause: float) -> Path:
    """What wrk does: rows of a thousand subjects, and a pause of so many milliseconds on average between two."""
    head, tail = json.dumps({"row": ROW, "subject": "@"}).split("@")
    lua = f"""
wrk.headers["content-type"] = "application/json"
local n = 0
function request()
  n = n + 1
  return wrk.format("POST", nil, nil, '{head}s' .. (n % 997) .. '{tail}')
end
"""
    if pause:
        lua += f"function delay() return math.random(0, {max(round(2 * pause), 1)}) end\n"
    file = folder / f"load-{pause:.3f}.lua"
    file.write_text(lua + TELLING)
    return file


def wrk(url: str, folder: Path, seconds: float, pause: float = 0.0) -> subprocess.Popen:
    """So many connections of wrk for so many seconds."""
    connections, how_long = f"-c{CONNECTIONS}", f"-d{seconds:.0f}s"
    command = ["wrk", "-t1", connections, how_long, "-s", str(script(folder, pause)), url + "/v1/predict"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def told(running: subprocess.Popen) -> dict:
    """Requests, requests per second and errors, as wrk tells them at its end."""
    said = running.communicate()[0]
    requests, seconds, errors, _ = counted(said)
    return {"requests": requests, "per_second": round(requests / seconds, 1), "errors": errors}


def bad() -> Pipeline:
    """Gives no usable answer to its own example, so it is refused before it sees anybody."""
    return Pipeline(
        (
            Step("encode", ("age",), "code", {"vocabulary": [], "other": None}),
            Step("sigmoid_pair", ("code",), "probability"),
            Step("decide", ("probability",), "label", {"classes": ["no", "yes"]}),
        ),
        handmade.pipeline().outputs,
    )


def plan(store, home: Path) -> list:
    """What happens at which share of the time."""

    def swap(center: float):
        return lambda: handmade.promote(store, handmade.write_release(home, handmade.pipeline(center)))

    def canary(steps: Pipeline, after: float | None):
        def go() -> None:
            digest = handmade.write_release(home, steps)
            facts = {"share": 0.02 if after is None else 0.2, "policy": "canary", "promote_after": after}
            store.deploy(digest, "canary", "a soak", 1, store.champion().release, facts)

        return go

    return [
        (0.15, "swap", swap(50.0)),
        (0.30, "swap", swap(55.0)),
        (0.45, "canary", canary(handmade.pipeline(58.0), 30.0)),
        (0.65, "bad canary", canary(bad(), None)),
        (0.80, "swap", swap(60.0)),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        product = handmade.make_served_product(Path(folder), TEXT)
        with served(product.folder) as service, open_store(product.home) as store:
            most = told(wrk(service.url, Path(folder), 10))["per_second"]
            print(json.dumps({"row": "soak", "most_per_second": most, "minutes": options.minutes}), flush=True)
            time.sleep(3)
            before = store.counts()["predictions"]
            bulk = wrk(service.url, Path(folder), options.minutes * 60, 1e3 * CONNECTIONS / (most / 2))
            memory, load = soak(service, store, product.home, options.minutes * 60)
            bulk = {**told(bulk), "most_per_second": most}
            kinds = Counter(event.kind for event in store.deployments())
            time.sleep(3)
            rows = store.counts()["predictions"] - before
    return tell(memory, load, bulk, kinds, rows)


def soak(service, store, home: Path, seconds: float):
    memory, events = [], plan(store, home)
    begun = last = time.monotonic()
    with Load(service.url, LOOKED_AT) as load:
        while (passed := time.monotonic() - begun) < seconds:
            if events and passed > events[0][0] * seconds:
                _, name, go = events.pop(0)
                go()
                print(json.dumps({"at": round(passed), "event": name}), flush=True)
            memory.append((passed, sum(memory_of(pid) for pid in family_of(service.process.pid))))
            if time.monotonic() - last >= 60:
                last = time.monotonic()
                facts = {"at": round(passed), "statuses": dict(load.statuses), "memory_mb": round(memory[-1][1], 1)}
                print(json.dumps({**facts, "late": load.late}), flush=True)
            time.sleep(1.0)
    return memory, load


def tell(memory: list, load: Load, bulk: dict, kinds: Counter, rows: int) -> int:
    late = memory[len(memory) // 2 :]
    slope = statistics.linear_regression([at for at, _ in late], [mb for _, mb in late]).slope
    level = statistics.mean(mb for _, mb in late)
    rise = slope * (late[-1][0] - late[0][0]) / level
    facts = {
        "load": bulk,
        "looked_at": sum(load.statuses.values()),
        "statuses": dict(load.statuses),
        "memory_mb": round(level, 1),
        "memory_rise": round(rise, 4),
        "deployments": dict(kinds),
        "releases": dict(load.releases),
        "rows_in_ledger": rows,
        "late": load.late,
    }
    held = {
        "memory_flat": rise < 0.05,
        "no_errors": set(load.statuses) == {200} and not bulk["errors"],
        "bad_canary_ended": kinds["end"] >= 1,
        "good_canary_promoted": kinds["promote"] >= 5,
        "all_rows_logged": rows >= load.statuses[200] + bulk["requests"],
    }
    print(json.dumps({"row": "soak", **facts, **held}), flush=True)
    return int(not all(held.values()))


if __name__ == "__main__":
    sys.exit(main())
