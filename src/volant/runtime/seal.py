"""Seals: signatures of releases, so that a service can insist on whose releases it runs.

A seal lies beside the manifest and signs its bytes; the manifest names the digest of every other file, so a seal
vouches for all of them. Ed25519 from the library `cryptography`, which comes with the extra `sign`.

Source: RFC 8032.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from volant.errors import BadInput, VolantError

FILE = "seal.json"
SCHEME = "ed25519:"
_VERSION = 1
_CONTEXT = b"volant release seal 1\x00"
_PUBLIC_BYTES, _SEAL_BYTES = 32, 64


def new_key(path: Path) -> str:
    """Write a new private key into a file that only its owner may read; gives the public key.

    Raises:
        BadInput: codes `usage` (the file exists already), `extra-missing`.
    """
    ed25519, serialization = _library()
    key = ed25519.Ed25519PrivateKey.generate()
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        fix = "name another file; a key that signed releases should not be lost"
        raise BadInput("there is such a file already", code="usage", where=str(path), fix=fix) from None
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(text)
    return _public_text(key)


def write_seal(folder: Path, key_file: Path) -> str:
    """Seal the release in `folder` with a private key; gives the public key that proves it.

    Raises:
        BadInput: codes `seal-invalid` (the key cannot be used), `artifact-damaged`, `extra-missing`.
    """
    key = _private(key_file)
    signer = _public_text(key)
    seal = base64.b64encode(key.sign(_message(folder))).decode()
    record = {"version": _VERSION, "signer": signer, "seal": seal}
    fresh = folder / f"{FILE}.writing"
    fresh.write_text(json.dumps(record, indent=2) + "\n")
    fresh.replace(folder / FILE)
    return signer


def require_seal(folder: Path, signers: Sequence[str]) -> None:
    """Insist that one of `signers` sealed the release in `folder`; without signers, anything goes.

    Raises:
        BadInput: codes `artifact-unsigned`, `extra-missing`.
    """
    if not signers:
        return
    ed25519, _ = _library()
    try:
        signer, seal = _read(folder)
        if signer not in signers:
            raise _unsigned(folder, "it is sealed by somebody else", signer)
        ed25519.Ed25519PublicKey.from_public_bytes(public_bytes(signer)).verify(seal, _message(folder))
    except FileNotFoundError:
        raise _unsigned(folder, "it has no seal") from None
    except VolantError:
        raise
    except Exception:  # the library has an exception of its own for a seal that does not hold
        raise _unsigned(folder, "its seal does not hold") from None


def public_bytes(text: str) -> bytes:
    """The bytes of a public key as it stands in a product file.

    Raises:
        ValueError: it is none.
    """
    try:
        key = base64.b64decode(text.removeprefix(SCHEME).encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        key = b""
    if not text.startswith(SCHEME) or len(key) != _PUBLIC_BYTES:
        raise ValueError(f'a public key looks like "{SCHEME}" and 44 letters, as `volant sign --new FILE` prints it')
    return key


def _read(folder: Path) -> tuple[str, bytes]:
    path = folder / FILE
    if path.is_symlink():
        raise ValueError("a seal is a file")
    found = json.loads(path.read_bytes())
    seal = base64.b64decode(found["seal"], validate=True)
    if found["version"] != _VERSION or len(seal) != _SEAL_BYTES:
        raise ValueError("not a seal of this version")
    return str(found["signer"]), seal


def _message(folder: Path) -> bytes:
    return _CONTEXT + (folder / "manifest.json").read_bytes()


def _private(path: Path) -> Any:
    ed25519, serialization = _library()
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as cause:
        raise _unusable(path, type(cause).__name__) from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise _unusable(path, type(key).__name__)
    return key


def _unusable(path: Path, got: str) -> BadInput:
    fix = "name a PEM file with an Ed25519 key without a password; `volant sign --new FILE` makes one"
    return BadInput(
        "the key that seals releases cannot be used", code="seal-invalid", where=str(path), got=got, fix=fix
    )


def _public_text(key: Any) -> str:
    _, serialization = _library()
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return SCHEME + base64.b64encode(raw).decode()


def _unsigned(folder: Path, why: str, got: str | None = None) -> BadInput:
    fix = "seal it with `volant sign`, or take the signers out of the product file"
    what = f"a release is not sealed as the product file asks: {why}"
    return BadInput(what, code="artifact-unsigned", where=folder.name, got=got, fix=fix)


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        fix = "pip install 'volant[sign]'"
        raise BadInput("seals need the library cryptography", code="extra-missing", fix=fix) from None
    return ed25519, serialization
