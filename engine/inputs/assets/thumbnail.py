"""Thumbnails of assets."""

from __future__ import annotations

from pathlib import Path

from tessera.errors import MediaError
from tessera.files import whole_file, write_atomically
from tessera.inputs.assets.asset import FACTS, THUMBNAIL_VERSION, Asset, asset_json
from tessera.media.probe.image_pixels import pixels_of
from tessera.media.probe.info import MediaInfo

__all__ = ["replace_thumbnail", "thumbnail_of"]

_WIDTH = 640
_PICTURED = ("video", "image")


def thumbnail_of(media: Path, info: MediaInfo, folder: Path) -> Path | None:
    """Write a JPEG of a video or an image into a folder, at most 640 pixels wide.

    Return None if the media has no picture or the thumbnail cannot be made.
    """
    if info.picture is None or info.kind not in _PICTURED:
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
        with whole_file(output) as partial:
            picture.save(partial, "JPEG", quality=85)
    except (MediaError, OSError, ValueError, StopIteration):
        output.unlink(missing_ok=True)
        return None
    return output


def replace_thumbnail(asset: Asset, folder: Path) -> Asset:
    """Return a stored asset with the thumbnail that is chosen now, by way of a temporary folder.

    The new one takes the old one's name, so that a process which copies the old one still can.

    Raises
    ------
    OSError, WorkspaceError
        If it cannot be stored.
    """
    home, modified_ns = asset.path.parent, asset.path.stat().st_mtime_ns
    made = thumbnail_of(asset.path, asset.info, folder)
    stamp = made.replace(home / made.name) if made is not None else None
    found = asset.model_copy(update={"thumbnail": stamp, "thumbnail_version": THUMBNAIL_VERSION})
    write_atomically(home / FACTS, asset_json(found, modified_ns))
    if stamp is None and asset.thumbnail is not None:
        asset.thumbnail.unlink(missing_ok=True)
    return found
