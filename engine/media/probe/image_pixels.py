"""The pixels of an image file of any supported format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tessera.media.probe.bounded_file import BoundedFile
from tessera.media.probe.svg import is_svg, rasterise

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["IMAGE_FORMATS", "pixels_of"]

IMAGE_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
"""Pillow's names of the supported image formats besides SVG."""


def pixels_of(path: Path) -> PillowImage:
    """Read an image as RGBA pixels; of an animation, the first frame.

    Raises
    ------
    MediaError
        If the file is an SVG drawing that cannot be rendered.
    OSError
        If the file is not an image.
    """
    if is_svg(path):
        return rasterise(path).pixels
    from PIL import Image

    with BoundedFile(path) as file, Image.open(file, formats=IMAGE_FORMATS) as opened:
        return opened.convert("RGBA")
