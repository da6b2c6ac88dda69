"""Files from outside, opened only if reading them ends: no device, no socket, no pipe without a writer."""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["check_file", "open_file", "open_stream", "read_document"]

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
"""The size of the largest template, request or other document that is read."""

_WRITER_S = 2.0
_POLL_S = 0.02
"""The seconds to wait for a process that opens a named pipe to write, and those between two looks."""

_KINDS = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a named pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


def check_file(path: str | Path) -> None:
    """Check that a path leads to a regular file.

    Raises
    ------
    OSError
        If it does not exist or is something else. `strerror` says what it is.
    """
    _check(os.stat(path).st_mode, path, may_be_pipe=False)


def open_file(path: str | Path) -> BufferedReader:
    """Open a regular file for reading.

    Raises
    ------
    OSError
        As `check_file` does, or if the file cannot be opened.
    """
    return _open(path, may_be_pipe=False)


def open_stream(path: str | Path) -> BufferedReader:
    """Open a regular file or a pipe, such as that of `<(command)` in a shell, which can be read only once.

    Raises
    ------
    OSError
        If it is something else, cannot be opened, or is a named pipe to which no process writes.
    """
    return _open(path, may_be_pipe=True)


def read_document(path: str | Path) -> bytes:
    """Return the content of a regular file or a pipe, of at most `MAX_DOCUMENT_BYTES` bytes.

    Raises
    ------
    OSError
        As `open_stream` does, or if it has more bytes.
    """
    with open_stream(path) as file:
        data = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise OSError(errno.EFBIG, f"has more than {MAX_DOCUMENT_BYTES:,} bytes", str(path))
    return data


def _open(path: str | Path, *, may_be_pipe: bool) -> BufferedReader:
    # Sockets cannot be opened, and the error would not say why.
    _check(os.stat(path).st_mode, path, may_be_pipe=may_be_pipe)
    # Windows has neither flag in common with others: no pipes among files that could block, but text files.
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    opened = os.open(path, os.O_RDONLY | flags)
    try:
        mode = os.fstat(opened).st_mode
        # Another file may have taken its place meanwhile.
        _check(mode, path, may_be_pipe=may_be_pipe)
        return BufferedReader(_Pipe(opened, path)) if stat.S_ISFIFO(mode) else os.fdopen(opened, "rb")
    except BaseException:
        os.close(opened)
        raise


def _check(mode: int, path: str | Path, *, may_be_pipe: bool) -> None:
    if stat.S_ISREG(mode) or (may_be_pipe and stat.S_ISFIFO(mode)):
        return
    what = next((text for is_kind, text in _KINDS if is_kind(mode)), "is not a file")
    raise OSError(errno.EINVAL, f"{what}, not a file" if what != "is not a file" else what, str(path))


class _Pipe(RawIOBase):
    """A pipe that does not block while no process writes to it."""

    def __init__(self, opened: int, path: str | Path) -> None:
        self._opened, self._path = opened, path
        self._end = time.monotonic() + _WRITER_S
        self._has_writer = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        while True:
            try:
                data = os.read(self._opened, len(view))
            except BlockingIOError:
                self._has_writer = True
                select.select([self._opened], [], [])
                continue
            if data or self._has_writer:
                self._has_writer = True
                view[: len(data)] = data
                return len(data)
            if time.monotonic() > self._end:
                raise OSError(errno.EINVAL, "is a named pipe to which no process writes", str(self._path))
            time.sleep(_POLL_S)

    def close(self) -> None:
        if not self.closed:
            os.close(self._opened)
        super().close()
