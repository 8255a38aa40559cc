"""Seals: whose releases a service runs."""

from __future__ import annotations

import json
import stat

import pytest

from volant.cli.main import main
from volant.core.product import parse
from volant.errors import BadInput
from volant.runtime.seal import FILE, new_key, require_seal, write_seal
from volant.testing import handmade

pytest.importorskip("cryptography", reason="the extra `sign` is not installed")


@pytest.fixture
def folder(tmp_path):
    digest = handmade.write_release(tmp_path / "home")
    return tmp_path / "home" / "candidates" / digest


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key.pem"
    return path, new_key(path)


def unsigned(folder, signers) -> str:
    with pytest.raises(BadInput) as caught:
        require_seal(folder, signers)
    assert caught.value.code == "artifact-unsigned"
    return caught.value.what


def test_a_seal_holds_for_its_signer_alone(folder, key, tmp_path):
    path, signer = key
    other = new_key(tmp_path / "other.pem")
    assert "no seal" in unsigned(folder, [signer])
    assert write_seal(folder, path) == signer
    require_seal(folder, [other, signer])
    assert "somebody else" in unsigned(folder, [other])
    require_seal(folder, [])


def test_a_seal_does_not_outlive_a_change(folder, key):
    path, signer = key
    write_seal(folder, path)
    manifest = folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    assert "does not hold" in unsigned(folder, [signer])


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"version": 1}', '{"version": 2, "signer": "x", "seal": ""}', "\x80"], ids=repr
)
def test_what_is_no_seal_is_refused(folder, key, text):
    _, signer = key
    (folder / FILE).write_text(text)
    unsigned(folder, [signer])


def test_another_ones_name_on_a_seal_does_not_help(folder, key, tmp_path):
    _, signer = key
    mine = tmp_path / "mine.pem"
    new_key(mine)
    write_seal(folder, mine)
    record = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps({**record, "signer": signer}))
    assert "does not hold" in unsigned(folder, [signer])


def test_a_key_is_for_its_owner_alone_and_never_written_over(key):
    path, signer = key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert signer.startswith("ed25519:")
    with pytest.raises(BadInput, match="such a file already"):
        new_key(path)


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN PRIVATE KEY-----\nMAo=\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_told(folder, tmp_path, text):
    path = tmp_path / "bad.pem"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        write_seal(folder, path)
    assert caught.value.code == "seal-invalid"


@pytest.mark.parametrize("signer", ["", "ed25519:", "ed25519:AAAA", "rsa:" + "A" * 43 + "="])
def test_a_signer_that_is_no_key_is_an_error_of_the_file(signer):
    with pytest.raises(BadInput, match="one problem"):
        parse(handmade.FILE_TEXT + f'[sign]\nsigners = ["{signer}"]\n')


def test_the_command_makes_keys_and_seals(tmp_path, capsys):
    product = handmade.make_served_product(tmp_path / "product")
    path = tmp_path / "new.pem"
    assert main(["--json", "sign", "--new", str(path)]) == 0
    signer = json.loads(capsys.readouterr().out)["signer"]
    assert main(["-C", str(product.folder), "sign"]) == 2
    assert "no key to seal with" in capsys.readouterr().err
    assert main(["-C", str(product.folder), "--json", "sign", "--key", str(path)]) == 0
    sealed = json.loads(capsys.readouterr().out)
    assert sealed["signer"] == signer
    require_seal(product.home / "candidates" / sealed["release"], [signer])
    assert main(["-C", str(product.folder), "--json", "audit"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"][-1]["action"] == "release.sign"
