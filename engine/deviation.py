"""What a tile made beside what its parameters ask for: fewer, shorter, smaller, or another value."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Deviation"]


@dataclass(frozen=True, slots=True)
class Deviation:
    """A parameter that a tile could not follow.

    Attributes
    ----------
    parameter
        The name of the parameter.
    made
        What the tile made instead, in the unit of the parameter: `1`, `15 s`.
    why
        The reason, in a few words: `15 s hold 1 clip of 10 s`.
    """

    parameter: str
    made: str
    why: str
