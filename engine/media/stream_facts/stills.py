"""Pictures that stay on the screen for long: slides, pauses of screen recordings, a long last picture."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

__all__ = ["find_stills", "frame_interval"]

_MOST = 20_000
"""The most stills that are kept, those that stay the longest: a number that `asset.json` can hold."""


def frame_interval(times: Sequence[int], base: Fraction, rate: Fraction, *, variable: bool) -> Fraction:
    """Return the nominal frame interval in seconds.

    At a variable rate, it is the interval that one in ten pictures stays at most: the pace while something
    moves. The mean is no such measure, since pauses count most in it.
    """
    gaps = sorted(after - before for before, after in pairwise(times) if after > before)
    return gaps[len(gaps) // 10] * base if variable and gaps else 1 / rate


def find_stills(times: Sequence[int], end: int, shortest: int) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Find the pictures that stay for longer than a picture usually does.

    Parameters
    ----------
    times
        The presentation times of all pictures, ascending, in ticks.
    end
        The end of the last picture.
    shortest
        The longest time that an ordinary picture stays.

    Returns
    -------
    tuple
        The longest time that a picture stays without being a still: at least `shortest`. The stills: when
        each appears, and when the next picture does.
    """
    found = [(time, after) for time, after in pairwise((*times, end)) if after - time > shortest]
    if len(found) > _MOST:
        shortest = sorted((after - time for time, after in found), reverse=True)[_MOST]
        found = [(time, after) for time, after in found if after - time > shortest]
    return shortest, tuple(found)
