"""Child processes that end with this process, however it ends.

On Linux the kernel does it: a process is given the reading end of a pipe of which only we hold the other, and
asked for a SIGKILL to its group once that end closes. So it dies when we do, by SIGKILL too; no thread, no
wrapper and no code between fork and exec is needed. Elsewhere processes are ended when we end in order.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

__all__ = ["ChildGuard"]


class ChildGuard:
    """Ties one process group to this process.

    Attributes
    ----------
    stdin
        The standard input of the process. Nothing is ever written to it.
    """

    def __init__(self) -> None:
        self.stdin, self._held = os.pipe()

    def tie(self, group: int) -> None:
        """Kill the processes of `group` when this process dies or `cut` is called."""
        if sys.platform == "linux":
            import fcntl

            with suppress(OSError):  # on a kernel that lacks it they are ended in order alone
                fcntl.fcntl(self.stdin, fcntl.F_SETOWN, -group)
                fcntl.fcntl(self.stdin, fcntl.F_SETSIG, signal.SIGKILL)
                flags = fcntl.fcntl(self.stdin, fcntl.F_GETFL)
                fcntl.fcntl(self.stdin, fcntl.F_SETFL, flags | os.O_ASYNC)

    def cut(self) -> None:
        """Kill the rest of the group: a program may have started others."""
        os.close(self._held)
        os.close(self.stdin)
