"""Decoded frames made steady: one size, one pixel format, progressive and upright.

ffmpeg would configure a filter graph anew whenever a frame has other parameters than the one before, and
with the graph everything in it would begin again: a logo, an image of one frame, would be gone. Sources are
therefore opened with `-reinit_filter 0`, and the first filter that reads pixels brings every frame to the
size and format of the first. For a frame that has them already it does nothing.
"""

from __future__ import annotations

from typing import Any

from tessera.media.ffmpeg.colors import is_rgb
from tessera.media.probe.info import PictureInfo

__all__ = ["deinterlaced", "input_options", "oriented", "steadied"]

_SCALED_MATRICES = ("bt709", "fcc", "smpte170m", "bt470bg", "smpte240m", "bt2020nc")


def input_options(picture: PictureInfo) -> dict[str, Any]:
    """Return the options with which ffmpeg opens a file whose picture is read."""
    options: dict[str, Any] = {"reinit_filter:v": 0}
    # ffmpeg would turn frames before the first filter, where their size and fields are still as stored.
    return options | {"noautorotate": None} if picture.orientation else options


def steadied(stream: Any, picture: PictureInfo, size: tuple[int, int]) -> Any:
    """Return frames of one size and format, as stored: not yet turned.

    If the source's pictures vary, they are fitted into `size`, the size of the first as it is shown: scaled
    to square pixels with their aspect ratio kept, and padded with black.
    """
    fields = {"interl": -1} if picture.fields else {}
    if not picture.varies:
        width, height = picture.cropped or (picture.coded_width, picture.coded_height)
        return stream.filter("scale", width, height, **fields)
    width, height = size[::-1] if picture.is_turned else size
    colors = {"out_range": picture.color_range or "tv"}
    if picture.color_matrix in _SCALED_MATRICES and not is_rgb(picture):
        colors["out_color_matrix"] = picture.color_matrix
    # Where the shape differs by less than two pixels, it is the rounding of the size.
    fills = f"lt(abs({height}*dar-{width}),2)"
    wide = f"if({fills},{width},max(2,2*trunc(min({width},{height}*dar)/2)))"
    high = f"if({fills},{height},max(2,2*trunc(min({height},{width}/dar)/2)))"
    stream = stream.filter("scale", w=wide, h=high, eval="frame", **colors, **fields).filter("setsar", 1)
    stream = stream.filter("pad", width, height, -1, -1, eval="frame")
    return stream.filter("format", picture.pixel_format) if picture.pixel_format else stream


def deinterlaced(stream: Any, picture: PictureInfo) -> Any:
    """Return progressive frames, one for each interlaced frame; others stay as they are."""
    if picture.fields in ("tff", "bff"):
        stream = stream.filter("setfield", picture.fields)
    return stream.filter("bwdif", mode="send_frame", deint="interlaced")


def oriented(stream: Any, picture: PictureInfo) -> Any:
    """Return frames turned and mirrored for display."""
    if not picture.orientation:
        return stream
    for one in picture.orientation.split(","):
        name, _, value = one.partition("=")
        stream = stream.filter(name, value) if value else stream.filter(name)
    # Otherwise the output would hold the matrix, and players would turn it again.
    return stream.filter("sidedata", "delete", type="DISPLAYMATRIX")
