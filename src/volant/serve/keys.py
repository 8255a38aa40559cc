"""The key that whoever changes something must show."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
from collections.abc import Mapping

from volant.errors import BadInput
from volant.serve.problems import HttpError

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Guard:
    """Compares a request's key with the configured one, in a time that tells nothing. Without a key all may pass."""

    def __init__(self, key: str | None) -> None:
        self._digest = None if key is None else _digest(key.encode())

    @property
    def guards(self) -> bool:
        """Whether there is a key at all."""
        return self._digest is not None

    def admit(self, authorization: bytes) -> None:
        """Let the holder of the key pass; `authorization` is the header of that name.

        Raises:
            HttpError: 401.
        """
        if self._digest is None:
            return
        scheme, _, given = authorization.partition(b" ")
        matches = hmac.compare_digest(_digest(given.strip()), self._digest)
        if not matches or scheme.lower() != b"bearer":
            what = "this needs the key of the service"
            raise HttpError(
                401, "key-required", what, where="Authorization", fix="send the header Authorization: Bearer <key>"
            )


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def resolve(text: str | None, environment: Mapping[str, str] | None = None) -> str | None:
    """The key that `serve.key` means: the text itself, or what the environment has under `${NAME}`.

    Raises:
        BadInput: code `key-required`: the variable is not set, or empty.
    """
    if text is None:
        return None
    reference = _REFERENCE.fullmatch(text.strip())
    key = text if reference is None else (os.environ if environment is None else environment).get(reference[1], "")
    if not key.strip():
        raise BadInput(
            "the key of the service is empty",
            code="key-required",
            where="volant.toml, serve.key",
            got=text.strip() if reference else None,
            fix=f"set the environment variable {reference[1]}" if reference else "write a key, or remove the line",
        )
    return key.strip()


def refuse_open_door(host: str, guard: Guard) -> None:
    """Other machines may reach the service only if it has a key.

    Raises:
        BadInput: code `key-required`.
    """
    if not guard.guards and not is_loopback(host):
        raise BadInput(
            "a service that other machines can reach needs a key",
            code="key-required",
            where="volant.toml, serve.host",
            got=host,
            fix='set serve.key = "${VOLANT_KEY}" and the variable VOLANT_KEY, or listen on 127.0.0.1',
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
