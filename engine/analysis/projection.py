"""The projection of facts through cuts: facts about a source hold for every timeline cut from it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor

from tessera.media.algebra.expression import NO_SOURCE, SourceRange
from tessera.media.algebra.time import Range

__all__ = ["project_levels", "project_speech"]

_SILENCE_DBFS = -100.0


def project_speech(
    kept: Sequence[SourceRange], speech_of: Callable[[str], Sequence[Range]]
) -> tuple[Range, ...]:
    """Return the ranges of speech on a timeline that plays the source ranges `kept` in order.

    Ranges that touch are merged.

    Parameters
    ----------
    speech_of
        A function that returns the ordered, disjoint ranges of speech in a source. It is called once per
        source.
    """
    known: dict[str, tuple[Sequence[Range], list[Fraction]]] = {}
    found: list[Range] = []
    position = Fraction(0)
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
                    piece = (position + low - start, position + high - start)
                    if found and found[-1][1] == piece[0]:
                        piece = (found.pop()[0], piece[1])
                    found.append(piece)
                index += 1
        position += end - start
    return tuple(found)


def project_levels(
    kept: Sequence[SourceRange], levels_of: Callable[[str], Sequence[float] | None], hop_ms: int
) -> tuple[float, ...] | None:
    """Return the levels (dBFS, one per `hop_ms`) on a timeline that plays the source ranges `kept` in order.

    The level of a step is the source's level at the middle of the step. The last step ends with the timeline,
    so it may be short. Return None if the levels of a source are unknown.

    Parameters
    ----------
    levels_of
        A function that returns the levels of a source, one per `hop_ms`. It is called once per source.
    """
    known: dict[str, Sequence[float]] = {}
    for source, _start, _end in kept:
        if source not in known:
            levels = () if source == NO_SOURCE else levels_of(source)
            if levels is None:
                return None
            known[source] = levels
    # From here on, times are measured in steps of hop_ms.
    scale = Fraction(1000, hop_ms)
    half = Fraction(1, 2)
    total = sum((end - start for _source, start, end in kept), Fraction(0)) * scale
    full_steps = floor(total)
    found: list[float] = []
    position = Fraction(0)
    for source, start, end in kept:
        piece_end = position + (end - start) * scale
        # The full steps with their middle in this piece all have the same offset to the source's steps.
        first, last = ceil(position - half), min(ceil(piece_end - half), full_steps)
        shift = floor(start * scale - position + half)
        found.extend(_slice(known[source], first + shift, last + shift))
        middle = (full_steps + total) / 2
        if full_steps < total and position <= middle < piece_end:
            inside = floor(start * scale + middle - position)
            found.extend(_slice(known[source], inside, inside + 1))
        position = piece_end
    return tuple(found)


def _slice(levels: Sequence[float], first: int, last: int) -> list[float]:
    """Return the levels of the steps [first, last), with silence after the end of the source."""
    part = list(levels[first : max(last, first)])
    return part + [_SILENCE_DBFS] * (last - first - len(part))
