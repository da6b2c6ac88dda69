"""The entry point of `tessera` and `python -m tessera.cli`."""

from __future__ import annotations

import gc
import sys
from typing import NoReturn

from tessera.cli import main

__all__ = ["command"]


def command() -> NoReturn:
    """Run one command line and end the process.

    A command allocates many objects and frees few, and at the end the interpreter would collect all of them
    again, which takes a quarter of the time of a short command. So collection is rare, and what is left is
    exempt from it.
    """
    gc.set_threshold(500_000)
    code = main()
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    command()
