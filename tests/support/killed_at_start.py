"""Processes that start an ffmpeg and are killed meanwhile, each at another line or after another time.

Usage: `python -m tests.support.killed_at_start MARK`. It prints how many were killed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from tessera.media.process import child_guard, process, process_group
from tessera.media.process.process import ffmpeg_path, run_ffmpeg

FILES = {one.__file__ for one in (child_guard, process, process_group)}
_LINES = 60
_TIMES = 60
_STEP_S = 0.000_25


def kill_at_line(number: int) -> None:
    """Let this process be killed at a line of the modules that start ffmpeg, counted from 1."""
    left = number

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def kill_after(seconds: float) -> None:
    """Let the system end this process after a time, wherever it is then."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def is_killed(arm: Callable[[], None], mark: str) -> bool:
    child = os.fork()
    if child == 0:
        arm()
        source = ["-re", "-f", "lavfi", "-i", "color=size=16x16"]
        run_ffmpeg([*source, "-t", "20", "-metadata", f"title={mark}", "-f", "null", "-"])
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main(mark: str) -> None:
    ffmpeg_path()
    killed = [is_killed(lambda number=line: kill_at_line(number), mark) for line in range(1, _LINES + 1)]  # type: ignore[misc]
    killed += [is_killed(lambda time=step * _STEP_S: kill_after(time), mark) for step in range(1, _TIMES + 1)]  # type: ignore[misc]
    print(sum(killed))


if __name__ == "__main__":
    main(sys.argv[1])
