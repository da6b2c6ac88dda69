"""Look at the database of a workspace without creating or changing anything."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tessera.database.location import FILE, SERVER_URL, SQLITE_URL, URL_FORMS
from tessera.database.schema import check_schema
from tessera.errors import WorkspaceError
from tessera.text.masking import mask_secrets, masked_server

__all__ = ["DatabaseState", "inspect_database"]

_BUSY_S = 2


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """A database as it is found.

    Attributes
    ----------
    name
        The kind of database with its file, or with its URL without secrets.
    schema
        The schema version of its tables, or None if it has none yet.
    runs
        The number of runs in it.
    outdated
        True if the next run will add tables of this version.
    """

    name: str
    schema: int | None
    runs: int = 0
    outdated: bool = False


def inspect_database(workspace: Path, timeout_s: float) -> DatabaseState:
    """Read the schema version and the number of runs of a workspace's database.

    Parameters
    ----------
    timeout_s
        Seconds to wait for a database server.

    Raises
    ------
    WorkspaceError
        If the database cannot be read, if a newer version of Tessera created it, or if `TESSERA_DATABASE_URL`
        is not a URL of a supported database. The message contains no secret of the URL.
    """
    url = os.environ.get("TESSERA_DATABASE_URL")
    if not url:
        return _inspect_file(workspace / FILE)
    sqlite_url = SQLITE_URL.fullmatch(url)
    if sqlite_url is not None:
        return _inspect_file(Path(unquote(sqlite_url["file"])))
    if not SERVER_URL.match(url):
        raise WorkspaceError(URL_FORMS)
    return _inspect_server(url, timeout_s)


def _inspect_file(file: Path) -> DatabaseState:
    name = f"SQLite {file}"
    if not os.path.lexists(file):
        return DatabaseState(name, None)
    try:
        log = file.with_name(f"{file.name}-wal")
        # Without a log the file is complete, and as an immutable file SQLite opens it without new files.
        complete = not log.exists() or log.stat().st_size == 0
        place = f"{file.absolute().as_uri()}?mode=ro{'&immutable=1' if complete else ''}"
        with closing(sqlite3.connect(place, uri=True, timeout=_BUSY_S)) as driver:
            if _value(driver, "SELECT name FROM sqlite_master WHERE name = 'meta'") is None:
                return DatabaseState(name, None)
            schema = _value(driver, "SELECT schema FROM meta")
            outdated = _check(schema, name)
            return DatabaseState(name, schema, _value(driver, "SELECT count(*) FROM runs"), outdated)
    except (sqlite3.Error, OSError) as error:
        raise WorkspaceError(f"cannot read {name}: {error}") from None


def _inspect_server(url: str, timeout_s: float) -> DatabaseState:
    try:
        import sqlalchemy as sql
        from sqlalchemy.exc import SQLAlchemyError

        place = sql.make_url(SERVER_URL.sub("postgresql", url, count=1))
        if place.drivername == "postgresql":
            place = place.set(drivername="postgresql+psycopg")
        options = {"connect_timeout": max(int(timeout_s), 1)}
        engine = sql.create_engine(place, poolclass=sql.NullPool, connect_args=options)
    except ImportError as error:
        raise WorkspaceError(
            f"TESSERA_DATABASE_URL names a server, but {error.name} is not installed: "
            "pip install 'tessera-runtime[postgres]'"
        ) from None
    except Exception as error:  # SQLAlchemy and the parsing of ports raise unrelated types
        raise WorkspaceError(f"TESSERA_DATABASE_URL: {mask_secrets(str(error), url)}") from None
    name = f"PostgreSQL {masked_server(url)}"
    try:
        with engine.connect() as driver:
            if not driver.scalar(sql.text("SELECT to_regclass('meta') IS NOT NULL")):
                return DatabaseState(name, None)
            schema = driver.scalar(sql.text("SELECT schema FROM meta"))
            outdated = _check(schema, name)
            runs = int(driver.scalar(sql.text("SELECT count(*) FROM runs")) or 0)
            return DatabaseState(name, schema, runs, outdated)
    except (SQLAlchemyError, OSError) as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        raise WorkspaceError(f"cannot reach {name}: {mask_secrets(reason, url)}") from None


def _check(schema: Any, name: str) -> bool:
    if schema is not None and not isinstance(schema, int):
        raise WorkspaceError(f"cannot read {name}: its schema is {schema!r}")
    return check_schema(schema, name)


def _value(driver: sqlite3.Connection, statement: str) -> Any:
    row = driver.execute(statement).fetchone()
    return row[0] if row is not None else None
