"""Facts of sources carried through cuts: what is known of a source is known of every timeline cut from it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor

from engine.media.expr import NO_SOURCE, SourceRange
from engine.media.time import Range

__all__ = ["project_levels", "project_speech"]

_SILENT_DBFS = -100.0


def project_speech(
    kept: Sequence[SourceRange], speech_of: Callable[[str], Sequence[Range]]
) -> tuple[Range, ...]:
    """Speech on a timeline that shows `kept` source ranges one after another.

    Parameters
    ----------
    speech_of
        The ranges of speech in a source, ordered; asked once per source.

    Ranges that meet at a cut are one. The time is that of the pieces and the ranges in them, not their product.
    """
    known: dict[str, tuple[Sequence[Range], list[Fraction]]] = {}
    found: list[Range] = []
    at = Fraction(0)
    for source, start, end in kept:
        if source != NO_SOURCE:
            if source not in known:
                ranges = speech_of(source)
                known[source] = (ranges, [begin for begin, _finish in ranges])
            ranges, begins = known[source]
            index = max(bisect_right(begins, start) - 1, 0)
            while index < len(ranges) and begins[index] < end:
                low, high = max(ranges[index][0], start), min(ranges[index][1], end)
                if low < high:
                    piece = (at + low - start, at + high - start)
                    if found and found[-1][1] == piece[0]:
                        piece = (found.pop()[0], piece[1])
                    found.append(piece)
                index += 1
        at += end - start
    return tuple(found)


def project_levels(
    kept: Sequence[SourceRange], levels_of: Callable[[str], Sequence[float] | None], hop_ms: int
) -> tuple[float, ...] | None:
    """Levels (dBFS, a value each `hop_ms`) on such a timeline: of each step, the source's level at its middle.

    None where the levels of some source are not known.
    """
    hop = Fraction(hop_ms, 1000)
    known: dict[str, Sequence[float]] = {}
    found: list[float] = []
    at = Fraction(0)
    for source, start, end in kept:
        if source not in known:
            levels = () if source == NO_SOURCE else levels_of(source)
            if levels is None:
                return None
            known[source] = levels
        levels = known[source]
        # The steps whose middles lie in this piece.
        first, last = ceil(at / hop - Fraction(1, 2)), ceil((at + end - start) / hop - Fraction(1, 2))
        for step in range(max(first, len(found)), last):
            inside = floor((start + (step + Fraction(1, 2)) * hop - at) / hop)
            found.append(levels[inside] if 0 <= inside < len(levels) else _SILENT_DBFS)
        at += end - start
    return tuple(found)
