"""The pictures on screen where ranges start (law 3).

A range that starts within a long picture, and whose own first picture appears much later, shows the long one
from its beginning. Which pictures are long is known of each source, and follows for cuts and joins.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from tessera.media.algebra.expression import Expr, walk
from tessera.media.algebra.timeline import Piece, is_timeline, pieces_of
from tessera.media.probe.info import PictureInfo

__all__ = ["HeldPictures", "Still", "held_time", "stills_of_source"]


class Still(NamedTuple):
    """A long picture that appears at `start`, in seconds. A range that starts after that, but before `until`,
    shows it from its beginning: the next picture is far enough.
    """

    start: Fraction
    until: Fraction


Stills = Sequence[Still]
"""The long pictures of an expression, in order."""


def stills_of_source(info: PictureInfo) -> tuple[Still, ...]:
    """Return the long pictures of a source, on the timeline that starts with its first picture."""
    base, zero, least = info.time_base, info.start, info.still_after
    return tuple(Still((time - zero) * base, (after - zero - least) * base) for time, after in info.stills)


def held_time(stills: Stills, start: Fraction) -> Fraction:
    """Return the time from which a range that starts at `start` takes pictures: that of the long picture
    which it shows first, or `start` itself.
    """
    place = bisect_left(stills, start, key=lambda still: still.start) - 1
    return stills[place].start if place >= 0 and start < stills[place].until else start


class HeldPictures:
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
        return [held_time(self.of(piece.leaf), piece.start) for piece in pieces]

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
                    yield Still(low - start + at, high - start + at)
            at += end - start
