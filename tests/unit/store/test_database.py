from __future__ import annotations

import os
import sqlite3
import threading
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from volant.errors import BadInput, Failure, VolantError
from volant.store import open_store

SECRET = "hunter2-s3cret"


def test_sqlite_waits_for_the_disk_and_logs_ahead(sqlite_store):
    with sqlite_store._database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_postgres_waits_for_the_disk_even_where_the_server_would_not(tmp_path, postgres_server):
    url = postgres_server.new_url()
    hasty = f"{url}%20-csynchronous_commit%3Doff"
    with open_store(tmp_path, hasty) as store, store._database.read() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u:{SECRET}@h/d",
        f"nonsense-{SECRET}",
        f"postgresql://u:{SECRET}@h:port/d",
        f"postgresql+nodriver{SECRET}",
        f"sqlite:///{SECRET}",
        "",
    ],
)
def test_a_url_that_does_not_fit_is_bad_input(tmp_path, url):
    with pytest.raises(BadInput) as caught:
        open_store(tmp_path / "home", url)
    assert caught.value.code == "store-unavailable"
    assert SECRET not in str(caught.value)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("place", ["127.0.0.1:1", "no-such-host.invalid:5432"])
def test_a_server_that_is_not_there_is_a_failure_without_its_password(tmp_path, place):
    with pytest.raises(Failure) as caught:
        open_store(tmp_path, f"postgresql://u:{SECRET}@{place}/d?connect_timeout=2")
    assert caught.value.code == "store-unavailable"
    assert place in str(caught.value)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in repr(error)
        error = error.__cause__


def test_a_database_that_is_not_there(tmp_path, postgres_server):
    with pytest.raises(Failure) as caught:
        open_store(tmp_path, postgres_server.new_url().replace("/postgres?", "/none?"))
    assert caught.value.code == "store-unavailable"


def test_a_file_that_is_no_store(tmp_path):
    (tmp_path / "store.sqlite").write_bytes(b"this is a letter, not a database" * 100)
    with pytest.raises(Failure) as caught:
        open_store(tmp_path)
    assert caught.value.code == "store-unavailable"
    assert caught.value.troubles[0].got == "SQLITE_NOTADB"


def test_a_home_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Failure) as caught:
        open_store(tmp_path / "file" / "home")
    assert caught.value.code == "store-unavailable"


def test_one_transaction_writes_at_a_time(store, tmp_path, store_url):
    order = []
    with open_store(tmp_path / ".volant", store_url) as other:

        def write():
            with other._database.write():
                order.append("second")

        thread = threading.Thread(target=write)
        with store._database.write():
            thread.start()
            time.sleep(0.2)
            order.append("first")
        thread.join()
    assert order == ["first", "second"]


def test_a_failed_transaction_leaves_nothing_and_the_next_one_works(store):
    def stumble():
        with store._database.write() as connection:
            connection.execute(text("INSERT INTO release (digest, contract, at) VALUES ('a', 1, '')"))
            raise RuntimeError("stumbled")

    with pytest.raises(RuntimeError, match="stumbled"):
        stumble()
    store.add_candidate("a", None, None, 1, {})
    assert store.counts()["releases"] == 0


def failing(code: int, name: str) -> OperationalError:
    error = sqlite3.OperationalError(f"secret {SECRET}")
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return OperationalError(f"INSERT {SECRET}", {}, error)


@pytest.mark.parametrize(
    ("code", "name", "expected", "stops"),
    [
        (13, "SQLITE_FULL", "store-full", False),
        (778, "SQLITE_IOERR_WRITE", "store-failed", False),
        (1034, "SQLITE_IOERR_FSYNC", "store-failed", True),
        (8, "SQLITE_READONLY", "store-unavailable", False),
    ],
)
def test_errors_of_the_database_in_our_own_words(sqlite_store, code, name, expected, stops):
    with pytest.raises(VolantError) as caught, sqlite_store._database.write():
        raise failing(code, name)
    assert caught.value.code == expected
    assert SECRET not in str(caught.value)
    if stops:
        with pytest.raises(Failure):
            sqlite_store.add_dataset("a", 1, {})
    else:
        sqlite_store.add_dataset("a", 1, {})


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(Failure) as caught:
        open_store(tmp_path / "home")
    assert caught.value.code == "store-unavailable"


def test_the_store_is_used_by_many_threads(store, predict):
    errors = []

    def work(name):
        try:
            for number in range(5):
                store.add_dataset(f"{name}-{number}", 1, {})
                assert store.latest_dataset() is not None
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.counts()["datasets"] == 60


def test_what_only_writes_files_loads_no_sqlalchemy():
    import subprocess
    import sys

    code = "import sys, volant.store; print('sqlalchemy' in sys.modules); volant.store.Store"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_user_who_may_not_create_tables(tmp_path, postgres_server):
    url = f"{postgres_server.new_url()}%20-cdefault_transaction_read_only%3Don"
    with pytest.raises(Failure) as caught:
        open_store(tmp_path, url)
    assert (caught.value.code, caught.value.troubles[0].got) == ("store-unavailable", "25006")


def test_a_log_that_failed_does_not_keep_the_rest_open(tmp_path, predict, monkeypatch):
    store = open_store(tmp_path)
    logs = [store.prediction_log() for _ in range(2)]

    def refuse(_log):
        raise Failure("failed", code="store-failed")

    monkeypatch.setattr(logs[0], "flush", lambda: refuse(logs[0]))
    with pytest.raises(Failure):
        store.close()
    for log in logs:
        with pytest.raises(Failure, match="closed"):
            log.append(predict())
