"""Ranges of timelines: check them, compose them, and map them to the sources that a timeline shows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Any

from tessera.media.algebra.time import Range

__all__ = [
    "NO_SOURCE",
    "SourceRange",
    "checked_ranges",
    "compose",
    "cut_sources",
    "join_touching",
    "offsets_of",
    "split_ranges",
]

NO_SOURCE = ""
"""The asset id of source ranges that show no asset, such as generated silence."""


class SourceRange(tuple[str, Fraction, Fraction]):
    """The range of a source that an expression shows: (asset id, start, end), in seconds."""

    __slots__ = ()

    @property
    def source(self) -> str:
        return self[0]

    def to_dict(self) -> dict[str, Any]:
        source, start, end = self
        return {
            "source": source,
            "start_ms": start.numerator * 1000 / start.denominator,
            "end_ms": end.numerator * 1000 / end.denominator,
        }


def checked_ranges(ranges: Iterable[Range], duration: Fraction) -> tuple[Range, ...]:
    """Return ranges as exact numbers, each within [0, duration].

    Raises
    ------
    ValueError
        If there is no range, or a range is empty or extends outside.
    """
    kept = []
    for start, end in ranges:
        if type(start) is not Fraction or type(end) is not Fraction:
            start, end = Fraction(start), Fraction(end)
        if start.numerator < 0 or not start < end <= duration:
            raise ValueError(f"range [{start}, {end}) is not within [0, {duration})")
        kept.append((start, end))
    if not kept:
        raise ValueError("at least one range must be kept")
    return tuple(kept)


def cut_sources(kept: Sequence[SourceRange], ranges: Sequence[Range]) -> tuple[SourceRange, ...]:
    """Return the source ranges that `ranges` keep of a timeline made of the source ranges `kept`."""
    if len(kept) == 1 and kept[0][1].numerator == 0:
        # A source from its start on, the most frequent case: its times are those of the timeline.
        source, _begin, finish = kept[0]
        return tuple([SourceRange((source, start, min(end, finish))) for start, end in ranges])
    starts, position = [], Fraction(0)
    for _source, begin, finish in kept:
        starts.append(position)
        position += finish - begin
    found: list[SourceRange] = []
    for start, end in ranges:
        index = max(bisect_right(starts, start) - 1, 0)
        while index < len(kept) and starts[index] < end:
            source, begin, finish = kept[index]
            low = begin + max(start - starts[index], Fraction(0))
            high = min(begin + (end - starts[index]), finish)
            if low < high:
                found.append(SourceRange((source, low, high)))
            index += 1
    return tuple(found)


def offsets_of(durations: Iterable[Fraction]) -> list[Fraction]:
    """Return the start of each part in a sequence, and the end of the last part."""
    return list(accumulate(durations, initial=Fraction(0)))


def split_ranges(
    offsets: Sequence[Fraction], ranges: Sequence[Range]
) -> Iterator[tuple[int, Fraction, Fraction]]:
    """Split ranges at part boundaries: yield (part index, start, end), in seconds from the part's start."""
    for low, high in ranges:
        index = bisect_right(offsets, low) - 1
        while index < len(offsets) - 1 and offsets[index] < high:
            yield (
                index,
                max(low, offsets[index]) - offsets[index],
                min(high, offsets[index + 1]) - offsets[index],
            )
            index += 1


def join_touching(ranges: Iterable[Range]) -> list[Range]:
    """Merge each range that starts at the end of the range before it."""
    found: list[Range] = []
    for start, end in ranges:
        if found and found[-1][1] == start:
            start = found.pop()[0]
        found.append((start, end))
    return found


def compose(inner: Sequence[Range], outer: Sequence[Range]) -> list[Range]:
    """Return the ranges that two nested cuts keep, on the timeline below both.

    `inner` cuts that timeline; `outer` cuts the timeline that results from `inner`.
    """
    offsets = offsets_of(end - start for start, end in inner)
    return join_touching(
        (inner[index][0] + first, inner[index][0] + last)
        for index, first, last in split_ranges(offsets, outer)
    )
