"""Names that a living process holds: the system, or the database, lets go of them when the process dies.

Machines that share a database hold names in it; otherwise they are locked files in the workspace, which all
who share the folder see.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.database.interface import Database, Held
from tessera.errors import WorkspaceError

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["Locks"]


class Locks:
    """The names of one workspace.

    Parameters
    ----------
    folder
        Where the files are, if it is files.
    database
        The workspace's.
    """

    def __init__(self, folder: Path, database: Callable[[], Database]) -> None:
        self.folder, self._database = folder, database

    def acquire(self, name: str, timeout_s: float = 0.0) -> Held | None:
        """Hold a name; None where another, of this process or not, holds it for all that time.

        Raises
        ------
        WorkspaceError
            The workspace, or the database, cannot be written.
        """
        sessions = self._database().sessions
        return sessions.acquire(name, timeout_s) if sessions is not None else self._of_file(name, timeout_s)

    def is_held(self, name: str) -> bool:
        """Whether somebody holds a name."""
        sessions = self._database().sessions
        if sessions is not None:
            return sessions.is_held(name)
        if not (self.folder / f"{name}.lock").exists():
            return False
        with suppress(WorkspaceError):
            held = self._of_file(name, 0)
            if held is not None:
                held.release()
                return False
        return True

    def forget(self, name: str) -> None:
        """Remove what is left of a name that nobody will hold again."""
        (self.folder / f"{name}.lock").unlink(missing_ok=True)

    def _of_file(self, name: str, timeout_s: float) -> Held | None:
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / f"{name}.lock", thread_local=False)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=timeout_s)
        except Timeout:
            return None
        except OSError as error:
            raise WorkspaceError(f"cannot write {lock.lock_file}: {error.strerror or error}") from None
        return _File(lock)


@dataclass(frozen=True, slots=True)
class _File:
    """A locked file: the system alone takes it away, from a process that ends."""

    lock: FileLock

    def release(self) -> None:
        self.lock.release()

    def renew(self) -> bool:
        return True
