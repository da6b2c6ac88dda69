"""`python -m engine.cli` is `tessera`."""

from __future__ import annotations

import gc
import sys

from engine.cli import main

__all__ = ["command"]


def command() -> int:
    """One command line, as the whole of a process.

    It makes much and throws little away: to look for cycles, again and again and at the end, is a tenth of
    what a short one costs.
    """
    gc.set_threshold(500_000)
    try:
        return main()
    finally:
        gc.disable()


if __name__ == "__main__":
    sys.exit(command())
