"""CPU time: of this process with those that it has waited for, and of a command as a whole process."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["cpu", "cpu_of_command", "machine", "measured"]


def cpu() -> float:
    """Seconds of user and system time of this process, all its threads, and its finished children."""
    return time.process_time() + _children()


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measured(work: Callable[[], Any]) -> tuple[float, Any]:
    """The CPU seconds that `work` takes, and its result. The garbage collector stays as it is by default."""
    begun = cpu()
    result = work()
    return cpu() - begun, result


def cpu_of_command(command: Sequence[str], folder: Path) -> float:
    """The user and system seconds of a command that must succeed, run in `folder`."""
    begun = _children()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return _children() - begun


def machine() -> dict[str, Any]:
    """What this runs on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return {"cpu": _model(), "cores": cores, "python": python, "platform": sys.platform}


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
