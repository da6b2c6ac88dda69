"""The database of a workspace behaves the same on SQLite and on a PostgreSQL server; both are real."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tessera.database.interface import Connection, Database
from tessera.database.location import database_exists, open_database
from tessera.database.schema import SCHEMA
from tessera.database.statements import in_condition
from tessera.errors import RequestError, WorkspaceError
from tests.support.postgres import postgres, why_no_postgres

COLUMNS = ("run_id", "name", "body")
KEY = ("run_id", "name")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if (why := why_no_postgres()) is not None:
        pytest.skip(why)
    place = Path(tempfile.mkdtemp(prefix="db-"))
    place.chmod(0o755)
    try:
        with postgres(place / "s") as url:
            yield url
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """Return an empty database of either kind."""
    if request.param == "postgresql":
        monkeypatch.setenv("TESSERA_DATABASE_URL", request.getfixturevalue("server"))
    opened = open_database(tmp_path)
    with opened.write() as connection:
        for table in ("documents", "claims", "runs"):
            connection.execute(f"DELETE FROM {table}")
    yield opened
    opened.close()


def bodies(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as connection:
        return connection.rows("SELECT run_id, name, body FROM documents ORDER BY run_id, name")


def test_a_write_block_is_visible_to_everyone_once_it_ends(database: Database, tmp_path: Path) -> None:
    with database.write() as connection:
        connection.insert("documents", COLUMNS, [("a", "x", "1"), ("b", "y", "é “2”")])
    other = open_database(tmp_path)
    assert bodies(other) == [("a", "x", "1"), ("b", "y", "é “2”")]
    other.close()


def test_a_failed_write_block_leaves_nothing(database: Database) -> None:
    def write(then: Callable[[Connection], object]) -> None:
        with database.write() as connection:
            connection.insert("documents", COLUMNS, [("a", "x", "1")])
            then(connection)

    with pytest.raises(ZeroDivisionError):
        write(lambda _connection: 1 // 0)
    assert bodies(database) == []
    with pytest.raises(WorkspaceError, match="cannot write"):
        write(lambda connection: connection.execute("INSERT INTO nowhere (a) VALUES (1)"))
    assert bodies(database) == []


def test_a_row_with_an_existing_key_is_refused_skipped_or_replaces_the_old_one(database: Database) -> None:
    with database.write() as connection:
        connection.insert("documents", COLUMNS, [("a", "x", "first")])
    with pytest.raises(WorkspaceError), database.write() as connection:
        connection.insert("documents", COLUMNS, [("a", "x", "second")])
    with database.write() as connection:
        connection.insert("documents", COLUMNS, [("a", "x", "third"), ("a", "y", "new")], "skip")
    assert bodies(database) == [("a", "x", "first"), ("a", "y", "new")]
    with database.write() as connection:
        connection.insert("documents", COLUMNS, [("a", "x", "4"), ("a", "z", "5")], "replace", key=KEY)
    assert bodies(database) == [("a", "x", "4"), ("a", "y", "new"), ("a", "z", "5")]


def test_statements_take_named_values_and_count_their_changes(database: Database) -> None:
    with database.write() as connection:
        connection.insert("claims", ("key", "run_id"), [(f"k{n}", "a" if n % 2 else "b") for n in range(9)])
        condition, named = in_condition("key", ["k1", "k2", "k'3"])
        found = connection.rows(f"SELECT key FROM claims WHERE {condition} ORDER BY key", **named)
        assert found == [("k1",), ("k2",)]
        assert connection.execute("DELETE FROM claims WHERE run_id = :run_id", run_id="a") == 4
        connection.execute_each("DELETE FROM claims WHERE key = :key", [{"key": "k0"}, {"key": "k2"}])
        connection.execute_each("DELETE FROM claims WHERE key = :key", [])
        assert connection.rows("SELECT count(*) FROM claims") == [(3,)]


def test_runs_are_numbered_in_order_of_insertion_and_flags_are_booleans(database: Database) -> None:
    for run_id in ("c", "a", "b"):
        with database.write() as connection:
            connection.insert("runs", ("run_id", "cancel"), [(run_id, False)])
    with database.write() as connection:
        connection.execute("UPDATE runs SET cancel = :cancel WHERE run_id = :run_id", cancel=True, run_id="a")
        found = connection.rows("SELECT run_id, cancel FROM runs ORDER BY number")
    assert [(run_id, bool(cancel)) for run_id, cancel in found] == [("c", False), ("a", True), ("b", False)]


def test_concurrent_writers_wait_for_each_other(database: Database) -> None:
    def write(number: int) -> None:
        with database.write() as connection:
            connection.insert("documents", COLUMNS, [(f"{number:03}", "x", "1")])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(100)))
    assert len(bodies(database)) == 100
    assert database.integrity_errors() == []


def test_concurrent_creations_make_one_database(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in (None, server):
        if url is not None:
            monkeypatch.setenv("TESSERA_DATABASE_URL", url)
            with open_database(tmp_path).write() as connection:
                connection.execute("DROP SCHEMA public CASCADE")
                connection.execute("CREATE SCHEMA public")
        with ThreadPoolExecutor(8) as pool:
            opened = list(pool.map(lambda _: open_database(tmp_path / "new"), range(8)))
        with opened[0].read() as connection:
            assert connection.rows("SELECT schema FROM meta") == [(SCHEMA,)]
        for one in opened:
            one.close()


def test_a_database_of_a_newer_version_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    with sqlite3.connect(tmp_path / "tessera.db") as driver:
        driver.execute("UPDATE meta SET schema = 99")
    driver.close()
    with pytest.raises(WorkspaceError, match="schema 99; this version knows 3: use a newer Tessera"):
        open_database(tmp_path)


def test_a_file_that_is_not_a_database_gives_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "tessera.db").write_text("not a database, " * 100)
    with pytest.raises(WorkspaceError, match=r"cannot open .*tessera\.db: file is not a database"):
        open_database(tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root@localhost/db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///a.db?mode=ro",
        "tessera.db",
    ],
)
def test_an_unsupported_database_url_gives_a_clear_error(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_DATABASE_URL", url)
    with pytest.raises(RequestError, match="must be sqlite:///FILE or postgresql://"):
        open_database(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql+psycopg://u:secret@127.0.0.1:1/db", "refused"),
        ("postgresql://u:secret@127.0.0.1:1/db", "refused"),
        ("postgres://u:secret@127.0.0.1:1/db", "refused"),
        ("postgresql+nothing://u:secret@h/db", "cannot open the database"),
        ("postgresql://u:secret@h:port/db", "cannot open the database"),
    ],
)
def test_an_unreachable_server_gives_an_error_that_hides_the_password(
    url: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_DATABASE_URL", url)
    with pytest.raises(WorkspaceError, match=said) as caught:
        open_database(tmp_path)
    assert "secret" not in str(caught.value)


def test_the_file_of_a_workspace_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    assert not database_exists(tmp_path)
    open_database(tmp_path).close()
    assert database_exists(tmp_path)
    assert (tmp_path / "tessera.db").stat().st_mode & 0o777 == 0o600


def test_a_file_named_by_a_url_is_readable_by_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_DATABASE_URL", f"sqlite:///{tmp_path}/a%20b.db")
    open_database(tmp_path).close()
    assert [path.name for path in tmp_path.iterdir()] == ["a b.db"]
    assert (tmp_path / "a b.db").stat().st_mode & 0o777 == 0o600


def test_after_all_users_have_ended_the_file_alone_holds_everything(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tessera.database.location import open_database\n"
        "with open_database(Path(sys.argv[1])).write() as it:\n"
        "    it.insert('documents', ('run_id', 'name', 'body'), [('a', 'x', '1')])"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["tessera.db"]
    assert bodies(open_database(tmp_path)) == [("a", "x", "1")]


def test_the_space_of_deleted_rows_is_freed(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    with database.write() as connection:
        connection.insert("documents", COLUMNS, [(f"{n}", "x", "y" * 10_000) for n in range(300)])
    with database.write() as connection:
        connection.execute("DELETE FROM documents")
    database.compact()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 300_000
    with database.read() as other:  # with an open reader the file keeps its size, and nobody waits long
        other.rows("SELECT count(*) FROM documents")
        database.compact()
    database.close()


@pytest.mark.parametrize("said", ["'abc'", "NULL"])
def test_a_schema_version_that_is_not_a_number_gives_a_clear_error(said: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "tessera.db") as driver:
        driver.execute("CREATE TABLE meta (schema)")
        driver.execute(f"INSERT INTO meta VALUES ({said})")
    driver.close()
    with pytest.raises(WorkspaceError, match="its schema is"):
        open_database(tmp_path)


def test_a_forked_process_opens_the_file_again(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from tessera.database.location import open_database\n"
        "it = open_database(Path(sys.argv[1]))\n"
        "child = os.fork()\n"
        "with it.write() as connection:\n"
        "    row = ('child' if child == 0 else 'parent', 'x', '1')\n"
        "    connection.insert('documents', ('run_id', 'name', 'body'), [row])\n"
        "if child: sys.exit(os.waitpid(child, 0)[1])"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert bodies(open_database(tmp_path)) == [("child", "x", "1"), ("parent", "x", "1")]
    assert open_database(tmp_path).integrity_errors() == []


def test_an_unused_database_is_closed(tmp_path: Path) -> None:
    for _ in range(300):
        bodies(open_database(tmp_path))
    opened = subprocess.run(
        ["ls", "-l", f"/proc/{os.getpid()}/fd"], capture_output=True, text=True, check=True
    )
    assert str(tmp_path) not in opened.stdout
