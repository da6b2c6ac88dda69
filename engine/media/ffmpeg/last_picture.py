"""The last picture of a source, repeated at its frame rate while the sound goes on.

Repeated pictures, rather than one that lasts, let overlays such as captions change while it is shown.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tessera.media.probe.info import PictureInfo

__all__ = ["before_held", "held"]


def before_held(picture: PictureInfo | None, low: Fraction) -> Fraction:
    """Return a time at or before `low`, in seconds, from which the last picture itself can be read."""
    if picture is None or not picture.held:
        return low
    return max(min(low, picture.duration - picture.held - 2 / picture.rate), Fraction(0))


def held(stream: Any, picture: PictureInfo, end: Fraction) -> Any:
    """Return a source's stream with its last picture repeated up to `end`, in seconds after t = 0, at least.

    The stream is as it was if its own pictures last until `end`.
    """
    shown = picture.duration - picture.held
    if not picture.held or end <= shown:
        return stream
    stream = stream.filter("tpad", stop_mode="clone", stop_duration=f"{float(picture.held + 1):.6f}")
    if not picture.variable:
        return stream
    # The filter repeats at the rate of the container, which for a variable rate can be its time base.
    own_end = float(picture.start * picture.time_base + shown)
    return stream.filter(
        "select", f"lt(t,{own_end:.6f})+gte(t-prev_selected_t,{float(1 / picture.rate):.6f})"
    )
