"""A release opens as it was written, or is refused in our own words, whatever happened to its files."""

import copy
import json
import random
import shutil

import pytest

from volant.core.ids import file_digest, files_digest
from volant.errors import BadInput
from volant.runtime.load import open_release
from volant.testing import handmade

JUNK = (None, True, -1, 2**70, 1.5, "", "../x", "/etc/passwd", [], {}, [1], {"a": 1}, ["a", "b"])
FILES = ("manifest.json", "pipeline.json", "signature.json", "profile.json")


@pytest.fixture
def release(tmp_path):
    return tmp_path / "candidates" / handmade.write_release(tmp_path)


def signed(folder):
    """Make the manifest agree with the files, as whoever tampers with a release would."""
    record = json.loads((folder / "manifest.json").read_text())
    record["files"] = {name: file_digest(folder / name) for name in record["files"]}
    record["digest"] = files_digest({name: record["files"][name] for name in record["model"]})
    (folder / "manifest.json").write_text(json.dumps(record))
    return record["digest"]


def changed(folder, name, **values):
    record = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**record, **values}))


def code_of(folder, **options):
    with pytest.raises(BadInput) as refused:
        open_release(folder, **options)
    return refused.value.code


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["truncated", "gone", "a link", "a folder", "one byte more"])
def test_a_damaged_file_is_refused(release, name, damage, tmp_path):
    path = release / name
    content = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "a link":
        (tmp_path / "elsewhere").write_bytes(content + b" ")
        path.symlink_to(tmp_path / "elsewhere")
    elif damage == "a folder":
        path.mkdir()
    elif damage == "one byte more":
        path.write_bytes(content + b"x")
    assert code_of(release) == "artifact-damaged"


def test_a_release_under_the_name_of_another_is_refused(release, tmp_path):
    """What the gate let pass is named by its digest; other files in its place were never judged."""
    other = handmade.write_release(tmp_path, handmade.pipeline(99.0))
    shutil.rmtree(release)
    shutil.copytree(release.parent / other, release)
    assert open_release(release).digest == other
    assert code_of(release, digest=release.name) == "artifact-damaged"


@pytest.mark.parametrize("name", ["manifest.json", "pipeline.json"])
def test_a_newer_format_asks_for_a_newer_volant(release, name):
    changed(release, name, version=2)
    signed(release)
    assert code_of(release) == "artifact-version"


def test_an_unknown_step_is_named(release):
    steps = [{"op": "execute", "inputs": ["age"], "output": "probability", "params": {}, "file": None}]
    changed(release, "pipeline.json", steps=steps)
    signed(release)
    assert code_of(release) == "artifact-unknown-step"


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def mutated(value, rng):
    *inner, last = rng.choice([place for place in places(value) if place])
    value = copy.deepcopy(value)
    at = value
    for key in inner:
        at = at[key]
    if isinstance(at, dict) and rng.random() < 0.3:
        del at[last]
    else:
        at[last] = rng.choice(JUNK)
    return value


@pytest.mark.parametrize("name", FILES[:3])
def test_whatever_the_records_say_the_answer_is_a_release_or_a_refusal(release, name):
    rng = random.Random(name)
    before = {path: path.read_bytes() for path in release.iterdir()}
    for _ in range(150):
        for path, content in before.items():
            path.write_bytes(content)
        (release / name).write_text(json.dumps(mutated(json.loads(before[release / name]), rng)))
        if name != "manifest.json":
            signed(release)
        code = "artifact-fine"
        try:
            open_release(release)
        except BadInput as refused:
            code = refused.code
        assert code.startswith("artifact-")
