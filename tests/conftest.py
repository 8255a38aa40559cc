"""Fixtures for tests anywhere in the tree: a PostgreSQL server on loopback, and a disk that runs full."""

from __future__ import annotations

import gc
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def _binary(name: str) -> str | None:
    elsewhere = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return shutil.which(name) or next((str(path) for path in elsewhere), None)


def _account() -> str | None:
    """PostgreSQL refuses to run as root: who runs it then."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class PostgresServer:
    """A server of our own in a temporary folder."""

    def __init__(self, folder: Path, initdb: str, postgres: str) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._account = _account()
        self.port = _free_port()
        self._url = f"postgresql://volant:s3cret@127.0.0.1:{self.port}/postgres"
        self._numbers = itertools.count()
        if self._account:
            shutil.chown(folder, self._account)
        login = ["--auth=trust", "--username=volant", "--encoding=UTF8", "--no-locale", "--no-sync"]
        made = self._run([initdb, "-D", str(self._data), *login], capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"initdb failed: {made.stderr.strip()[-200:]}")
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": folder,
            "fsync": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (folder / "server.log").open("w") as log:
            command = [postgres, "-D", str(self._data), *options]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, user=self._account, cwd=folder)
        self._wait()

    def new_url(self) -> str:
        """A URL that leads to an empty schema."""
        import psycopg

        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{self._url}?options=-csearch_path%3D{name}"

    def stop(self) -> None:
        self._process.send_signal(signal.SIGQUIT)  # at once: nothing in it is needed any more
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _run(self, command: list[str], **options) -> subprocess.CompletedProcess:
        return subprocess.run(command, user=self._account, cwd=self._folder, check=False, **options)

    def _wait(self) -> None:
        import psycopg

        deadline = time.monotonic() + 30
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg.connect(self._url).close()
            except psycopg.OperationalError:
                time.sleep(0.1)
            else:
                return
        self.stop()
        pytest.skip(f"the PostgreSQL server did not start: {(self._folder / 'server.log').read_text()[-300:]}")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server, or a skip with the reason why there is none."""
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed")
    initdb, postgres = _binary("initdb"), _binary("postgres")
    if initdb is None or postgres is None:
        pytest.skip("no PostgreSQL server is installed (initdb and postgres are looked for)")
    folder = Path(tempfile.mkdtemp(prefix="volant-pg-", dir="/tmp"))  # short: it holds a socket
    server = None
    try:
        server = PostgresServer(folder, initdb, postgres)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """Where the ledger of a new store is: None for SQLite, a URL that leads to nothing yet for PostgreSQL."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_server").new_url()


class SmallDisk:
    """A file system in memory that holds a few megabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mount("size=3m")

    def mount(self, options: str) -> None:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.folder], capture_output=True, text=True, check=False
        )
        if mounted.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")

    def grow(self) -> None:
        """Make room, as a user does who deletes something else."""
        self.mount("remount,size=32m")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 3 MB, or a skip with the reason why there is none."""
    if shutil.which("mount") is None or os.getuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    yield SmallDisk(folder)
    gc.collect()  # what is mapped into memory holds the disk
    subprocess.run(["umount", folder], check=True)
