"""HTTPS from two files: a certificate with its chain, and its key. Both are tried before anybody is let in by them."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

from volant.errors import BadInput

_EXPIRED, _NOT_YET = 10, 9
"""What OpenSSL says of a certificate's dates (X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID)."""


def tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for HTTPS from two PEM files.

    Raises:
        BadInput: code `tls-invalid`: they cannot be read, do not belong together, or no client would accept them now.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as cause:
        raise _unusable(
            "the certificate and its key cannot be used",
            cause.reason if isinstance(cause, ssl.SSLError) and cause.reason else type(cause).__name__,
            "name a PEM file with the certificate chain, and one with its key without a password, which this user may "
            "read",
        ) from cause
    wrong = _out_of_date(context, certificate)
    if wrong:
        raise _unusable("the certificate is not valid now", wrong, "renew it, and see that the clock is right")
    return context


def _no_password() -> bytes:
    """A service has nobody whom it could ask."""
    raise ValueError("the key has a password")


def _out_of_date(context: ssl.SSLContext, certificate: Path) -> str:
    """What a client that trusts exactly this certificate finds wrong with its dates, if anything."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trusting.load_verify_locations(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = trusting.wrap_bio(to_client, to_server)
    try:
        for side in (client, server, client):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLCertVerificationError as refused:
        return {_EXPIRED: "expired", _NOT_YET: "not valid yet"}.get(refused.verify_code, "")
    return ""


def _unusable(what: str, got: str, fix: str) -> BadInput:
    return BadInput(what, code="tls-invalid", where="volant.toml, serve.tls", got=got, fix=fix)
