"""A tile's only window on the world.

One interface serves simulation and run alike; what differs is who answers. So a tile is written once, and
agrees with itself whenever the answers agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tessera.media.algebra.item import Image, Video
from tessera.media.algebra.time import Range

__all__ = ["LEVEL_HOP_MS", "Context", "InputMedia"]

LEVEL_HOP_MS = 100
"""The step of `Context.levels`, in ms."""


@dataclass(frozen=True, slots=True)
class InputMedia:
    """One source that the request gave to a Video Input: the whole video, the range of it to keep, and its
    name.
    """

    video: Video
    clip: Range | None
    name: str


class Context(Protocol):
    """What a tile may ask and say. Every method may raise `Cancelled`."""

    def sources(self) -> Sequence[InputMedia]:
        """What the request gave to this tile, in order. Empty for a tile that is no input."""

    def speech(self, video: Video) -> tuple[Range, ...]:
        """Where somebody speaks, on the video's timeline: ordered ranges that do not touch.

        Known per source and projected through the cuts that made the video. A video without sound has none.

        Raises
        ------
        QuestionError
            A simulation was given no answer.
        """

    def levels(self, video: Video) -> tuple[float, ...] | None:
        """The level of the sound in dBFS (RMS) for each step of `LEVEL_HOP_MS`; None where nobody knows."""

    def image(self, asset_id: str) -> Image:
        """The image asset that a parameter names.

        Raises
        ------
        TileError
            There is none with this id, or it is no image.
        """

    def asset_name(self, asset_id: str) -> str:
        """What an asset is called, for messages: its file name, else its id."""

    def log(self, message: str) -> None:
        """Say something in the run's log."""

    def progress(self, fraction: float) -> None:
        """Say how much of this tile's work is done, 0–1."""
