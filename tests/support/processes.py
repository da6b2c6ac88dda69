"""Processes that a test started through others."""

from __future__ import annotations

import time

import psutil


def ends_within(pid: int, *, timeout_s: float) -> bool:
    """Whether process `pid` ends within `timeout_s` seconds; a zombie has ended."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False
