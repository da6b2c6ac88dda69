"""Child processes that are started and killed as a group, on every platform.

On POSIX a child leads a session of its own: Ctrl-C in the terminal does not reach it, one signal kills it and
all that it started, and it inherits pipes by their numbers. Windows has neither such signals nor such
pipes. There a child leads a process group, which Ctrl-C does not reach either, and is killed with its
descendants one by one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["INHERITS_PIPES", "kill_group", "start_group"]

INHERITS_PIPES = sys.platform != "win32"
"""True if a child process can inherit pipes other than its standard streams."""


def start_group(
    args: Sequence[str], *, stdin: int, cwd: Path | None = None, pipes: tuple[int, ...] = ()
) -> subprocess.Popen[str]:
    """Start a process as the leader of a new group; its output and its errors are read as text.

    Parameters
    ----------
    stdin
        The file descriptor of its standard input.
    pipes
        Further file descriptors that it inherits. None may be given unless `INHERITS_PIPES`.

    Raises
    ------
    OSError
        If it cannot be started.
    """
    if sys.platform == "win32":
        assert not pipes
        return subprocess.Popen(
            args,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            cwd=cwd,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
        )
    return subprocess.Popen(
        args,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        cwd=cwd,
        start_new_session=True,
        pass_fds=pipes,
    )


def kill_group(leader: int) -> None:
    """Kill the group that a process leads. A group that has ended is no error.

    On Windows a descendant whose own parent has ended before is not found.
    """
    if sys.platform == "win32":
        import psutil

        with suppress(psutil.Error):
            process = psutil.Process(leader)
            for each in (*process.children(recursive=True), process):
                with suppress(psutil.Error):
                    each.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
