"""Atomic file writes, file locks, and the cleanup of partial files of dead processes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tessera.errors import Fault, RequestError, WorkspaceError
from tessera.text.wording import has_lone_surrogate

__all__ = [
    "abandoned",
    "alone_in",
    "check_target",
    "delete",
    "finished_entries",
    "folder_size",
    "kept_by_content",
    "named",
    "part_prefix",
    "set_aside",
    "sweep",
    "synced",
    "whole_file",
    "write_atomically",
]

_PART = re.compile(r"\.part-(\d+)-")
_SHOWN_STEM = 40
"""The number of characters of a file's stem in the name of its partial file: enough for an id of 36."""


def named(place: str | Path) -> Path:
    """Return a path whose name a record can hold. File names need not be valid UTF-8, but records are.

    Raises
    ------
    RequestError
        If the name is not UTF-8.
    """
    if has_lone_surrogate(str(place)):
        raise RequestError([Fault("", "request", f"the name {str(place)!r} is not UTF-8")])
    return Path(place)


def part_prefix() -> str:
    """Return the name prefix of this process's partial files and folders."""
    return f".part-{os.getpid()}-"


def sweep(folders: Iterable[Path]) -> None:
    """Remove the partial files and folders of dead processes directly in `folders`."""
    for entry in list(abandoned(folders)):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            with suppress(OSError):
                entry.unlink()


def abandoned(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the partial files and folders of dead processes directly in `folders`."""
    for folder in folders:
        try:
            found = [entry for entry in os.scandir(folder) if entry.name.startswith(".part-")]
        except OSError:
            continue
        for entry in found:
            made_by = _PART.match(entry.name)
            if made_by and not _is_alive(int(made_by[1])):
                yield Path(entry.path)


def delete(path: Path) -> str | None:
    """Delete a file or a folder, so that a process which is killed leaves nothing or the whole.

    Return the reason if that fails, or None. What is left of a folder has the name of a partial one then.
    """
    try:
        if not path.is_dir() or path.is_symlink():
            path.unlink(missing_ok=True)
            return None
        gone = Path(tempfile.mkdtemp(prefix=part_prefix(), dir=path.parent))
        try:
            path.rename(gone / path.name)
            shutil.rmtree(gone)
        except BaseException:
            with suppress(OSError):
                gone.rmdir()
            raise
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"cannot delete {error.filename or path}: {error.strerror or error}"
    return None


@contextmanager
def set_aside(folder: Path) -> Iterator[None]:
    """Move a folder or a file away atomically, and delete it when the context ends.

    If the process dies before that, `sweep` removes the rest.

    Raises
    ------
    OSError
        If it cannot be moved.
    """
    gone = Path(tempfile.mkdtemp(prefix=part_prefix(), dir=folder.parent))
    try:
        with suppress(FileNotFoundError):
            folder.rename(gone / folder.name)
        yield
    finally:
        shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder, across threads and processes: a locked file beside the folder.

    The system releases it when the process dies. On file systems without such locks there is no waiting.
    """
    from filelock import FileLock

    lock = FileLock(folder.with_name(f"{folder.name}.lock"), thread_local=False)
    with suppress(OSError, NotImplementedError):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _is_alive(pid: int) -> bool:
    # os.kill(pid, 0) asks the same on POSIX, but on Windows it interrupts the process.
    import psutil

    return bool(psutil.pid_exists(pid))


def synced(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk (fsync).

    Windows flushes only files that are open for writing, and the entries of folders by itself.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    if sys.platform == "win32" and path.is_dir():
        return
    opened = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def whole_file(target: Path, mode: int = 0o644) -> Iterator[Path]:
    """Yield a temporary path next to `target`, and move it to `target` after flushing it to the disk.

    Missing folders are created. After a failure the temporary file is removed and `target` is unchanged.
    `mode` is the permission mode of the file.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f"{part_prefix()}{target.stem[:_SHOWN_STEM]}-"
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=target.suffix, dir=target.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(mode)
        synced(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def kept_by_content(folder: Path, content: bytes, suffix: str) -> Path:
    """Store content in `folder` under its SHA-256 and return the path.

    If the file exists, only its modification time is set to now, as a sign of use.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path = folder / f"{hashlib.sha256(content).hexdigest()}{suffix}"
    with suppress(OSError):
        if path.read_bytes() == content:
            os.utime(path)
            return path
    with whole_file(path) as partial:
        partial.write_bytes(content)
    return path


def write_atomically(path: Path, text: str, *, private: bool = False) -> None:
    """Write a small text file atomically. Only the owner can read a private file.

    Raises
    ------
    WorkspaceError
        If the file cannot be written.
    """
    try:
        with whole_file(path, 0o600 if private else 0o644) as partial:
            partial.write_text(text, "utf-8", newline="\n")
    except OSError as error:
        raise WorkspaceError(f"cannot write {path}: {error.strerror or error}") from None


def check_target(file: Path) -> None:
    """Check before a run that its output file can be written. The parent folder is created.

    Raises
    ------
    WorkspaceError
        If it is a folder, or if its parent folder is not writable.
    """
    try:
        file.absolute().parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=file.absolute().parent).close()
    except OSError as error:
        raise WorkspaceError(f"cannot write {file}: {error.strerror or error}") from None
    if file.is_dir():
        raise WorkspaceError(f"cannot write {file}: it is a folder")


def finished_entries(folder: Path) -> list[Path]:
    """Return the sorted entries of a folder without the unfinished files of writing processes."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(entry for entry in entries if not entry.name.startswith(".part-"))


def folder_size(folder: Path) -> int:
    """Return the size of all files below a folder in bytes."""
    total = 0
    for path in folder.rglob("*") if folder.is_dir() else ():
        with suppress(OSError):
            total += path.lstat().st_size if path.is_file() else 0
    return total
