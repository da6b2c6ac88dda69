"""The interface through which a tile reads its media and asks questions.

Runs and simulations implement the same interface with different sources of answers. A tile is written once
and gives the same result in both whenever the answers are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tessera.media.algebra.item import Image, Video
from tessera.media.algebra.time import Range

__all__ = ["LEVEL_HOP_MS", "Context", "InputMedia"]

LEVEL_HOP_MS = 100
"""The time between two values of `Context.levels`, in ms."""


@dataclass(frozen=True, slots=True)
class InputMedia:
    """One source of a Video Input: the whole video, the range to keep (None: all of it), and its name."""

    video: Video
    clip: Range | None
    name: str


class Context(Protocol):
    """The methods that a tile can call. Each may raise `Cancelled`."""

    def sources(self) -> Sequence[InputMedia]:
        """Return the sources of this tile in the order of the request; empty unless it is an input tile."""

    def speech(self, video: Video) -> tuple[Range, ...]:
        """Return the ranges of speech on the video's timeline, ordered and disjoint, with gaps between them.

        Speech is detected per source and projected through the cuts that made the video. A video without
        sound has none.

        Raises
        ------
        QuestionError
            If a simulation has no answer.
        """

    def levels(self, video: Video) -> tuple[float, ...] | None:
        """Return the sound level in dBFS (RMS) for each step of `LEVEL_HOP_MS`, or None if it is unknown."""

    def image(self, asset_id: str) -> Image:
        """Return the image asset with this id.

        Raises
        ------
        TileError
            If no asset has this id, or if it is not an image.
        """

    def asset_name(self, asset_id: str) -> str:
        """Return the name of an asset for messages: its file name, or its id if it has none."""

    def not_as_asked(self, parameter: str, made: str, why: str) -> None:
        """Report that the tile made fewer, shorter or smaller than a parameter asks, or something else.

        It becomes a warning of the run or the simulation that names the tile, the parameter with its value,
        `made` and `why`. Reports that are equal count once.

        Parameters
        ----------
        parameter
            The name of one of the tile's parameters.
        made
            What the tile made instead, in the unit of the parameter, such as `1` or `15 s`.
        why
            The reason, such as `15 s hold 1 clip of 10 s`.

        Raises
        ------
        TypeError
            If an argument is not text.
        ValueError
            If the tile has no such parameter.
        """

    def log(self, message: str) -> None:
        """Write a message to the run's log."""

    def progress(self, fraction: float) -> None:
        """Report the fraction of this tile's work that is done, 0–1."""
