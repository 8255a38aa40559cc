"""An exported release answers as volant does, in plain Python and in JavaScript."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import volant
from volant.errors import BadInput
from volant.release.plain import predict as plain
from volant.runtime.load import open_release
from volant.runtime.rows import answers, rows_to_batch
from volant.runtime.steps import STEPS
from volant.testing import handmade

KEPT = Path(__file__).parents[2] / "releases"
ROWS = [{"age": 50, "plan": "gold"}, {"age": None, "plan": None}, {"age": -1e300, "plan": "iron"}]
STUB = """
import { readFileSync } from "node:fs";
import { Model } from "./predict.mjs";
const model = await Model.load("./model/", {}, async (path) => readFileSync(path));
console.log(JSON.stringify(await model.predict(JSON.parse(process.argv[1]))));
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    product = handmade.make_served_product(tmp_path_factory.mktemp("product"))
    made = volant.open(product.folder).operations.export()
    return product, Path(made.folder), made.release


def expected(folder, rows):
    release = open_release(folder)
    batch, _ = rows_to_batch(rows, release.signature)
    return answers(release.predict(batch), release.signature)


def close(found, wanted) -> bool:
    flat = [one.get("probabilities", one) for one in found], [one.get("probabilities", one) for one in wanted]
    for got, right in zip(*flat, strict=True):
        assert got == pytest.approx(right, abs=1e-6)
    return [one.get("label") for one in found] == [one.get("label") for one in wanted]


def test_plain_python_answers_the_same_without_volant(exported):
    product, folder, digest = exported
    code = "import sys; sys.modules['volant'] = None; sys.argv = ['predict.py', sys.stdin.read()]; import runpy; "
    code += "runpy.run_path('predict.py', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, input=json.dumps(ROWS), capture_output=True, text=True, check=True
    )
    assert close(json.loads(done.stdout), expected(product.home / "candidates" / digest, ROWS))
    assert plain.Model(folder / "model").predict(json.loads((folder / "example.json").read_text())) == json.loads(
        (folder / "answer.json").read_text()
    )


def test_javascript_answers_the_same(exported):
    if shutil.which("node") is None:
        pytest.skip("there is no node here")
    product, folder, digest = exported
    command = ["node", "--input-type=module", "-e", STUB, json.dumps(ROWS)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert close(json.loads(done.stdout), expected(product.home / "candidates" / digest, ROWS))


@pytest.mark.parametrize("name", ["2-regress-intervals"])
def test_a_kept_release_runs_plainly(name):
    case = json.loads((KEPT / f"{name}.json").read_text())
    found = plain.Model(KEPT / name).predict(case["rows"])
    for got, right in zip(found, case["answers"], strict=True):
        assert got == pytest.approx(right, rel=1e-5)


def test_answers_that_are_personal_are_the_same_in_plain_clients(tmp_path):
    from volant.core.records import Pipeline, Step
    from volant.store import open_store

    *steps, decide = handmade.pipeline().steps
    params = {"values": ["basic", "gold"], "offsets": [[0.5, -0.5], [-1.0, 1.0]]}
    personal = Step("offset_by_group", ("probability", "plan"), "personal", params)
    decide = replace(decide, inputs=("personal",))
    product = handmade.make_product(tmp_path)
    whole = Pipeline((*steps, personal, decide), {"probability": "personal", "label": decide.output})
    with open_store(product.home) as store:
        handmade.promote(store, handmade.write_release(product.home, whole))
    made = volant.open(product.folder).operations.export()
    rows = [*ROWS, {"age": 40.0, "plan": "gold"}, {"age": 40.0, "plan": "basic"}, {"age": 40.0}]
    wanted = expected(product.home / "candidates" / made.release, rows)
    assert wanted[-3]["probabilities"]["yes"] > wanted[-1]["probabilities"]["yes"] > wanted[-2]["probabilities"]["yes"]
    assert close(plain.Model(Path(made.folder) / "model").predict(rows), wanted)
    if shutil.which("node") is not None:
        command = ["node", "--input-type=module", "-e", STUB, json.dumps(rows)]
        done = subprocess.run(command, cwd=made.folder, capture_output=True, text=True, check=True)
        assert close(json.loads(done.stdout), wanted)


def test_what_the_plain_clients_cannot_do_is_refused(tmp_path):
    from volant.core.records import Pipeline, Step

    usual = handmade.pipeline()
    waste = Step("hash_ngrams", ("plan",), "waste", {"size": 4, "low": 1, "high": 2})
    product = handmade.make_product(tmp_path)
    from volant.store import open_store

    with open_store(product.home) as store:
        handmade.promote(store, handmade.write_release(product.home, Pipeline((waste, *usual.steps), usual.outputs)))
    with pytest.raises(BadInput, match="plain clients cannot"):
        volant.open(product.folder).operations.export()
    assert not list(product.folder.glob("churn-*"))


def test_nothing_is_written_over(exported):
    product, folder, _ = exported
    with pytest.raises(BadInput, match="in use"):
        volant.open(product.folder).operations.export(out=folder)


def test_both_clients_know_the_same_steps_and_no_others():
    script = (Path(plain.__file__).parent / "predict.mjs").read_text()
    table = script[script.index("const STEPS = {") : script.index("\n};\n\nconst chunked")]
    known = {line.split(":")[0].strip() for line in table.splitlines() if line.startswith("  ") and line[2].isalpha()}
    assert {*known, "onnx"} == set(plain.STEPS) <= set(STEPS)
