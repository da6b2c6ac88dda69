"""Rows of the media benchmarks: our wall time beside an opponent's, measured in turn in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["Row", "print_table", "race"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: seconds of wall time (medians), what must be reached, and whether it was."""

    case: str
    ours_s: float
    theirs_s: float | None
    target: str
    reached: str
    met: bool
    note: str = ""


def race(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int = 5) -> tuple[float, float]:
    """The median seconds of both, run in turn `rounds` times."""
    times: tuple[list[float], list[float]] = ([], [])
    for _round in range(rounds):
        for work, into in zip((ours, theirs), times, strict=True):
            begun = time.perf_counter()
            work()
            into.append(time.perf_counter() - begun)
    return statistics.median(times[0]), statistics.median(times[1])


def print_table(rows: Iterable[Row]) -> None:
    """Print rows as a Markdown table, each as soon as it is measured."""
    print("| case | ours | opponent | reached | must reach | |\n|---|---:|---:|---|---|---|", flush=True)
    for row in rows:
        theirs = f"{row.theirs_s:.2f} s" if row.theirs_s is not None else "–"
        verdict = "met" if row.met else "missed"
        shown = f"{row.reached} {row.note}".strip()
        cells = (row.case, f"{row.ours_s:.2f} s", theirs, shown, row.target, verdict)
        print(f"| {' | '.join(cells)} |", flush=True)
