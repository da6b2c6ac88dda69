"""How a picture is turned and mirrored for display, by its display matrix.

The rules are those by which ffmpeg turns frames on its own: right angles within one degree, any other angle
inside the same frame.
"""

from __future__ import annotations

import struct
from math import atan2, degrees, hypot
from typing import Any, NamedTuple

__all__ = ["UPRIGHT", "Orientation", "orientation_of"]


class Orientation(NamedTuple):
    """The display of a frame.

    Attributes
    ----------
    rotation
        0, 90, 180 or 270 degrees counter-clockwise; 0 for other angles. 90 and 270 swap width and height.
    filters
        ffmpeg's filters that turn and mirror a frame, separated by commas; empty if it is shown as stored.
    """

    rotation: int
    filters: str


UPRIGHT = Orientation(0, "")


def orientation_of(frame: Any) -> Orientation:
    """Return the orientation of a decoded frame, from its display matrix."""
    data = next((bytes(one) for one in frame.side_data if one.type.name == "DISPLAYMATRIX"), b"")
    if len(data) < 36:
        return UPRIGHT
    matrix = struct.unpack("=9i", data[:36])
    across, down = hypot(matrix[0], matrix[3]), hypot(matrix[1], matrix[4])
    if not across or not down:
        return UPRIGHT
    angle = round(degrees(atan2(matrix[1] / down, matrix[0] / across))) % 360
    if angle == 90:
        return Orientation(270, "transpose=cclock_flip" if matrix[3] > 0 else "transpose=clock")
    if angle == 270:
        return Orientation(90, "transpose=clock_flip" if matrix[3] < 0 else "transpose=cclock")
    if angle == 180:
        flips = [name for name, scale in (("hflip", matrix[0]), ("vflip", matrix[4])) if scale < 0]
        return Orientation(180, ",".join(flips))
    if angle:
        return Orientation(0, f"rotate={angle}*PI/180")
    return Orientation(0, "vflip" if matrix[4] < 0 else "")
