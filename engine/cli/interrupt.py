"""Ctrl-C during a run: the first asks it to end, the second ends the program."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from tessera.cli.output import INTERRUPTED

__all__ = ["cancel_on_interrupt"]

_SHOW_CURSOR = b"\x1b[?25h\n"


@contextlib.contextmanager
def cancel_on_interrupt(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Gives the flag that SIGINT or SIGTERM sets; a second signal ends the program at once, with code 130.

    `say` tells the user that the run is ending. It is called in a thread of its own: a signal may come while
    this one is writing.
    """
    flag = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if flag.is_set():
            if sys.stderr.isatty():
                os.write(2, _SHOW_CURSOR)
            os._exit(INTERRUPTED)
        flag.set()
        threading.Thread(target=say, args=("cancelling; once more to abort",), daemon=True).start()

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
