"""A synthetic model of speech, for simulations that are told to assume one."""

from __future__ import annotations

from fractions import Fraction

from tessera.media.algebra.time import Range

__all__ = ["assumed_speech"]

_LEAD_IN, _TALK, _PAUSE = Fraction(1, 2), Fraction(4), Fraction(1)


def assumed_speech(until_ms: int) -> list[Range]:
    """Speech as talks have it on average: from 0.5 s on, 4 s of speech and 1 s of pause in turn.

    Parameters
    ----------
    until_ms
        Where to stop, in ms.
    """
    end, at, found = Fraction(until_ms, 1000), _LEAD_IN, []
    while at < end:
        found.append((at, min(at + _TALK, end)))
        at += _TALK + _PAUSE
    return found
