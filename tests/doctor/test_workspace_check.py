"""`tessera doctor` looks at settings, workspace and database, and changes none of them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from tessera.database.location import open_database
from tessera.database.schema import SCHEMA
from tessera.doctor.finding import Finding
from tessera.doctor.workspace_check import check_database, check_settings, check_store, check_workspace
from tests.support.package import ROOT
from tests.support.postgres import postgres, why_no_postgres
from tests.support.rights import read_only_folder


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("WORKSPACE", "CONFIG", "DATABASE_URL", "STORE_URL"):
        monkeypatch.delenv(f"TESSERA_{name}", raising=False)


def database(workspace: Path | None = None) -> Finding:
    (finding,) = check_database(workspace, timeout_s=5)
    return finding


def workspace(folder: Path | None = None) -> Finding:
    return next(check_workspace(folder))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# the workspace


def test_without_a_workspace_nothing_is_created(tmp_path: Path) -> None:
    assert workspace() == Finding("workspace", "ok", f"{tmp_path}/.tessera, which the first run creates")
    assert database() == Finding("database", "ok", "SQLite .tessera/tessera.db, which the first run sets up")
    assert os.listdir() == []


def test_a_workspace_with_a_run_is_read_and_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    # Another process runs it: a database in use has changing files of locks next to it.
    options = ["--input", str(ROOT / "fixtures/media/silent.mp4"), "--workspace", str(folder)]
    agent = str(ROOT / "fixtures/agents/trimmer.json")
    line = [sys.executable, "-m", "tessera.cli", "run", agent, *options]
    subprocess.run(line, check=True, capture_output=True)
    before = contents(folder)
    assert workspace(folder) == Finding("workspace", "ok", str(folder))
    assert database(folder).found.endswith(f"schema {SCHEMA}, 1 run")
    assert contents(folder) == before


def test_the_runs_of_a_database_in_use_are_counted(tmp_path: Path) -> None:
    opened = open_database(tmp_path)
    with opened.write() as connection:
        connection.execute("INSERT INTO runs (run_id, cancel) VALUES ('a', false)")
    assert (tmp_path / "tessera.db-wal").stat().st_size > 0
    assert database(tmp_path).found.endswith("1 run")
    opened.close()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_workspace_that_is_a_file(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    found = workspace(Path(place))
    assert (found.state, found.found) == ("problem", f"{tmp_path}/file is not a folder")
    assert "TESSERA_WORKSPACE" in found.advice


def test_a_workspace_that_cannot_be_written() -> None:
    with read_only_folder() as folder:
        existing, new = workspace(folder), workspace(folder / "new")
    assert (existing.state, existing.found) == ("problem", f"{folder} cannot be written")
    assert (new.state, new.found) == ("problem", f"{folder} cannot be written")


# the database


def test_a_database_of_a_newer_version(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "tessera.db")) as driver, driver:
        driver.execute("UPDATE meta SET schema = 99")
    found = database(tmp_path)
    assert found.state == "problem"
    assert f"has schema 99; this version knows {SCHEMA}" in found.found


def test_a_database_of_an_older_version_is_not_updated(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "tessera.db")) as driver, driver:
        driver.execute("UPDATE meta SET schema = 1")
        driver.execute("DROP TABLE avatars")
    before = contents(tmp_path)
    found = database(tmp_path)
    assert (found.state, found.found.partition(": ")[2]) == (
        "ok",
        "schema 1, which the next run updates, 0 runs",
    )
    assert contents(tmp_path) == before


@pytest.mark.parametrize("content", [b"not a database, but a text of more than a hundred bytes" * 9, b""])
def test_a_file_that_is_no_database(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "tessera.db").write_bytes(content)
    found = database(tmp_path)
    # SQLite takes an empty file for a new database.
    assert found.state == ("problem" if content else "ok")
    assert "file is not a database" in found.found or not content


def test_a_folder_in_place_of_the_database(tmp_path: Path) -> None:
    (tmp_path / "tessera.db").mkdir()
    assert database(tmp_path).state == "problem"


SECRETS = ("hunter2", "geheim")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@127.0.0.1:9/runs?sslpassword=geheim",
        "postgresql://me:hunter2@127.0.0.1:port/runs",
        "postgresql://me:hunter2@[::1/runs",
        "postgresql+nodriver://me:hunter2@127.0.0.1/runs",
        "mysql://me:hunter2@127.0.0.1/runs?password=geheim",
        "postgresql://me:hun%74er2@127.0.0.1:9/runs",
        "postgresql://me:hunter2/geheim@127.0.0.1:9/runs",
    ],
)
def test_a_server_that_cannot_be_reached_is_named_without_secrets(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv("TESSERA_DATABASE_URL", url)
    found = database()
    assert found.state == "problem"
    assert "TESSERA_DATABASE_URL" in found.advice
    assert not [one for one in SECRETS if one in found.found]


@pytest.mark.skipif(why_no_postgres() is not None, reason=str(why_no_postgres()))
def test_a_postgresql_server_is_read_and_gets_no_tables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    folder.chmod(0o755)
    try:
        with postgres(folder / "server") as url:
            monkeypatch.setenv("TESSERA_DATABASE_URL", url)
            for _ in range(2):  # the first look creates nothing that the second one would find
                assert database().found.endswith(", which the first run sets up")
            open_database(tmp_path).close()
            found = database()
            assert (found.state, found.found) == (
                "ok",
                f"PostgreSQL postgresql+psycopg:///tessera: schema {SCHEMA}, 0 runs",
            )
    finally:
        shutil.rmtree(folder)


# settings and store


def test_settings_are_named_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert next(check_settings()).found == "no tessera.toml here: the defaults hold"
    (tmp_path / "tessera.toml").write_text("encodes = 3\n")
    assert next(check_settings()) == Finding("settings", "ok", f"{tmp_path}/tessera.toml")
    (tmp_path / "tessera.toml").write_text("encodes = 0\n")
    assert next(check_settings()).state == "problem"
    monkeypatch.setenv("TESSERA_CONFIG", "missing.toml")
    assert "TESSERA_CONFIG is missing.toml, but it cannot be read" in next(check_settings()).found


def test_a_shared_store_is_named_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fsspec")
    assert list(check_store()) == []
    monkeypatch.setenv("TESSERA_STORE_URL", "nosuch://me:hunter2@host/media")
    (found,) = check_store()
    assert found.state == "problem"
    assert "hunter2" not in found.found
    monkeypatch.setenv("TESSERA_STORE_URL", "memory://media")
    assert next(check_store()).state == "ok"
