"""A private PostgreSQL server on a socket in a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["postgres", "why_no_postgres"]


def why_no_postgres() -> str | None:
    """Return the reason why no server can be started here, or None."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed: pip install '.[postgres]'"
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        return "PostgreSQL is not installed"
    if os.geteuid() == 0 and not (shutil.which("runuser") and _has_user()):
        return "PostgreSQL does not run as root, and there is no user postgres"
    return None


def _has_user() -> bool:
    import pwd

    return any(one.pw_name == "postgres" for one in pwd.getpwall())


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Start a server, and yield its SQLAlchemy URL. `folder` needs a short path that every user can enter."""
    folder.mkdir()
    as_whom: tuple[str, ...] = ()
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        as_whom = ("runuser", "-u", "postgres", "--")

    def command(*words: str) -> None:
        _run((*as_whom, *words), folder)

    data = str(folder / "data")
    command("initdb", "-D", data, "-A", "trust", "-U", "tessera", "--no-sync")
    said = f"-k {folder} -c listen_addresses='' -c max_connections=50"
    command("pg_ctl", "-D", data, "-l", str(folder / "log"), "-o", said, "-w", "start")
    try:
        command("createdb", "-h", str(folder), "-U", "tessera", "tessera")
        yield f"postgresql+psycopg://tessera@/tessera?host={folder}"
    finally:
        command("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def _run(command: Sequence[str], folder: Path) -> None:
    with (folder / "said").open("ab") as said:  # a pipe would stay open as long as the server
        subprocess.run(command, check=True, stdout=said, stderr=said, stdin=subprocess.DEVNULL, cwd="/")
