"""Choosing windows of a timeline: some of equal length that do not overlap and together hold most speech."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

from tessera.context import LEVEL_HOP_MS
from tessera.media.algebra.time import Range, to_ms

__all__ = ["Window", "best_windows"]

_LEAD_IN_MS = 150
_MOST_CANDIDATES = 4_000
_EDGE_PENALTY_MS = 250
"""Speech that a window loses for each of its edges that falls into speech."""

_LEVEL_BONUS = Fraction(1, 400)
"""Of a window's length: what it gains for each dB above the mean level."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window from `start` (s) on: the share of it that is speech, and its score."""

    start: Fraction
    share: Fraction
    score: int


def best_windows(
    duration: Fraction,
    length: Fraction,
    count: int,
    speech: Sequence[Range],
    levels: Sequence[float] | None = None,
) -> list[Window]:
    """The `count` windows of `length` with the greatest sum of scores, in order of time.

    A window's score is its time of speech, less a penalty for each edge that cuts into speech, and a little
    more or less for its level. Among equal sums, earlier windows win. Windows start on whole milliseconds,
    unless so many of a length that is none fit only edge to edge.

    Parameters
    ----------
    count
        At most duration // length; exactly so many come out.
    speech
        Ordered ranges, in seconds.
    levels
        dBFS for each step of `LEVEL_HOP_MS`, or None.

    Raises
    ------
    ValueError
        So many windows do not fit.
    """
    if length <= 0 or count < 1 or count * length > duration:
        raise ValueError(f"{count} windows of {length} s do not fit into {duration} s")
    # From here on, times are whole ticks, `grain` of them a millisecond.
    grain = (length * 1000).denominator
    size, end = int(length * 1000 * grain), int(duration * 1000 * grain)
    runs = [(to_ms(begin) * grain, to_ms(finish) * grain) for begin, finish in speech]
    talk, loud = _Speech(runs), _Levels(levels or (), LEVEL_HOP_MS * grain)
    starts = _candidates(end, size, count, runs, grain)
    spoken = [talk.within(start, start + size) for start in starts]
    scores = [
        held
        - _EDGE_PENALTY_MS * grain * (talk.cut_at(start) + talk.cut_at(start + size))
        + int(_LEVEL_BONUS * size * loud.above_mean(start, start + size))
        for start, held in zip(starts, spoken, strict=True)
    ]
    return [
        Window(Fraction(starts[at], 1000 * grain), Fraction(spoken[at], size), scores[at])
        for at in _choose(starts, scores, size, count)
    ]


def _candidates(end: int, size: int, count: int, runs: Sequence[tuple[int, int]], grain: int) -> list[int]:
    """Where a window may start, in ticks.

    At multiples of its length, so that the number can be had; around runs of speech; and at whole seconds.
    The latter two are thinned where there are very many.
    """
    last = end - size
    stride = -(-size // grain) * grain
    if (count - 1) * stride > last:
        stride = size
    second = 1000 * grain
    step = second * max(1, -(-end // (second * _MOST_CANDIDATES)))
    starts = {last - last % grain, *range(0, last + 1, stride), *range(0, last + 1, step)}
    every = max(1, -(-2 * len(runs) // _MOST_CANDIDATES))
    lead = _LEAD_IN_MS * grain
    for begin, finish in runs[::every]:
        after = finish - size + lead
        starts.update((begin - lead, after - after % grain))
    return sorted(start for start in starts if 0 <= start <= last)


def _choose(starts: Sequence[int], scores: Sequence[int], size: int, count: int) -> list[int]:
    """Weighted interval scheduling with a fixed number of intervals: indices of the best, in order."""
    before = [bisect_right(starts, start - size) for start in starts]
    # sums[n] is the best sum of the intervals taken so far among the first n; None where there is no room.
    sums: list[int | None] = [0] * (len(starts) + 1)
    rows: list[list[bool]] = []
    for _ in range(count):
        best: int | None = None
        row: list[int | None] = [None]
        taken = [False]
        for score, earlier in zip(scores, before, strict=True):
            rest = sums[earlier]
            better = rest is not None and (best is None or rest + score > best)
            if rest is not None and better:
                best = rest + score
            row.append(best)
            taken.append(better)
        rows.append(taken)
        sums = row
    chosen: list[int] = []
    at = len(starts)
    for taken in reversed(rows):
        while not taken[at]:
            at -= 1
        chosen.append(at - 1)
        at = before[at - 1]
    return chosen[::-1]


class _Speech:
    """The time of speech within any range, by prefix sums."""

    def __init__(self, runs: Sequence[tuple[int, int]]) -> None:
        self._runs = runs
        self._begins = [begin for begin, _end in runs]
        self._sums = list(accumulate((end - begin for begin, end in runs), initial=0))

    def _until(self, time: int) -> int:
        index = bisect_right(self._begins, time)
        if not index:
            return 0
        begin, end = self._runs[index - 1]
        return self._sums[index - 1] + min(time, end) - begin

    def within(self, start: int, end: int) -> int:
        return self._until(end) - self._until(start)

    def cut_at(self, time: int) -> bool:
        """Whether an edge here cuts into speech."""
        index = bisect_right(self._begins, time)
        return bool(index) and self._begins[index - 1] < time < self._runs[index - 1][1]


class _Levels:
    """How far the mean level of a range is above that of the whole, in dB: exact, as levels are tenths."""

    def __init__(self, levels: Sequence[float], hop: int) -> None:
        self._hop = hop
        self._sums = list(accumulate((round(level * 10) for level in levels), initial=0))

    def above_mean(self, start: int, end: int) -> Fraction:
        whole = len(self._sums) - 1
        low, high = min(start // self._hop, whole), min(-(-end // self._hop), whole)
        if low == high:
            return Fraction(0)
        inside = Fraction(self._sums[high] - self._sums[low], high - low)
        return (inside - Fraction(self._sums[-1], whole)) / 10
