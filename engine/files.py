"""Files that appear whole or not at all, and what is left of those that a dead process was writing."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tessera.errors import Fault, RequestError, WorkspaceError
from tessera.text.wording import has_lone_surrogate

__all__ = [
    "alone_in",
    "check_target",
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
"""Characters of a file's name that the name of its unfinished part shows: as many as an id has, and more."""


def named(place: str | Path) -> Path:
    """A path that a record can name: its text is UTF-8, as not every file's name is.

    Raises
    ------
    RequestError
        It is not.
    """
    if has_lone_surrogate(str(place)):
        raise RequestError([Fault("", "request", f"the name {str(place)!r} is not UTF-8")])
    return Path(place)


def part_prefix() -> str:
    """How the names of this process's unfinished files and folders begin."""
    return f".part-{os.getpid()}-"


def sweep(folders: Iterable[Path]) -> None:
    """Remove the unfinished files and folders, directly in `folders`, of processes that are no more."""
    for folder in folders:
        try:
            found = [entry for entry in os.scandir(folder) if entry.name.startswith(".part-")]
        except OSError:
            continue
        for entry in found:
            made_by = _PART.match(entry.name)
            if made_by and not _lives(int(made_by[1])):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    with suppress(OSError):
                        os.unlink(entry.path)


@contextmanager
def set_aside(folder: Path) -> Iterator[None]:
    """Have a folder, or a file, out of its place, in one step for whoever looks, and remove it afterwards: of
    what is killed meanwhile the rest is swept.

    Raises
    ------
    OSError
        It cannot be moved.
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
    """Wait until nobody else, in this process or another, is in the same folder so.

    Where the file system knows no such locks nobody waits.
    """
    opened = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def synced(path: Path) -> None:
    """Wait until a file, or the names in a folder, are safe on the disk.

    Raises
    ------
    OSError
        They cannot be written.
    """
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def whole_file(target: Path, mode: int = 0o644) -> Iterator[Path]:
    """A temporary name beside `target` to write to, moved into its place once its content is safe.

    Folders that are not there are made. After a failure nothing is left, and what stood at `target` stays.
    `mode` tells who may read and write the file.

    Raises
    ------
    OSError
        It cannot be written.
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
    """A file in `folder` with this content, named by its SHA-256; one that is there already is said to be
    used now.

    Raises
    ------
    OSError
        It cannot be written.
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
    """Write a small file whole or not at all; a private one is for its owner alone.

    Raises
    ------
    WorkspaceError
        It cannot be written.
    """
    try:
        with whole_file(path, 0o600 if private else 0o644) as partial:
            partial.write_text(text, "utf-8")
    except OSError as error:
        raise WorkspaceError(f"cannot write {path}: {error.strerror or error}") from None


def check_target(file: Path) -> None:
    """Refuse early a file that could not be written at the end of a run; its folder is made.

    Raises
    ------
    WorkspaceError
        It is a folder, or nothing can be written beside it.
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
