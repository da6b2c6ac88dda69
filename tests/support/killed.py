"""A run or a prune that kills itself at a given point, as a power cut would.

Usage: `python -m tests.support.killed WORKSPACE POINT [prune]`.

Points are counted from 1: before and after every commit of events and documents, every rename, and when
pruning every removal of a file or folder. With point 0 it works to its end and prints how many points there
were.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tessera import run
from tessera.database.sqlite import SqliteDatabase
from tessera.store.prune import prune
from tessera.testing import agent
from tests.support.media import MEDIA

AGENT = agent(
    'input > clips(num_clips=2, target_duration=4) > {mirror, reframe(aspect_ratio="9:16")}'
    " > watermark > destination"
)
"""A fan-out and a diamond: four outputs of two clips."""


class Points:
    """Count the points that are passed, and kill the process at the fatal one."""

    def __init__(self, fatal: int) -> None:
        self.fatal, self.passed = fatal, 0

    def pass_point(self) -> None:
        self.passed += 1
        if self.passed == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **options: Any) -> Any:
            self.pass_point()
            made = work(*args, **options)
            self.pass_point()
            return made

        return guarded


def main(workspace: Path, fatal: int, *, prunes: bool) -> None:
    points = Points(fatal)
    for name in ("replace", "rename", *(("unlink", "rmdir") if prunes else ())):
        setattr(os, name, points.around(getattr(os, name)))
    transaction = SqliteDatabase._transaction

    @contextmanager
    def guarded(self: SqliteDatabase, *, writes: bool = False) -> Iterator[Any]:
        with transaction(self, writes=writes) as connection:
            yield connection
            if writes:
                points.pass_point()
        if writes:
            points.pass_point()

    SqliteDatabase._transaction = guarded  # type: ignore[method-assign, assignment]
    if prunes:
        prune(workspace, 0, keep_runs=0)
        print(points.passed)
        return
    record = run(AGENT, inputs=[str(MEDIA / "talk.mp4")], workspace=workspace)
    print(points.passed, record.run_id)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), prunes=sys.argv[3:] == ["prune"])
