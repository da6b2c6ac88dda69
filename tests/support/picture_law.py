"""Law 3, computed from the times of decoded pictures: which of them a range shows, and when."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from fractions import Fraction

from tessera.media.algebra.time import Range
from tessera.media.probe.info import MediaInfo

__all__ = ["pictures_in"]


def pictures_in(
    times: Sequence[Fraction], info: MediaInfo, kept: Sequence[Range]
) -> Iterator[tuple[int, Fraction]]:
    """Yield the number of each picture that the ranges show, and its time on their joined timeline.

    `times` are the times of all pictures, from the first one on. Ranges that touch are one. A range within a
    picture shows it if that picture is long enough by the rule of law 3, or by a constant low rate.
    """
    assert info.picture is not None
    interval = info.picture.still_after * info.picture.time_base
    at = Fraction(0)
    ranges: list[Range] = []
    for start, end in kept:
        ranges.append((ranges.pop()[0], end) if ranges and ranges[-1][1] == start else (start, end))
    for start, end in ranges:
        first, last = bisect_left(times, start), bisect_left(times, end)
        following = times[first] if first < len(times) else info.duration
        is_slow = info.picture.rate < 5 and not info.picture.variable
        within = first == last and is_slow
        if first and (within or following - start > interval):
            yield first - 1, at
        yield from ((number, at + times[number] - start) for number in range(first, last))
        at += end - start
