"""Facts of sources carried through cuts: what is known of a source is known of every timeline cut from it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor

from tessera.media.algebra.expression import NO_SOURCE, SourceRange
from tessera.media.algebra.time import Range

__all__ = ["project_levels", "project_speech"]

_SILENT_DBFS = -100.0


def project_speech(
    kept: Sequence[SourceRange], speech_of: Callable[[str], Sequence[Range]]
) -> tuple[Range, ...]:
    """Speech on a timeline that shows `kept` source ranges one after another; ranges that meet become one.

    Parameters
    ----------
    speech_of
        The ranges of speech in a source, ordered and apart; asked once per source.
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
    """Levels (dBFS, one each `hop_ms`) on such a timeline: of each step, the source's level at its middle.

    The last step ends with the timeline, and so may be short. None where a source's levels are not known.

    Parameters
    ----------
    levels_of
        The levels of a source, a value each `hop_ms`; asked once per source.
    """
    known: dict[str, Sequence[float]] = {}
    for source, _start, _end in kept:
        if source not in known:
            levels = () if source == NO_SOURCE else levels_of(source)
            if levels is None:
                return None
            known[source] = levels
    # From here on, times are in steps.
    scale = Fraction(1000, hop_ms)
    half = Fraction(1, 2)
    total = sum((end - start for _source, start, end in kept), Fraction(0)) * scale
    whole = floor(total)
    found: list[float] = []
    at = Fraction(0)
    for source, start, end in kept:
        upto = at + (end - start) * scale
        # The whole steps whose middles lie in this piece: all are as far from the source's own steps.
        first, last = ceil(at - half), min(ceil(upto - half), whole)
        shift = floor(start * scale - at + half)
        found.extend(_slice(known[source], first + shift, last + shift))
        middle = (whole + total) / 2
        if whole < total and at <= middle < upto:
            inside = floor(start * scale + middle - at)
            found.extend(_slice(known[source], inside, inside + 1))
        at = upto
    return tuple(found)


def _slice(levels: Sequence[float], first: int, last: int) -> list[float]:
    """The levels of the steps [first, last), silence after the end."""
    part = list(levels[first : max(last, first)])
    return part + [_SILENT_DBFS] * (last - first - len(part))
