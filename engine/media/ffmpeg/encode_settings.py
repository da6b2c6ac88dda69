"""Encode settings of the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from tessera.media.algebra.expression import Picture, even

__all__ = [
    "COMPILER_VERSION",
    "QUALITIES",
    "REPEATABLE",
    "EncodeSettings",
    "Quality",
    "encode_settings_for",
    "sized",
]

COMPILER_VERSION = 5
"""The version of the encoding. Bump it whenever the same expression would encode differently."""

REPEATABLE = "sync-lookahead=0"
"""x264's parameter for the same bytes each time. By default it looks ahead on a thread of its own, and its
macroblock tree then weighs as many frames as that thread has just come to: two in five encodes differed.
"""

Quality = Literal["draft", "standard", "master"]


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """How an output is encoded.

    Attributes
    ----------
    crf, preset
        x264's constant quality and its preset. 8 bits and 4:2:0 always, so that every browser plays it.
    longest
        The greatest width and height in pixels; a larger picture is scaled down. None keeps its size.
    lossless
        For tests of exactness: FFV1 and floating-point PCM in NUT.
    """

    crf: int = 18
    preset: str = "veryfast"
    longest: int | None = None
    lossless: bool = False


QUALITIES: Mapping[Quality, EncodeSettings] = {
    "draft": EncodeSettings(crf=30, preset="ultrafast", longest=640),
    "standard": EncodeSettings(),
    "master": EncodeSettings(crf=12, preset="medium"),
}
"""A preview, small and fast; near-transparent; and for what will be edited or encoded again."""


def encode_settings_for(quality: str) -> EncodeSettings:
    """Return the encode settings of a quality by its name.

    Raises
    ------
    ValueError
        If there is no such quality.
    """
    for name, target in QUALITIES.items():
        if name == quality:
            return target
    raise ValueError(f"quality {quality!r} is none of {', '.join(get_args(Quality))}")


def sized(picture: Picture, target: EncodeSettings) -> Picture:
    """Scale a picture down to the size limit of the target."""
    longer = max(picture.width, picture.height)
    if target.longest is None or longer <= target.longest:
        return picture
    width, height = (
        max(even(side * target.longest // longer), 2) for side in (picture.width, picture.height)
    )
    return picture.scale(width, height)
