"""The eight simulations of the loop, each with its mark of `bench/marks.toml`. Prints a JSON line for each.

    python bench/simulations.py [peeking collusion position delay slice regression erasure load] [--share 0.1]

`--share` runs that part of the repeats. docs/explanation/simulations.md says what each of them is.
"""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
import threading
import time
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from scipy.stats import beta

import volant
from volant.store import open_store
from volant.testing.desk import OfficeDesk
from volant.testing.served import served
from volant.testing.simulate import Service
from volant.testing.trials import believing, judging, sleeping
from volant.wheel.context import work_on
from volant.wheel.erase import places_of
from volant.wheel.new import new

MARKS = tomllib.loads((Path(__file__).parent / "marks.toml").read_text())


def lowest(hits: int, repeats: int) -> float:
    """The lower Clopper–Pearson limit at 95 %, two-sided."""
    return 0.0 if hits == 0 else float(beta.ppf(0.025, hits, repeats - hits + 1))


def models() -> tuple[np.ndarray, np.ndarray]:
    """Whether two real models of handwritten digits are right on held-out pictures."""
    from sklearn.datasets import load_digits
    from sklearn.naive_bayes import GaussianNB
    from sklearn.tree import DecisionTreeClassifier

    x, y = load_digits(return_X_y=True)
    chance = np.random.default_rng(0).permutation(len(y))
    fit, held = chance[:900], chance[900:]
    made = [GaussianNB(), DecisionTreeClassifier(random_state=0)]
    return tuple(m.fit(x[fit], y[fit]).predict(x[held]) == y[held] for m in made)


def peeking(share: float) -> dict:
    mark = MARKS["peeking"]
    repeats = max(int(mark["repeats"] * share), 10)
    same = judging.peeking(repeats, mark["rows"], differ=mark["disagree"] / 0.75, gain=0.0, alpha=mark["alpha"])
    pictures = judging.peeking_at_models(*models(), repeats, mark["rows"], alpha=mark["alpha"])
    better = judging.peeking(repeats, mark["rows"], differ=mark["disagree"] / 0.75, gain=mark["gain"], alpha=0.05)
    lows = [lowest(one.hits, repeats) for one in (same, pictures)]
    power = better.hits / repeats
    return {
        "repeats": repeats,
        "false": same.hits,
        "false_on_pictures": pictures.hits,
        "low": max(lows),
        "power": power,
        "rows_median": float(np.median(better.rows)) if better.rows else None,
        "met": max(lows) <= mark["promoted_low"] and power >= mark["power"],
    }


def regression(share: float) -> dict:
    mark = MARKS["regression"]
    repeats = max(int(mark["repeats"] * share), 10)
    worse = judging.regression(repeats, mark["events"], loss=mark["loss"], differ=0.2, alpha=mark["alpha"])
    as_good = judging.regression(repeats, mark["events"], loss=0.0, differ=0.2, alpha=mark["alpha"])
    power, low = worse.hits / repeats, lowest(as_good.hits, repeats)
    median = float(np.median(worse.rows)) if worse.rows else None
    met = power >= mark["power"] and low <= mark["false_low"]
    return {"repeats": repeats, "power": power, "false": as_good.hits, "low": low, "events_median": median, "met": met}


def slice_(share: float) -> dict:
    mark = MARKS["slice"]
    repeats = max(int(mark["repeats"] * share), 5)
    harmed, clean = judging.hidden_slice(repeats, harm=0.15), judging.hidden_slice(repeats, harm=0.0)
    refused, promoted = harmed["refused"] / repeats, clean["passed"] / repeats
    met = refused >= mark["refused"] and promoted >= mark["promoted"]
    return {"repeats": repeats, "refused_with_name": refused, "promoted": promoted, "met": met}


def product(folder: Path, seed: int, extra: str = ""):
    """A product that knows 300 handwritten digits, and 1,000 more with their truth, and 400 that nobody sees."""
    from sklearn.datasets import load_digits

    folder.mkdir(parents=True)
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    names = [f"p{i}" for i in range(x.shape[1])]

    def table(rows):
        return pa.table({**{n: x[rows, i] for i, n in enumerate(names)}, "digit": [f"d{v}" for v in y[rows]]})

    pa.csv.write_csv(table(order[:300]), folder / "rows.csv")
    new("digits", str(folder / "rows.csv"), "digit", folder=folder / "product")
    file = folder / "product" / "volant.toml"
    settings = '\n[train]\nbudget = "2 units"\nthreads = 1\nlearners = ["linear"]\n'
    file.write_text(file.read_text() + settings + extra)
    return volant.open(folder / "product"), table(order[300:1300]), table(order[1300:1700])


def error(context, hidden) -> float:
    """The share of wrong answers of the champion on rows that nobody saw."""
    desk = OfficeDesk(context)
    rows = hidden.drop_columns(["digit"]).to_pylist()
    from volant.runtime.rows import answers, rows_to_batch

    batch, _ = rows_to_batch(rows, desk.release.signature)
    found = answers(desk.release.predict(batch), desk.release.signature)
    return float(np.mean([f["label"] != t for f, t in zip(found, hidden.column("digit").to_pylist(), strict=True)]))


def collusion(share: float) -> dict:
    mark = MARKS["collusion"]
    repeats = max(int(mark["repeats"] * share), 1)
    told = {"lies": 0, "alone": 0, "believed": 0, "changed": 0, "replays_kept": 0, "labels": 0}
    wrong, outcomes = 0, []
    for seed in range(repeats):
        with tempfile.TemporaryDirectory() as name:
            handle, traffic, hidden = product(Path(name) / "p", seed)
            handle.train()
            rows, truths = traffic.drop_columns(["digit"]).to_pylist(), traffic.column("digit").to_pylist()
            with work_on(handle.product) as context:
                before = error(context, hidden)
                found = believing.collusion(
                    context, rows, truths, actors=mark["actors"], colluding=mark["colluding"],
                    replays=int(mark["replays"]) if share >= 1 else 2000, voices=1 + seed % 3, seed=seed,
                )  # fmt: skip
            told = {key: told[key] + found[key] for key in told}
            turn = handle.improve()
            with work_on(handle.product) as context:
                after = error(context, hidden)
            outcomes.append(turn.outcome)
            wrong += turn.outcome == "promoted" and after > before + 0.02
    believed = told["believed"] / max(told["alone"], 1)
    met = wrong <= mark["wrong_promotions"] and told["changed"] <= mark["labels_changed"]
    met = met and believed <= mark["lies_accepted"] and told["replays_kept"] == 0
    promoted = outcomes.count("promoted")
    return {"repeats": repeats, **told, "wrong_promotions": wrong, "promoted": promoted, "met": met}


def sleepers(share: float) -> dict:
    """So many of the sleepers lie together about so many rows: four ways, in turn."""
    mark = MARKS["sleepers"]
    repeats, ways = max(int(mark["repeats"] * share), 4), ((6, 20), (2, 20), (6, 4), (3, 4))
    told: dict[str, int] = {}
    for seed in range(repeats):
        together, lies = ways[seed % 4]
        with tempfile.TemporaryDirectory() as name:
            handle, traffic, _ = product(Path(name) / "p", seed)
            handle.train()
            rows, truths = traffic.drop_columns(["digit"]).to_pylist(), traffic.column("digit").to_pylist()
            with work_on(handle.product) as context:
                found = sleeping.sleepers(
                    context, rows, truths, sleeping=mark["sleeping"], turns=mark["turns"],
                    together=together, lies=lies, seed=seed,
                )  # fmt: skip
        told = {key: told.get(key, 0) + count for key, count in found.items()}
    kept = told["used"] / max(told["used_without"], 1)
    met = told["believed"] <= mark["lies_believed"] * told["lies"] and kept >= mark["kept"]
    return {"repeats": repeats, **told, "kept": round(kept, 3), "met": met}


def position(share: float) -> dict:
    mark = MARKS["position"]
    found = believing.position(max(int(mark["repeats"] * share), 2), items=mark["items"])
    return {**found, "met": found["tau"] >= mark["tau"] and found["tau"] - found["naive"] >= mark["lead"]}


def delay(share: float) -> dict:
    mark = MARKS["delay"]
    found = believing.delay(max(int(mark["repeats"] * share), 2))
    met = found["error"] <= mark["rate_error"] and found["worst"] <= mark["worst_error"]
    return {**found, "met": met and found["naive"] >= mark["naive_error"]}


def erasure(share: float) -> dict:
    """A person with a canary in every column; a product that never saw them beside."""
    person, canary = "person-to-be-forgotten", "canary-8d41f"
    with tempfile.TemporaryDirectory() as name:
        made = [people(Path(name) / kind, person, canary, kind == "known") for kind in ("known", "never")]
        for handle in made:
            handle.train()
        known, never = made
        judged = len(known.history())
        with work_on(known.product) as context:
            desk = OfficeDesk(context)
            release = desk.release.digest
            log = context.store.prediction_log()
            told = {"size": 1.5, "note": f"{canary} writes", "shape": canary}
            output = {"label": "no", "probabilities": {"no": 0.6, "yes": 0.4}}
            from volant.store import PredictionRecord

            at = "2026-01-01T00:00:00.000000+00:00"
            facts = {"release": release, "at": at, "subject": person}
            log.append([PredictionRecord(id=f"e{i}", input=told, output=output, **facts) for i in range(20)])
            log.close()
            desk.send([
                {"prediction_id": f"e{i}", "kind": "correction", "value": "yes", "actor": person, "rationale": canary}
                for i in range(20)
            ])  # fmt: skip
            before = sides(context)
        known.export_feedback(known.product.home / "reports" / "export.csv")
        done = known.operations.erase(person)
        left = [place for word in (person, canary) for place in places_of(known.product.folder, word)]
        with work_on(known.product) as context:
            after = sides(context)
        moved = sum(after.get(key) != side for key, side in before.items() if key != person)
        differs = known.status().champion != never.status().champion
        anew = len(known.history()) > judged
    mark = MARKS["erasure"]
    met = len(left) <= mark["bytes_left"] and int(differs) <= mark["digests_differ"] and moved <= mark["rows_moved"]
    facts = {"bytes_left": left, "digests_differ": int(differs), "rows_moved": moved, "judged_anew": anew}
    return {**facts, "complete": done.complete, "met": met and done.complete and anew}


def people(folder: Path, person: str, canary: str, with_person: bool):
    """A product whose rows belong to people, with texts and categories."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(5)
    n = 900
    size = rng.normal(size=n).round(4)
    words = np.array(["early", "late", "blue", "green", "round"])
    rows = [
        {"who": f"somebody-{i // 3}", "size": size[i], "shape": f"s{rng.integers(5)}",
         "note": " ".join(rng.choice(words, 4)), "label": "yes" if size[i] + rng.normal() * 0.4 > 0 else "no"}
        for i in range(n)
    ]  # fmt: skip
    own = [{"who": person, "size": 0.1 * i, "shape": f"{canary}-{i % 2}", "note": f"{canary} says {i}", "label": "yes"}
           for i in range(14)]  # fmt: skip
    listed = rows[:400] + (own if with_person else []) + rows[400:]
    pa.csv.write_csv(pa.Table.from_pylist(listed), folder / "rows.csv")
    new("people", str(folder / "rows.csv"), "label", folder=folder / "product")
    file = folder / "product" / "volant.toml"
    roles = '\n[columns.who]\ntype = "id"\nrole = "subject"\n[columns.note]\ntype = "text"\n'
    text = file.read_text().split("[columns")[0]
    file.write_text(text + roles + '[train]\nbudget = "3 units"\nthreads = 1\nlearners = ["boosted_trees", "linear"]\n')
    return volant.open(folder / "product")


def sides(context) -> dict:
    from volant.wheel.collect import collect

    dataset = collect(context)
    return dict(zip(dataset.keys().tolist(), dataset.sides().tolist(), strict=True))


def load(share: float) -> dict:
    """Predictions and feedback from several callers, a sink that never answers, and `kill -9` in the middle."""
    mark, seconds = MARKS["load"], max(60 * share, 6.0)
    with tempfile.TemporaryDirectory() as name:
        handle, traffic, _ = product(Path(name) / "p", 0, '[notify]\nurl = "http://127.0.0.1:9/dead"\n')
        handle.train()
        rows = traffic.drop_columns(["digit"]).to_pylist()
        acknowledged: list[list[str]] = []
        growth = 0.0
        for _ in range(2):
            with served(handle.product.folder) as service:
                grown = hammer(service, rows, seconds / 2, acknowledged)
                growth = max(growth, grown)
                service.process.send_signal(signal.SIGKILL)
                service.process.wait()
            time.sleep(1.0)
        with open_store(handle.product.home) as store:
            counts = store.counts()
            kept = {row.idempotency_key for row in store.feedback_rows()}
            told = [row.idempotency_key for row in store.feedback_rows()]
        sent = [key for lot in acknowledged for key in lot]
    lost, twice = len(set(sent) - kept), len(told) - len(set(told))
    met = lost <= mark["rows_lost"] and twice <= mark["rows_twice"] and growth <= mark["memory_growth_mb"]
    facts = {"acknowledged": len(sent), "predictions": counts["predictions"], "lost": lost, "twice": twice}
    return {**facts, "memory_growth_mb": round(growth, 1), "met": met}


def hammer(service, rows, seconds: float, acknowledged: list[list[str]]) -> float:
    """Four callers for so many seconds; gives the megabytes by which the service grew after it had warmed up."""
    stop, number = threading.Event(), threading.Lock()

    def call(who: int) -> None:
        line, mine = Service(service.url), []
        acknowledged.append(mine)
        step = 0
        while not stop.is_set():
            try:
                found = line.predict(rows[step % 900 : step % 900 + 20])
                keys = [f"{who}-{id(mine)}-{step}-{i}" for i in range(len(found))]
                line.send([
                    {"prediction_id": one["id"], "kind": "confirmation", "value": True, "actor": f"user{who}",
                     "idempotency_key": key}
                    for one, key in zip(found, keys, strict=True)
                ])  # fmt: skip
                with number:
                    mine.extend(keys)
            except (ConnectionError, OSError):
                if not stop.is_set():
                    time.sleep(0.05)
            step += 1

    threads = [threading.Thread(target=call, args=(who,), daemon=True) for who in range(4)]
    for one in threads:
        one.start()
    time.sleep(seconds * 0.4)
    before = memory(service.process.pid)
    time.sleep(seconds * 0.6)
    grown = memory(service.process.pid) - before
    service.process.send_signal(signal.SIGKILL)
    stop.set()
    for one in threads:
        one.join(10)
    return grown


def memory(pid: int) -> float:
    """Resident megabytes of a process and its children."""
    total = 0.0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            text = (path / "status").read_text()
        except OSError:
            continue
        facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        if int(facts["Pid"]) == pid or int(facts["PPid"]) == pid:
            total += int(facts.get("VmRSS", "0 kB").split()[0]) / 1024
    return total


ALL = {
    "peeking": peeking,
    "collusion": collusion,
    "sleepers": sleepers,
    "position": position,
    "delay": delay,
    "slice": slice_,
    "regression": regression,
    "erasure": erasure,
    "load": load,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", default=list(ALL), help="Simulations; all by default.")
    parser.add_argument("--share", type=float, default=1.0)
    asked = parser.parse_args()
    for name in asked.which:
        begun = time.monotonic()
        found = ALL[name](asked.share)
        seconds = round(time.monotonic() - begun, 1)
        print(json.dumps({"bench": f"simulation {name}", **found, "mark": MARKS[name], "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
