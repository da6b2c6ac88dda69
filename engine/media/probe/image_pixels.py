"""The pixels of an image file of any supported format."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.errors import MediaError
from tessera.media.probe.bounded_file import BoundedFile
from tessera.media.probe.svg import is_svg, rasterise
from tessera.settings import settings

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["IMAGE_FORMATS", "opened_image", "pixels_of"]

IMAGE_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
"""Pillow's names of the supported image formats besides SVG."""


def pixels_of(path: Path) -> PillowImage:
    """Read an image as RGBA pixels; of an animation, the first frame.

    Raises
    ------
    MediaError
        If the file is an SVG drawing that cannot be rendered, or has too many pixels.
    OSError
        If the file is not an image.
    """
    if is_svg(path):
        return rasterise(path).pixels
    with opened_image(path) as image:
        return image.convert("RGBA")


@contextmanager
def opened_image(path: Path) -> Iterator[PillowImage]:
    """Open an image whose pixels are not decoded yet, within the limit of the settings.

    Raises
    ------
    MediaError
        If it has more pixels than the setting `max_image_pixels`.
    OSError
        If the file is not an image.
    """
    from PIL import Image

    most = settings().max_image_pixels
    limit = f"at most {most:,} pixels are read (setting `max_image_pixels`)"
    with BoundedFile(path) as file:
        try:
            with warnings.catch_warnings():
                # Pillow warns from a size on that is below our limit, and refuses only what is far above.
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image = Image.open(file, formats=IMAGE_FORMATS)
        except Image.DecompressionBombError:
            raise MediaError(f"{path.name} is too large: {limit}") from None
        with image:
            width, height = image.size
            if width * height > most:
                raise MediaError(f"{path.name} is {width}×{height}, {width * height:,} pixels: {limit}")
            yield image
