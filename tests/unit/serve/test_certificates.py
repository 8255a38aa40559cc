"""HTTPS by two files: what cannot be used is refused at once, and a renewed certificate is taken up."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from volant.errors import BadInput
from volant.serve.certificates import tls
from volant.testing import handmade
from volant.testing.served import served

x509 = pytest.importorskip("cryptography.x509", reason="the library cryptography is not installed")
NOW = datetime.now(UTC)


def write(folder, name="service", *, begins=-1, ends=30, password=None):
    """A certificate of a new key for 127.0.0.1, valid between these days from now; the paths of both."""
    import ipaddress

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    built = x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(NOW + timedelta(days=begins)).not_valid_after(NOW + timedelta(days=ends))
    local = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = built.add_extension(local, critical=False).sign(key, hashes.SHA256())
    pem, forms = serialization.Encoding.PEM, serialization
    locked = forms.BestAvailableEncryption(password) if password else forms.NoEncryption()
    certificate, secret = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(made.public_bytes(pem))
    secret.write_bytes(key.private_bytes(pem, forms.PrivateFormat.PKCS8, locked))
    return certificate, secret


def test_a_certificate_with_its_key_is_good(tmp_path):
    assert tls(*write(tmp_path)).minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ends": -0.5}, "expired"),
        ({"begins": 5}, "not valid yet"),
        ({"password": b"secret"}, "ValueError"),
    ],
)
def test_what_no_client_would_accept_is_refused(tmp_path, wrong, said):
    with pytest.raises(BadInput) as caught:
        tls(*write(tmp_path, **wrong))
    assert (caught.value.code, caught.value.troubles[0].got) == ("tls-invalid", said)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["other", "missing", "none"])
def test_a_key_that_does_not_belong_is_refused(tmp_path, kind):
    certificate, _ = write(tmp_path)
    _, key = write(tmp_path, "other")
    if kind == "missing":
        key.unlink()
    elif kind == "none":
        key.write_text("nonsense")
    with pytest.raises(BadInput) as caught:
        tls(certificate, key)
    assert caught.value.code == "tls-invalid"


@pytest.fixture
def product(tmp_path):
    text = '[serve.tls]\ncertificate = "service.pem"\nkey = "service.key"\n'
    made = handmade.make_served_product(tmp_path, handmade.FILE_TEXT + text)
    write(tmp_path)
    return made


def live(service, certificate) -> int:
    with httpx.Client(verify=ssl.create_default_context(cafile=certificate)) as client:
        return client.get(f"{service.url}/v1/health/live").status_code


def test_it_speaks_https_and_takes_up_a_new_certificate(product):
    """And a new one that cannot be used ends nothing: the present one stays."""
    first = product.folder / "first.pem"
    first.write_bytes((product.folder / "service.pem").read_bytes())
    with served(product.folder, "--workers", "2") as service:
        assert service.url.startswith("https://127.0.0.1:")
        assert live(service, first) == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(service.url.replace("https", "http"))
        for bad in ("expired", "torn"):
            write(product.folder, ends=-0.5)
            if bad == "torn":
                (product.folder / "service.pem").write_text("")
            service.process.send_signal(signal.SIGHUP)
            time.sleep(1.0)
            assert live(service, first) == 200
        second, _ = write(product.folder)
        service.process.send_signal(signal.SIGHUP)
        until, right = time.monotonic() + 30, 0
        while right < 8:
            assert time.monotonic() < until
            try:
                right += live(service, second) == 200
            except httpx.ConnectError:
                right = 0
        assert service.stop() == 0


def test_old_protocols_are_refused(product):
    with served(product.folder, "--workers", "1") as service:
        host, _, port = service.url.removeprefix("https://").rpartition(":")
        for version in ("-tls1_1", "-tls1_2"):
            command = ["openssl", "s_client", "-connect", f"{host}:{port}", version, "-cipher", "ALL:@SECLEVEL=0"]
            try:
                said = subprocess.run(command, input=b"", capture_output=True, timeout=30, check=False)
            except FileNotFoundError:
                pytest.skip("there is no openssl here")
            assert (said.returncode == 0) is (version == "-tls1_2")


def test_it_does_not_start_with_what_it_could_not_use(product):
    write(product.folder, ends=-0.5)
    command = [sys.executable, "-m", "volant.cli.main", "-C", product.folder, "serve", "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ})
    assert ended.returncode == 2
    assert "tls-invalid" in ended.stderr
    assert "expired" in ended.stderr
