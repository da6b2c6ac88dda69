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

_LEVEL_BONUS_DIVISOR = 4_000
"""A window gains this part of its length for each 0.1 dB above the mean level."""


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
    spoken, cuts = speech_sums.windows(starts, size)
    penalty = _EDGE_PENALTY_MS * grain
    scores = [
        speech_time - penalty * edges + bonus
        for speech_time, edges, bonus in zip(spoken, cuts, level_sums.bonuses(starts, size), strict=True)
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

    def windows(self, starts: Sequence[int], size: int) -> tuple[list[int], list[int]]:
        """Return, for each window, its speech time and the number of its edges that cut into speech."""
        before = self._at(starts)
        after = self._at([start + size for start in starts])
        spoken = [last - first for (first, _), (last, _) in zip(before, after, strict=True)]
        cuts = [first + last for (_, first), (_, last) in zip(before, after, strict=True)]
        return spoken, cuts

    def _at(self, times: Sequence[int]) -> list[tuple[int, int]]:
        """Return, for each time, the speech before it, and 1 if an edge there cuts into speech, else 0."""
        begins, runs, sums = self._begins, self._runs, self._sums
        found = []
        for time in times:
            index = bisect_right(begins, time)
            if not index:
                found.append((0, 0))
                continue
            begin, end = runs[index - 1]
            if time < end:
                found.append((sums[index - 1] + time - begin, int(begin < time)))
            else:
                found.append((sums[index], 0))
        return found


class _LevelSums:
    """Prefix sums that give the mean level of a range above the overall mean, in dB.

    The sums are exact integers, because levels are multiples of 0.1 dB.
    """

    def __init__(self, levels: Sequence[float], hop: int) -> None:
        self._hop = hop
        self._sums = list(accumulate((round(level * 10) for level in levels), initial=0))

    def bonuses(self, starts: Sequence[int], size: int) -> list[int]:
        """Return the bonus of the window from each start, in ticks, rounded towards zero."""
        hop, sums = self._hop, self._sums
        steps, total = len(sums) - 1, sums[-1]
        if not steps:
            return [0] * len(starts)
        found = []
        for start in starts:
            low, high = min(start // hop, steps), min(-(-(start + size) // hop), steps)
            if low == high:
                found.append(0)
                continue
            # The mean of the window less the mean of all, over their common denominator.
            inside, width = sums[high] - sums[low], high - low
            above = size * (inside * steps - total * width)
            scale = _LEVEL_BONUS_DIVISOR * width * steps
            found.append(above // scale if above >= 0 else -(-above // scale))
        return found
