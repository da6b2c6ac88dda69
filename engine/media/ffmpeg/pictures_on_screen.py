"""The pictures on screen where ranges start (law 3).

A range that starts within a long picture, and whose own first picture appears much later, shows the long one
from its beginning. Which pictures are long is known of each source, and follows for cuts and joins. A range
that lies within a picture of a source with a constant low rate shows that picture too.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from heapq import merge
from itertools import pairwise
from math import ceil
from typing import NamedTuple

from tessera.media.algebra.expression import Expr, walk
from tessera.media.algebra.timeline import Piece, is_timeline, pieces_of
from tessera.media.probe.info import PictureInfo

__all__ = ["PicturesOnScreen", "Still", "Stills", "held_time", "stills_of_source"]


_LOW_RATE = 5
"""The pictures per second below which each is long enough to be missed."""


class Still(NamedTuple):
    """A long picture that appears at `start`, in seconds.

    A range that starts after `start` shows it from its beginning if it starts before `until`, since the next
    picture is far enough then, or if it ends by `alone_until`, since it has no other.
    """

    start: Fraction
    until: Fraction
    alone_until: Fraction


Stills = Sequence[Still]
"""The long pictures of an expression, in order."""


def stills_of_source(info: PictureInfo) -> Stills:
    """Return the long pictures of a source, on the timeline that starts with its first picture."""
    base, zero, least = info.time_base, info.start, info.still_after
    long = []
    for time, after in info.stills:
        until = (after - zero - least) * base
        long.append(Still((time - zero) * base, until, until))
    if info.variable or info.rate >= _LOW_RATE:
        return long
    return list(merge(long, _usual_pictures(info, long), key=lambda still: still.start))


def _usual_pictures(info: PictureInfo, long: Stills) -> Iterator[Still]:
    """Yield the other pictures of a constant low rate: a range shows one only if it has none of its own."""
    tick, least = info.time_base, info.still_after * info.time_base
    times = [round(number / info.rate / tick) * tick for number in range(ceil(info.duration * info.rate) + 1)]
    for time, after in pairwise(times):
        place = bisect_right(long, time, key=lambda still: still.start) - 1
        # Where pictures are missing, the one before them stays.
        if place < 0 or time + tick >= long[place].until + least:
            # The first picture is rounded to ticks too, so another can be one earlier than this.
            start = max(time - tick, Fraction(0))
            yield Still(start, start, after)


def held_time(stills: Stills, start: Fraction, end: Fraction) -> Fraction:
    """Return the time from which the range [start, end) takes pictures: that of the picture on screen at its
    start if it shows that one first, or `start` itself.
    """
    place = bisect_left(stills, start, key=lambda still: still.start) - 1
    if place >= 0 and (start < stills[place].until or end <= stills[place].alone_until):
        return stills[place].start
    return start


class PicturesOnScreen:
    """The long pictures of expressions. `of_source` returns those of a source."""

    def __init__(self, of_source: Callable[[Expr], Stills]) -> None:
        self._of_source = of_source
        self._known: dict[Expr, Stills] = {}

    def of(self, root: Expr) -> Stills:
        """Return the long pictures of a picture, on its own timeline."""
        for node in walk(root, prune=lambda one: one in self._known):
            if node.medium == "picture" and node not in self._known:
                self._known[node] = self._find(node)
        return self._known[root]

    def times(self, pieces: Sequence[Piece]) -> list[Fraction]:
        """Return the time from which each piece takes pictures."""
        return [held_time(self.of(piece.leaf), piece.start, piece.end) for piece in pieces]

    def _find(self, node: Expr) -> Stills:
        if node.op == "source":
            return self._of_source(node)
        if not is_timeline(node):
            # An effect keeps the times of its first input's pictures.
            return self._known[node.inputs[0]]
        return list(self._of_pieces(pieces_of(node)))

    def _of_pieces(self, pieces: Sequence[Piece]) -> Iterator[Still]:
        at = Fraction(0)
        for leaf, start, end in pieces:
            stills = self._known[leaf]
            first = max(bisect_right(stills, start, key=lambda still: still.start) - 1, 0)
            for still in stills[first:]:
                if still.start >= end:
                    break
                low, high = max(still.start, start), min(still.until, end)
                if low < high:
                    yield Still(low - start + at, high - start + at, high - start + at)
            at += end - start
