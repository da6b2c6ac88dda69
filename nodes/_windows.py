"""Choosing windows of a timeline: a number of equal lengths that do not overlap and together hold the most speech."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from engine.context import LEVEL_HOP_MS
from engine.media.time import Range, to_ms

__all__ = ["Window", "best_windows"]

_LEAD_IN_MS = 150
_MOST_CANDIDATES = 4_000
_EDGE_PENALTY = 0.25
"""Seconds of speech that a window loses for each of its edges that falls into speech."""

_LEVEL_WEIGHT = 0.05
"""Seconds gained per second of window for each 20 dB above the mean level."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window from `start_ms` on: its score, and the milliseconds of speech in it."""

    start_ms: int
    score: float
    speech_ms: int


def best_windows(
    duration_ms: int,
    length_ms: int,
    count: int,
    speech: Sequence[Range],
    levels: Sequence[float] | None = None,
) -> list[Window]:
    """The `count` windows of `length_ms` with the greatest sum of scores, in order of time.

    A window's score is its seconds of speech, less a penalty for each edge that cuts into speech, and a little more
    or less for its level. Among equal sums the earlier windows win.

    Parameters
    ----------
    count
        At most duration_ms // length_ms; exactly so many come out.
    speech
        Ordered ranges, in seconds.
    levels
        dBFS for each step of `LEVEL_HOP_MS`, or None.

    Raises
    ------
    ValueError
        So many windows do not fit.
    """
    if length_ms < 1 or count < 1 or count * length_ms > duration_ms:
        raise ValueError(f"{count} windows of {length_ms} ms do not fit into {duration_ms} ms")
    runs = [(to_ms(start), to_ms(end)) for start, end in speech]
    talk, loud = _Speech(runs), _Levels(levels)
    windows = []
    for start in _candidates(duration_ms, length_ms, runs):
        spoken = talk.within(start, start + length_ms)
        edges = talk.cut_at(start) + talk.cut_at(start + length_ms)
        bonus = _LEVEL_WEIGHT * length_ms / 1000 * loud.above_mean(start, start + length_ms) / 20
        windows.append(Window(start, spoken / 1000 - _EDGE_PENALTY * edges + bonus, spoken))
    return _choose(windows, length_ms, count)


def _candidates(duration_ms: int, length_ms: int, runs: Sequence[tuple[int, int]]) -> list[int]:
    """Where a window may start: at multiples of its length, so that any number that fits can be had; before and
    after runs of speech; and at even steps between."""
    last = duration_ms - length_ms
    starts = set(range(0, last + 1, length_ms)) | {last}
    step = max(1000, -(-duration_ms // _MOST_CANDIDATES))
    starts.update(range(0, last + 1, step))
    every = max(1, -(-2 * len(runs) // _MOST_CANDIDATES))
    for begin, end in runs[::every]:
        starts.update((begin - _LEAD_IN_MS, end - length_ms + _LEAD_IN_MS))
    return sorted(start for start in starts if 0 <= start <= last)


def _choose(windows: Sequence[Window], length_ms: int, count: int) -> list[Window]:
    """Weighted interval scheduling with a fixed number of intervals, by dynamic programming."""
    starts = [window.start_ms for window in windows]
    before = [bisect_right(starts, start - length_ms) for start in starts]
    impossible = float("-inf")
    sums: list[float] = [0.0] * (len(windows) + 1)
    taken: list[list[bool]] = []
    for _ in range(count):
        row = [impossible] * (len(windows) + 1)
        took = [False] * (len(windows) + 1)
        for at, window in enumerate(windows, 1):
            with_it = sums[before[at - 1]] + window.score
            if with_it > row[at - 1]:
                row[at], took[at] = with_it, True
            else:
                row[at] = row[at - 1]
        taken.append(took)
        sums = row
    chosen: list[Window] = []
    at = len(windows)
    for took in reversed(taken):
        while not took[at]:
            at -= 1
        chosen.append(windows[at - 1])
        at = before[at - 1]
    return chosen[::-1]


class _Speech:
    """Milliseconds of speech within any range, by prefix sums."""

    def __init__(self, runs: Sequence[tuple[int, int]]) -> None:
        self.runs = runs
        self.begins = [begin for begin, _end in runs]
        self.sums = list(accumulate((end - begin for begin, end in runs), initial=0))

    def _until(self, time: int) -> int:
        index = bisect_right(self.begins, time)
        if not index:
            return 0
        return self.sums[index - 1] + min(time, self.runs[index - 1][1]) - self.begins[index - 1]

    def within(self, start: int, end: int) -> int:
        return self._until(end) - self._until(start)

    def cut_at(self, time: int) -> bool:
        """Whether an edge here cuts into speech."""
        index = bisect_right(self.begins, time)
        return bool(index) and self.begins[index - 1] < time < self.runs[index - 1][1]


class _Levels:
    """How far the mean level of a range is above that of the whole, in dB."""

    def __init__(self, levels: Sequence[float] | None) -> None:
        self.sums = list(accumulate(levels or (), initial=0.0))
        self.mean = self.sums[-1] / len(levels) if levels else 0.0

    def above_mean(self, start: int, end: int) -> float:
        low = min(start // LEVEL_HOP_MS, len(self.sums) - 1)
        high = min(-(-end // LEVEL_HOP_MS), len(self.sums) - 1)
        return (self.sums[high] - self.sums[low]) / (high - low) - self.mean if high > low else 0.0


