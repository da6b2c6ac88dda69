"""Ctrl-C during a run: the first cancels the run, the second ends the process."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from tessera.cli.display.output import INTERRUPTED

__all__ = ["cancel_on_interrupt"]

_SHOW_CURSOR = b"\x1b[?25h\n"


@contextlib.contextmanager
def cancel_on_interrupt(write_line: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Yield a function that returns True after SIGINT or SIGTERM.

    A second signal ends the process at once with exit code 130.

    `write_line` prints a message about it. It is called in a separate thread, since a signal can arrive while
    the main thread is writing.
    """
    flag = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if flag.is_set():
            if sys.stderr.isatty():
                os.write(2, _SHOW_CURSOR)
            os._exit(INTERRUPTED)
        flag.set()
        threading.Thread(target=write_line, args=("cancelling; once more to abort",), daemon=True).start()

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
