"""Named locks of a workspace. The operating system or the database releases them when the process dies.

Machines that share a PostgreSQL database use its advisory locks. Otherwise a lock is a locked file in the
workspace, visible to every process that shares the folder.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.database.interface import Database, HeldLock
from tessera.errors import WorkspaceError

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["Locks"]


class Locks:
    """The locks of one workspace.

    Parameters
    ----------
    folder
        The folder of the lock files.
    database
        Returns the database of the workspace. It is a function so that the database is opened on first use.
    """

    def __init__(self, folder: Path, database: Callable[[], Database]) -> None:
        self.folder, self._database = folder, database

    def acquire(self, name: str, timeout_s: float = 0.0) -> HeldLock | None:
        """Acquire a lock, or return None if another holder, even of this process, keeps it for `timeout_s` s.

        Raises
        ------
        WorkspaceError
            If the workspace or the database cannot be written.
        """
        advisory = self._database().advisory_locks
        return advisory.acquire(name, timeout_s) if advisory is not None else self._lock_file(name, timeout_s)

    def is_held(self, name: str) -> bool:
        """Return True if any process holds the lock."""
        advisory = self._database().advisory_locks
        if advisory is not None:
            return advisory.is_held(name)
        if not (self.folder / f"{name}.lock").exists():
            return False
        # A file lock can be tested only by acquiring it.
        with suppress(WorkspaceError):
            lock = self._lock_file(name, 0)
            if lock is not None:
                lock.release()
                return False
        return True

    def remove(self, name: str) -> None:
        """Remove the file of a lock that no process will acquire again."""
        (self.folder / f"{name}.lock").unlink(missing_ok=True)

    def _lock_file(self, name: str, timeout_s: float) -> HeldLock | None:
        from filelock import FileLock, Timeout

        # Any thread may release the lock, not only the one that acquired it.
        lock = FileLock(self.folder / f"{name}.lock", thread_local=False)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=timeout_s)
        except Timeout:
            return None
        except OSError as error:
            raise WorkspaceError(f"cannot write {lock.lock_file}: {error.strerror or error}") from None
        return _LockFile(lock)


@dataclass(frozen=True, slots=True)
class _LockFile:
    """A locked file. Only the end of the process can release it early, so it never needs renewing."""

    lock: FileLock

    def release(self) -> None:
        self.lock.release()

    def renew(self) -> bool:
        return True
