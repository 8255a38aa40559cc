"""Sealing releases, so that services which insist on seals run them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from volant.errors import BadInput
from volant.runtime.load import verify
from volant.runtime.seal import write_seal
from volant.wheel.context import Context
from volant.wheel.results import Sealed

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def sign(context: Context, release: str | None = None, key: Path | None = None) -> Sealed:
    """Seal a release, by default the champion, with a key, by default that of the product file.

    Every file is compared with the manifest first: what is damaged is not vouched for.

    Raises:
        BadInput: codes `usage` (no key is named), `no-release`, `no-candidate`, `seal-invalid`, `artifact-…`.
    """
    path = key or key_of(context)
    if path is None:
        fix = "name one with --key, or write sign.key into volant.toml; `volant sign --new FILE` makes one"
        raise BadInput("there is no key to seal with", code="usage", fix=fix)
    digest = _digest(context, release)
    folder = context.folder("candidates") / digest
    verify(folder)
    signer = write_seal(folder, path)
    context.store.note("release.sign", digest, {"signer": signer})
    return Sealed(digest, signer)


def seal_if_asked(context: Context, digest: str) -> None:
    """Seal what the gate lets pass, where the product file names a key."""
    path = key_of(context)
    if path is not None:
        signer = write_seal(context.folder("candidates") / digest, path)
        context.store.note("release.sign", digest, {"signer": signer})


def key_of(context: Context) -> Path | None:
    """The file of the private key that the product file names.

    Raises:
        BadInput: code `seal-invalid`: it stands in the environment, and that has no such variable.
    """
    named = context.product.file.sign.key
    if named is None:
        return None
    reference = _REFERENCE.fullmatch(named.strip())
    path = os.environ.get(reference[1], "") if reference else named
    if not path.strip():
        fix = f"set the environment variable {reference[1]}" if reference else "name a file, or remove the line"
        where = "volant.toml, sign.key"
        raise BadInput("the key that seals releases is not named", code="seal-invalid", where=where, fix=fix)
    return context.product.folder / path.strip()


def _digest(context: Context, release: str | None) -> str:
    if release is not None:
        return context.store.candidate(release).digest
    champion = context.store.champion()
    if champion is None:
        fix = "run `volant train`: what passes the gate is a release"
        raise BadInput("there is no release to seal yet", code="no-release", fix=fix)
    return champion.release
