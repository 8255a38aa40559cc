from __future__ import annotations

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from volant.errors import Failure
from volant.store import migrate, open_store, tables

OPEN = """
import sys, pathlib
from volant.store import open_store
with open_store(pathlib.Path(sys.argv[1]), sys.argv[2] or None) as store:
    store.add_dataset(sys.argv[3], 1, {})
    print(len(store.deployments()), "alembic" in sys.modules)
"""


def opened(home, url, digest):
    command = [sys.executable, "-c", OPEN, str(home), url or "", digest]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_migrations_lead_to_the_tables_of_the_code(store):
    with store._database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, tables.metadata)
        version = migrate.version(connection)
    assert differences == []
    assert version == tables.SCHEMAS[-1]


def test_every_known_version_has_a_script():
    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == tables.SCHEMAS


def test_processes_that_migrate_at_once_wait_for_each_other(tmp_path, store_url):
    children = [opened(tmp_path / "home", store_url, str(n)) for n in range(4)]
    outputs = [child.communicate()[0].split() for child in children]
    assert [output[0] for output in outputs] == ["0"] * 4
    with open_store(tmp_path / "home", store_url) as store:
        assert store.counts()["datasets"] == 4


def test_an_up_to_date_store_loads_no_alembic(tmp_path, store_url):
    open_store(tmp_path / "home", store_url).close()
    assert opened(tmp_path / "home", store_url, "d").communicate()[0].split()[1] == "False"


def test_a_newer_store_is_refused_and_left_alone(tmp_path, store_url):
    with open_store(tmp_path / "home", store_url) as store, store._database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Failure) as caught:
        open_store(tmp_path / "home", store_url)
    assert caught.value.code == "store-version"
    assert "9999" in str(caught.value)


def test_a_migration_that_fails_leaves_nothing(tmp_path, monkeypatch):
    from volant.store import database

    def stumble(_connection):
        _connection.execute(text("CREATE TABLE half (x INTEGER)"))
        raise RuntimeError("stumbled")

    monkeypatch.setattr(migrate, "_upgrade", stumble)
    with pytest.raises(RuntimeError, match="stumbled"):
        open_store(tmp_path)
    engine = create_engine(f"sqlite:///{tmp_path / 'store.sqlite'}")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar() == 0
    engine.dispose()
    monkeypatch.undo()
    open_store(tmp_path).close()
    assert database.place(engine).endswith("store.sqlite")
