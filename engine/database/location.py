"""Find and open the database of a workspace: its SQLite file, or the one that `TESSERA_DATABASE_URL` names.

A workspace of files uses Python's own SQLite driver, which loads in a millisecond; only a server needs
SQLAlchemy.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from tessera.database.interface import Database
from tessera.errors import Fault, RequestError, WorkspaceError

__all__ = ["database_exists", "open_database"]

FILE = "tessera.db"


def open_database(workspace: Path) -> Database:
    """The database of a workspace, made where it is not there.

    Parameters
    ----------
    workspace
        The folder of the SQLite file, unless `TESSERA_DATABASE_URL` names another database.

    Raises
    ------
    WorkspaceError
        It cannot be opened, or a newer version of Tessera has made it.
    RequestError
        `TESSERA_DATABASE_URL` names none.
    """
    given = os.environ.get("TESSERA_DATABASE_URL")
    if not given:
        return _of_file(workspace / FILE, make_folder=True)
    found = _SQLITE.fullmatch(given)
    if found is not None:
        return _of_file(Path(unquote(found["file"])))
    if _SERVER.match(given):
        return _server(given)
    what = "TESSERA_DATABASE_URL: must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
    raise RequestError([Fault("", "request", what)])


_SQLITE = re.compile(r"sqlite(?:\+pysqlite)?:///(?P<file>(?!:memory:)[^?]+)")
_SERVER = re.compile(r"postgres(?:ql)?(?=[:+])")


def _of_file(file: Path, *, make_folder: bool = False) -> Database:
    """The file is its owner's alone: plans may hold signed URLs. What SQLite puts beside it follows it."""
    from tessera.database.sqlite import SqliteDatabase

    try:
        if make_folder:
            file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise WorkspaceError(f"cannot open the database {file}: {error.strerror or error}") from None
    return SqliteDatabase(file)


def _server(given: str) -> Database:
    try:
        from tessera.database.postgresql import PostgresDatabase
    except ImportError as error:
        raise WorkspaceError(
            f"TESSERA_DATABASE_URL names a server, and {error.name} is not installed: "
            "pip install 'tessera-runtime[postgres]'"
        ) from None
    return PostgresDatabase(_SERVER.sub("postgresql", given, count=1))


def database_exists(workspace: Path) -> bool:
    """Whether a workspace has one: reading needs not make it."""
    return bool(os.environ.get("TESSERA_DATABASE_URL")) or (workspace / FILE).is_file()
