"""Thumbnails of assets."""

from __future__ import annotations

from pathlib import Path

from tessera.errors import MediaError
from tessera.media.probe.image_pixels import pixels_of
from tessera.media.probe.info import MediaInfo

__all__ = ["thumbnail_of"]

_WIDTH = 640


def thumbnail_of(media: Path, info: MediaInfo, folder: Path) -> Path | None:
    """Write a JPEG of a video or an image into a folder, at most 640 pixels wide.

    Return None if the media has no picture or the thumbnail cannot be made.
    """
    if info.picture is None or info.kind not in ("video", "image"):
        return None
    from PIL import Image

    from tessera.media.render.thumbnail import write_thumbnail

    output = folder / "thumbnail.jpg"
    try:
        if info.kind == "video":
            write_thumbnail(media, output, width=_WIDTH)
            return output
        over = pixels_of(media)
        under = Image.new("RGBA", over.size, "white")
        picture = Image.alpha_composite(under, over).convert("RGB")
        picture.thumbnail((_WIDTH, _WIDTH * 4))
        picture.save(output, "JPEG", quality=85)
    except (MediaError, OSError, ValueError, StopIteration):
        output.unlink(missing_ok=True)
        return None
    return output
