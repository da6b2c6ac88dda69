"""Exact time. Instants and durations are `Fraction` seconds; no float enters the algebra (law 2)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from tessera.text.checked import exact_number

__all__ = ["Range", "ms", "parse_rate", "rate_text", "seconds_text", "to_ms", "total"]

Range = tuple[Fraction, Fraction]
"""A half-open range [start, end) in seconds."""


def ms(milliseconds: int) -> Fraction:
    """Return whole milliseconds as exact seconds."""
    return Fraction(milliseconds, 1000)


def total(durations: Sequence[Fraction]) -> Fraction:
    """Return the sum of at least one duration."""
    first, *others = durations
    return sum(others, first)


def to_ms(seconds: Fraction) -> int:
    """Return seconds as the nearest whole number of milliseconds (halves round up)."""
    return (2000 * seconds.numerator + seconds.denominator) // (2 * seconds.denominator)


def parse_rate(text: str | int | float | Fraction) -> Fraction:
    """Parse a rate such as `"30000/1001"`, `"25"`, `25` or `23.976` into an exact fraction of 1/s.

    A decimal within 0.02 % of an NTSC rate (n·1000/1001) is read as that rate.

    Raises
    ------
    ValueError
        If the value is not a positive number below 1,000,000.
    """
    try:
        rate = exact_number(text)
    except ValueError as error:
        raise ValueError(f"not a rate: {error}") from None
    if not 0 < rate < 1_000_000:
        raise ValueError(f"{str(text)!r} is not a rate: it must be more than 0 and below 1,000,000")
    if rate.denominator != 1 and rate.denominator != 1001:
        nominal = Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)
        if nominal and abs(nominal / rate - 1) < Fraction(2, 10_000):
            return nominal
    return rate


def rate_text(rate: Fraction) -> str:
    """Return a rate as text: `30000/1001`, or `25` for a whole rate."""
    return str(rate)


def seconds_text(seconds: Fraction) -> str:
    """Return seconds as text, with up to three decimals and no trailing zeros."""
    return f"{float(seconds):.3f}".rstrip("0").rstrip(".")
