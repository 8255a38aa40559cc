"""40 to 50: releases that are not what they should be. Nothing in them runs, and the old release serves on."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import pickle
import shutil
import struct
import tarfile
import time
import zipfile

import httpx
import numpy as np
import pytest

from volant.core.ids import file_digest, files_digest
from volant.core.records import Field, Pipeline, Signature, Step
from volant.errors import VolantError
from volant.serve.slot import load
from volant.store import open_store
from volant.testing import handmade
from volant.testing.served import served

NUMBERS = itertools.count()
ROW = {"age": 50, "plan": "gold"}


class Touches:
    """Unpickled, it writes a file: proof that something was executed."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    product = handmade.make_served_product(tmp_path_factory.mktemp("artifacts"))
    with served(product.folder, "--workers", "1") as running, open_store(product.home) as store:
        running.product, running.store = product, store
        running.good = store.champion().release
        yield running


@pytest.fixture
def trap(tmp_path):
    return tmp_path / "executed"


def onnx_step(name="model.onnx", output="y"):
    usual = handmade.pipeline()
    step = Step("onnx", ("number",), "margin", {"output": output}, file=name)
    before = Step("stack", ("raw",), "number")
    return Pipeline((Step("float", ("age",), "raw"), before, step, *usual.steps[3:]), usual.outputs)


def linear_model(**more) -> bytes:
    """y = x, as ONNX."""
    from onnx import TensorProto, helper, numpy_helper

    weight = more.get("weight", numpy_helper.from_array(np.eye(1, dtype=np.float32), "w"))
    node = helper.make_node(more.get("op", "MatMul"), ["x", "w"], ["y"], domain=more.get("domain", ""))
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, 1]) for n in "xy")
    opsets = [helper.make_opsetid("", 20), *([helper.make_opsetid(more["domain"], 1)] if "domain" in more else [])]
    graph = helper.make_graph([node], "g", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def bare(home, steps: Pipeline, contract=None) -> str:
    """A release without model files, unlike any other."""
    salt = Step("constant", ("age",), "salt", {"value": [next(NUMBERS)]})
    return handmade.write_release(home, Pipeline((salt, *steps.steps), steps.outputs), contract)


def write(home, steps: Pipeline, files: dict[str, bytes], contract=None) -> str:
    """A release with model files, whose manifest is right."""
    digest = bare(home, steps, contract)
    folder = home / "candidates" / digest
    for name, data in files.items():
        (folder / name).write_bytes(data)
    model = ["pipeline.json", "signature.json", *files]
    every = {path.name: file_digest(path) for path in sorted(folder.iterdir()) if path.name != "manifest.json"}
    digest = files_digest({name: every[name] for name in model})
    manifest = {"version": 1, "digest": digest, "model": model, "files": every}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    folder.rename(home / "candidates" / digest)
    return digest


def test_a_sound_release_with_a_model_file_is_served(service):
    """So that what is refused below is refused for what is wrong with it."""
    digest = write(service.product.home, onnx_step(), {"model.onnx": linear_model()})
    handmade.promote(service.store, digest)
    answers_by(service, digest)
    handmade.promote(service.store, service.good)
    answers_by(service, service.good)


def answers_by(service, digest) -> None:
    until = time.monotonic() + 60
    while True:
        answer = httpx.post(service.url + "/v1/predict", json={"row": ROW}, timeout=60)
        assert answer.status_code == 200, "the service answers all the time"
        if answer.json()["release"] == digest[:12]:
            return
        assert time.monotonic() < until
        time.sleep(0.05)


def refused(service, digest, trap=None) -> None:
    """The release is not served, the old one is, and the history says so."""
    before = outside(service)
    with pytest.raises(VolantError) as caught:
        load(service.product.home / "candidates" / digest, digest)
    assert caught.value.code.startswith("artifact-")
    handmade.promote(service.store, digest)
    until = time.monotonic() + 60
    while service.store.champion().release != service.good:
        assert httpx.post(service.url + "/v1/predict", json={"row": ROW}, timeout=60).status_code == 200
        assert time.monotonic() < until
        time.sleep(0.05)
    back = service.store.deployments()[-1]
    assert (back.kind, back.previous) == ("rollback", digest)
    answers_by(service, service.good)
    assert trap is None or not trap.exists(), "something was executed"
    assert outside(service) == before, "something was written outside of the store"


def outside(service) -> set[str]:
    folder = service.product.folder
    return {path.name for path in (*folder.iterdir(), *folder.parent.iterdir())}


@pytest.mark.parametrize("how", ["pickle", "gzip", "joblib"])
def test_40_and_41_a_pickle_whatever_it_is_called(service, trap, how):
    data = pickle.dumps(Touches(trap))
    data = gzip.compress(data) if how == "gzip" else data
    name = {"pickle": "model.onnx", "gzip": "model.onnx", "joblib": "model.joblib"}[how]
    refused(service, write(service.product.home, onnx_step(name), {name: data}), trap)


@pytest.mark.parametrize("file", ["pipeline.json", "signature.json"])
def test_41_a_pickle_in_the_place_of_a_description(service, trap, file):
    digest = write(service.product.home, handmade.pipeline(61.0), {})
    folder = service.product.home / "candidates" / digest
    (folder / file).write_bytes(pickle.dumps(Touches(trap)))
    refused(service, digest, trap)


@pytest.mark.parametrize("name", ["../../stolen.onnx", "/etc/passwd", "a/../../../x"])
def test_42_a_name_that_leads_out(service, name):
    digest = bare(service.product.home, onnx_step(name))
    refused(service, digest)


@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_42_links(service, tmp_path, kind):
    secret = tmp_path / "secret"
    secret.write_bytes(linear_model())
    digest = write(service.product.home, onnx_step(), {"model.onnx": linear_model()})
    file = service.product.home / "candidates" / digest / "model.onnx"
    file.unlink()
    if kind == "symlink":
        file.symlink_to(secret)
    else:
        os.link(secret, file)
        secret.write_bytes(secret.read_bytes() + b"\x00")
    refused(service, digest)
    shutil.rmtree(file.parent)


def archive(kind) -> bytes:
    sink = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("../../slipped", bytes(50_000_000))
    else:
        with tarfile.open(fileobj=sink, mode="w:gz") as made:
            head = tarfile.TarInfo("../../slipped")
            head.size = 50_000_000
            made.addfile(head, io.BytesIO(bytes(50_000_000)))
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_42_and_43_archives_are_never_unpacked(service, kind):
    refused(service, write(service.product.home, onnx_step(), {"model.onnx": archive(kind)}))


def safetensors(header: dict, size: int | None = None, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


BAD_TENSORS = {
    "a huge header": safetensors({}, size=2**62),
    "overlapping offsets": safetensors(
        {n: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for n in "ab"}, data=bytes(8)
    ),
    "a shape that overflows": safetensors(
        {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}}, data=bytes(8)
    ),
}


@pytest.mark.parametrize("name", BAD_TENSORS)
def test_44_safetensors(service, tmp_path, name):
    """No step of a release reads this format so far: the reader refuses it, and as a model file it is none."""
    from safetensors import SafetensorError, safe_open

    path = tmp_path / "x.safetensors"
    path.write_bytes(BAD_TENSORS[name])
    with pytest.raises(SafetensorError), safe_open(path, "np") as found:
        found.get_tensor("a")
    refused(service, write(service.product.home, onnx_step(), {"model.onnx": BAD_TENSORS[name]}))


@pytest.mark.parametrize("place", ["../../../secret", "weights"])
def test_45_external_data(service, tmp_path, place):
    """The weights of a model lie in the model: a path, or a link beside it, leads nowhere."""
    from onnx import TensorProto

    weight = TensorProto(name="w", dims=[1, 1], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=place)
    digest = write(service.product.home, onnx_step(), {"model.onnx": linear_model(weight=weight)})
    secret = tmp_path / "secret"
    secret.write_bytes(struct.pack("<f", 1.0))
    link = service.product.home / "candidates" / digest / "weights"
    link.symlink_to(secret)
    refused(service, digest)


def test_46_custom_operators(service):
    model = linear_model(op="Evil", domain="com.evil")
    refused(service, write(service.product.home, onnx_step(), {"model.onnx": model, "custom_ops.so": b"\x7fELF"}))


@pytest.mark.parametrize("op", ["load_library", "python", "onnx; import os"])
def test_46_steps_that_there_are_not(service, op):
    steps = Pipeline((Step(op, ("age",), "probability", {"path": "x.so"}),), {"probability": "probability"})
    refused(service, bare(service.product.home, steps))


def test_47_another_hash(service):
    digest = write(service.product.home, onnx_step(), {"model.onnx": linear_model()})
    file = service.product.home / "candidates" / digest / "model.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    refused(service, digest)
    shutil.rmtree(file.parent)


def test_48_truncated(service):
    model = linear_model()
    refused(service, write(service.product.home, onnx_step(), {"model.onnx": model[: len(model) // 2]}))


def test_49_nan_weights(service):
    from onnx import numpy_helper

    weight = numpy_helper.from_array(np.full((1, 1), np.nan, dtype=np.float32), "w")
    refused(service, write(service.product.home, onnx_step(), {"model.onnx": linear_model(weight=weight)}))


def test_50_another_signature_under_the_same_contract(service):
    """Callers go by the contract's number: what it stands for must not change behind it."""
    changed = Signature("classify", "churned", (Field("age", "text", True, "old"),), (), ("no", "yes"), 1)
    steps = Pipeline(
        (
            Step("constant", ("age",), "probability", {"value": [0.5, 0.5]}),
            Step("decide", ("probability",), "label", {"classes": ["no", "yes"]}),
        ),
        {"probability": "probability", "label": "label"},
    )
    digest = bare(service.product.home, steps, changed)
    handmade.promote(service.store, digest)
    until = time.monotonic() + 60
    while service.store.champion().release != service.good:
        assert time.monotonic() < until
        time.sleep(0.05)
    answers_by(service, service.good)
    assert "under the same contract" in service.store.deployments()[-1].reason
