"""A synthetic model of speech, for simulations without real sound."""

from __future__ import annotations

from fractions import Fraction

from tessera.media.algebra.time import Range

__all__ = ["assumed_speech"]

_LEAD_IN, _TALK, _PAUSE = Fraction(1, 2), Fraction(4), Fraction(1)


def assumed_speech(until_ms: int) -> list[Range]:
    """Return ranges of speech like an average talk: from 0.5 s on, 4 s of speech and 1 s of pause in turn.

    Parameters
    ----------
    until_ms
        The end of the timeline, in ms.
    """
    end, start, ranges = Fraction(until_ms, 1000), _LEAD_IN, []
    while start < end:
        ranges.append((start, min(start + _TALK, end)))
        start += _TALK + _PAUSE
    return ranges
