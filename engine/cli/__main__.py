"""The entry point of `tessera` and `python -m tessera.cli`."""

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
    """Run one command line and end the process.

    A command allocates many objects and frees few. Garbage collection and the teardown of the interpreter
    take a quarter of the time of a short command. So collection is rare, and the process exits directly
    after the exit handlers.
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
