"""What is known of a media file: the answer of a probe, kept with the asset."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

__all__ = ["Exact", "MediaInfo", "PictureInfo", "SoundInfo"]

Exact = Annotated[Fraction, BeforeValidator(lambda value: Fraction(value)), PlainSerializer(str)]
"""An exact number; in JSON a string such as `"30000/1001"`."""


class _Info(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class PictureInfo(_Info):
    """The video stream that is used.

    Attributes
    ----------
    index
        Its index in the container.
    codec
        ffmpeg's name of its codec.
    width, height
        The size in square pixels as it is to be seen: after rotation and pixel aspect ratio.
    coded_width, coded_height, sar, rotation
        As stored; rotation in degrees counter-clockwise, one of 0, 90, 180, 270 in the display matrix's
        sense.
    rate
        Frames per second: the nominal rate of a constant one, the mean of a variable one.
    variable
        Whether the gaps between frames differ by more than the time base's rounding.
    frames
        The number of frames that are shown.
    time_base
        Of the stream; presentation times are whole multiples of it.
    start
        Presentation time of the first frame, in ticks of `time_base`.
    duration
        Seconds from the first frame's presentation to the end of the last.
    key_gap
        The longest that a decoder which begins anywhere waits for a keyframe, in seconds; None if unknown.
    clean_keys
        Whether all frames from any keyframe on can be decoded whole.
    key_lead
        The longest that a keyframe is coded before it is to be shown, in seconds; None if unknown.
    pixel_format, depth
        As stored; bits per component.
    color_range, color_primaries, color_transfer, color_matrix
        ffmpeg's names, or None where unspecified.
    """

    index: int
    codec: str
    width: int
    height: int
    coded_width: int
    coded_height: int
    sar: Exact = Fraction(1)
    rotation: int = 0
    rate: Exact
    variable: bool = False
    frames: int
    time_base: Exact
    start: int = 0
    duration: Exact
    key_gap: Exact | None = None
    clean_keys: bool = True
    key_lead: Exact | None = None
    pixel_format: str | None = None
    depth: int = 8
    color_range: str | None = None
    color_primaries: str | None = None
    color_transfer: str | None = None
    color_matrix: str | None = None


class SoundInfo(_Info):
    """The audio stream that is used: index, codec, samples per second, channels.

    `start` is the presentation time of its first sample in seconds on the container's clock, `duration` its
    length.
    """

    index: int
    codec: str
    rate: int
    channels: int
    layout: str = ""
    start: Exact = Fraction(0)
    duration: Exact


class MediaInfo(_Info):
    """A media file. `kind` is what it can be used as; a video may lack sound."""

    kind: Literal["video", "audio", "image", "lut"]
    container: str
    picture: PictureInfo | None = None
    sound: SoundInfo | None = None
    notes: tuple[str, ...] = ()

    @property
    def duration(self) -> Fraction:
        """Seconds: of the picture, or of the sound where there is none; 0 for an image and a colour table."""
        if self.kind in ("image", "lut"):
            return Fraction(0)
        if self.picture is not None:
            return self.picture.duration
        return self.sound.duration if self.sound else Fraction(0)

    def summary(self) -> dict[str, Any]:
        """Duration, size, rate and sound for a person or a record."""
        picture = self.picture
        return {
            "kind": self.kind,
            "duration_ms": int(self.duration * 1000),
            "width": picture.width if picture else None,
            "height": picture.height if picture else None,
            "fps": str(picture.rate) if picture and self.kind == "video" else None,
            "has_audio": self.sound is not None,
        }
