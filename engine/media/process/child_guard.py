"""Child processes that end with this process, however it ends.

On Linux the kernel does it: a process is given the reading end of a pipe of which only we hold the other, and
asked for a SIGKILL to it once that end closes. So it dies when we do, by SIGKILL too; no thread and no code
between fork and exec is needed. The kernel can be asked only once the process exists. Until then a shell is
in its place, which waits for our word: if we die before, the word never comes, and the shell ends. This takes
1 ms. Elsewhere processes are ended when we end in order.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

__all__ = ["ChildGuard"]

_SHELL = "/bin/sh"
_WAITING = (_SHELL, "-c", 'read -r _ && exec "$0" "$@"')
"""Reads a line from standard input, then becomes the program in its arguments; ends if there is none."""


class ChildGuard:
    """Ties one process to this process.

    Start `waiting(command)` with `stdin` and the inherited `pipes`, `tie` it, and `release` it.

    Attributes
    ----------
    stdin
        The standard input of the process. Nothing but the word to begin is ever written to it.
    pipes
        The file descriptors that it must inherit besides.
    """

    def __init__(self) -> None:
        self.stdin, self._word = os.pipe()
        self._lifeline, self._held = os.pipe()
        self.pipes = (self._lifeline,) if sys.platform == "linux" else ()
        self._waits = False

    def waiting(self, command: Sequence[str]) -> tuple[str, ...]:
        """Return the command line of a process that waits to be released, and then becomes `command`."""
        # The shell could only exit where an error of the system is due, so it is not used for a lost program.
        self._waits = sys.platform == "linux" and all(os.access(one, os.X_OK) for one in (_SHELL, command[0]))
        return (*_WAITING, *command) if self._waits else tuple(command)

    def tie(self, owner: int) -> None:
        """Kill a process, or the group -`owner`, when this process dies or `cut` is called."""
        if sys.platform == "linux":
            import fcntl

            with suppress(OSError):  # on a kernel that lacks it they are ended in order alone
                fcntl.fcntl(self._lifeline, fcntl.F_SETOWN, owner)
                fcntl.fcntl(self._lifeline, fcntl.F_SETSIG, signal.SIGKILL)
                flags = fcntl.fcntl(self._lifeline, fcntl.F_GETFL)
                fcntl.fcntl(self._lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)

    def release(self) -> None:
        """Let the process begin. It reads nothing else: its standard input ends here."""
        if self._waits:
            with suppress(BrokenPipeError):  # it has been killed
                os.write(self._word, b"\n")

    def cut(self) -> None:
        """Kill what is left: a program may have started others."""
        for pipe in (self._held, self._lifeline, self._word, self.stdin):
            os.close(pipe)
