"""The choice of windows of equal length that do not overlap and together contain the most speech."""

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
_MAX_CANDIDATES = 4_000
"""The approximate limit for each kind of candidate, so that the search time stays bounded."""

_EDGE_PENALTY_MS = 250
"""The speech time that a window loses for each edge that cuts into speech."""

_LEVEL_BONUS = Fraction(1, 400)
"""The share of its length that a window gains for each dB above the mean level."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window: its start in seconds, the share of speech in it, and its score."""

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
    """Return the `count` windows of `length` seconds with the greatest sum of scores, in order of time.

    The score of a window is its speech time, minus a penalty for each edge that cuts into speech, plus or
    minus a small amount for its level. Among equal sums, earlier windows win. Windows start on whole
    milliseconds, unless the length is not a whole number of them and the windows fit only edge to edge.

    Parameters
    ----------
    count
        The number of windows, at most duration // length; exactly this number is returned.
    speech
        Ordered ranges of speech in seconds.
    levels
        Levels in dBFS, one per `LEVEL_HOP_MS`, or None.

    Raises
    ------
    ValueError
        If the windows do not fit into the duration.
    """
    if length <= 0 or count < 1 or count * length > duration:
        raise ValueError(f"{count} × {length} s does not fit into {duration} s")
    # From here on, times are whole ticks, `grain` per millisecond, so that all arithmetic is on integers.
    grain = (length * 1000).denominator
    size, end = int(length * 1000 * grain), int(duration * 1000 * grain)
    runs = [(to_ms(begin) * grain, to_ms(finish) * grain) for begin, finish in speech]
    speech_sums, level_sums = _SpeechSums(runs), _LevelSums(levels or (), LEVEL_HOP_MS * grain)
    starts = _candidates(end, size, count, runs, grain)
    spoken = [speech_sums.within(start, start + size) for start in starts]
    scores = [
        speech_time
        - _EDGE_PENALTY_MS * grain * (speech_sums.cuts_at(start) + speech_sums.cuts_at(start + size))
        + int(_LEVEL_BONUS * size * level_sums.above_mean(start, start + size))
        for start, speech_time in zip(starts, spoken, strict=True)
    ]
    return [
        Window(Fraction(starts[index], 1000 * grain), Fraction(spoken[index], size), scores[index])
        for index in _choose(starts, scores, size, count)
    ]


def _candidates(end: int, size: int, count: int, runs: Sequence[tuple[int, int]], grain: int) -> list[int]:
    """Return the candidate starts of a window, in ticks.

    Multiples of the length guarantee that `count` windows fit. Starts around runs of speech and at whole
    seconds give good windows; very many of them are thinned out.
    """
    last = end - size
    stride = -(-size // grain) * grain
    if (count - 1) * stride > last:
        stride = size
    second = 1000 * grain
    step = second * max(1, -(-end // (second * _MAX_CANDIDATES)))
    starts = {last - last % grain, *range(0, last + 1, stride), *range(0, last + 1, step)}
    every = max(1, -(-2 * len(runs) // _MAX_CANDIDATES))
    lead = _LEAD_IN_MS * grain
    for begin, finish in runs[::every]:
        after = finish - size + lead
        starts.update((begin - lead, after - after % grain))
    return sorted(start for start in starts if 0 <= start <= last)


def _choose(starts: Sequence[int], scores: Sequence[int], size: int, count: int) -> list[int]:
    """Return the indices of the best `count` intervals: weighted interval scheduling with a fixed number."""
    before = [bisect_right(starts, start - size) for start in starts]
    # sums[n] is the best sum of the intervals chosen so far among the first n, or None if they do not fit.
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
    # Walk back through the rows: the last interval taken in each row is part of the best choice.
    index = len(starts)
    for taken in reversed(rows):
        while not taken[index]:
            index -= 1
        chosen.append(index - 1)
        index = before[index - 1]
    return chosen[::-1]


class _SpeechSums:
    """Prefix sums that give the speech time within any range."""

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

    def cuts_at(self, time: int) -> bool:
        """Return True if an edge at this time cuts into speech."""
        index = bisect_right(self._begins, time)
        return bool(index) and self._begins[index - 1] < time < self._runs[index - 1][1]


class _LevelSums:
    """Prefix sums that give the mean level of a range above the overall mean, in dB.

    The sums are exact integers, because levels are multiples of 0.1 dB.
    """

    def __init__(self, levels: Sequence[float], hop: int) -> None:
        self._hop = hop
        self._sums = list(accumulate((round(level * 10) for level in levels), initial=0))

    def above_mean(self, start: int, end: int) -> Fraction:
        steps = len(self._sums) - 1
        low, high = min(start // self._hop, steps), min(-(-end // self._hop), steps)
        if low == high:
            return Fraction(0)
        inside = Fraction(self._sums[high] - self._sums[low], high - low)
        return (inside - Fraction(self._sums[-1], steps)) / 10
