"""Find and open the database of a workspace: its SQLite file, or the database in `TESSERA_DATABASE_URL`.

SQLite uses the driver of the standard library, which loads in a millisecond. Only a server needs SQLAlchemy.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from tessera.database.interface import Database
from tessera.errors import Fault, RequestError, WorkspaceError

__all__ = ["FILE", "SERVER_URL", "SQLITE_URL", "URL_FORMS", "database_exists", "open_database"]

FILE = "tessera.db"
SQLITE_URL = re.compile(r"sqlite(?:\+pysqlite)?:///(?P<file>(?!:memory:)[^?]+)")
SERVER_URL = re.compile(r"postgres(?:ql)?(?=[:+])")
URL_FORMS = "TESSERA_DATABASE_URL: must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"


def open_database(workspace: Path) -> Database:
    """Open the database of a workspace and create it if it is missing.

    Parameters
    ----------
    workspace
        The folder of the SQLite file, unless `TESSERA_DATABASE_URL` names another database.

    Raises
    ------
    WorkspaceError
        If the database cannot be opened, or was created by a newer version of Tessera.
    RequestError
        If `TESSERA_DATABASE_URL` is not a URL of a supported database.
    """
    url = os.environ.get("TESSERA_DATABASE_URL")
    if not url:
        return _open_file(workspace / FILE, make_folder=True)
    sqlite_url = SQLITE_URL.fullmatch(url)
    if sqlite_url is not None:
        return _open_file(Path(unquote(sqlite_url["file"])))
    if SERVER_URL.match(url):
        return _open_server(url)
    raise RequestError([Fault("", "request", URL_FORMS)])


def _open_file(file: Path, *, make_folder: bool = False) -> Database:
    from tessera.database.sqlite import SqliteDatabase

    try:
        if make_folder:
            file.parent.mkdir(parents=True, exist_ok=True)
        # Only the owner may read the file: plans may contain signed URLs. SQLite gives its log files the
        # permissions of the database file, so the file must exist before SQLite opens it.
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise WorkspaceError(f"cannot open the database {file}: {error.strerror or error}") from None
    return SqliteDatabase(file)


def _open_server(url: str) -> Database:
    try:
        from tessera.database.postgresql import PostgresDatabase
    except ImportError as error:
        raise WorkspaceError(
            f"TESSERA_DATABASE_URL names a server, but {error.name} is not installed: "
            "pip install 'tessera-runtime[postgres]'"
        ) from None
    return PostgresDatabase(SERVER_URL.sub("postgresql", url, count=1))


def database_exists(workspace: Path) -> bool:
    """Return True if a workspace has a database. Read-only access never creates one."""
    return bool(os.environ.get("TESSERA_DATABASE_URL")) or (workspace / FILE).is_file()
