"""The pixels of an image file, whatever its form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tessera.media.probe.svg import is_svg, rasterise

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["IMAGE_FORMATS", "pixels_of"]

IMAGE_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
"""Pillow's names of the formats that images may have, besides SVG."""


def pixels_of(path: Path) -> PillowImage:
    """An image as RGBA pixels; of an animation, the first.

    Raises
    ------
    MediaError
        It is a drawing that cannot be drawn.
    OSError
        It is no image.
    """
    if is_svg(path):
        return rasterise(path).pixels
    from PIL import Image

    with Image.open(path, formats=IMAGE_FORMATS) as opened:
        return opened.convert("RGBA")
