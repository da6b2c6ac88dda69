"""`python -m tessera.cli` is `tessera`."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

from tessera.cli import main

__all__ = ["command"]


def command() -> NoReturn:
    """One command line, as the whole of a process, which ends with it.

    It makes much and throws little away. To look for cycles again and again, and at the end to take all of it
    apart, is a quarter of what a short one costs; so what was promised for the end is done, and no more.
    """
    gc.set_threshold(500_000)
    code = main()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    command()
