"""The facts about a media file: the result of a probe, stored with the asset."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from tessera.text.checked import exact_number

__all__ = ["PROBE_VERSION", "Exact", "MediaInfo", "PictureInfo", "SoundInfo", "has_guessed_times"]

Exact = Annotated[Fraction, BeforeValidator(exact_number), PlainSerializer(str)]
"""An exact number; in JSON, a string such as `"30000/1001"`."""


PROBE_VERSION = 2
"""The version of the probe. Bump it whenever the same file would be described otherwise: a stored asset that
an earlier version described is probed again.
"""


def has_guessed_times(container: str, codec: str) -> bool:
    """Return True if demuxers guess the times of pictures and disagree: H.264 in AVI, which has no times.

    The n-th picture is then shown after n pictures of equal length, and nothing is sought.
    """
    return container == "avi" and codec == "h264"


class _Info(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class PictureInfo(_Info):
    """The video stream that is used.

    Attributes
    ----------
    index
        The index in the container.
    codec
        ffmpeg's name of the codec.
    width, height
        The display size in square pixels, after rotation and pixel aspect ratio.
    coded_width, coded_height, sar, rotation
        As stored; the rotation is 0, 90, 180 or 270 degrees counter-clockwise, as in the display matrix.
    cropped
        The size to which the container crops the stored picture, or None if it does not.
    orientation
        ffmpeg's filters that turn and mirror the stored picture for display; empty if there are none.
    fields
        The frames that are interlaced, or None: those flagged as such, or all (`tff`, `bff`: the top or
        the bottom field is first).
    varies
        True if the size, shape, colours or orientation of the pictures change within the stream. All other
        facts are of the first picture.
    rate
        Frames per second: the nominal rate if constant, the mean rate if variable.
    variable
        True if the gaps between frames differ by more than the rounding of the time base.
    frames
        The number of frames that are presented.
    time_base
        The time base of the stream; presentation times are whole multiples of it.
    start
        The presentation time of the first frame that can be shown, in ticks of `time_base`.
    skipped
        The number of packets before `start`, which give no picture since the file begins within a group.
    duration
        Seconds from the presentation of the first frame to the end of the last, or of the sound if that goes
        on longer: the last frame then stays on the screen.
    held
        The part of `duration` for which the last frame stays on the screen only because the sound goes on.
    stills, still_after
        The pictures that stay for more than `still_after` ticks, a little over the nominal frame interval:
        when each appears, and when the next one does, in ticks.
    key_gap
        The longest wait for a keyframe when decoding starts at any point, in seconds; None if unknown.
    clean_keys
        True if every frame after any keyframe can be decoded from that keyframe on.
    key_lead
        The longest time by which a keyframe is coded before its presentation, in seconds; None if unknown.
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
    cropped: tuple[int, int] | None = None
    sar: Exact = Fraction(1)
    rotation: int = 0
    orientation: str = ""
    fields: Literal["flagged", "tff", "bff"] | None = None
    varies: bool = False
    rate: Exact
    variable: bool = False
    frames: int
    time_base: Exact
    start: int = 0
    skipped: int = 0
    duration: Exact
    stills: tuple[tuple[int, int], ...] = ()
    still_after: int = 0
    held: Exact = Fraction(0)
    key_gap: Exact | None = None
    clean_keys: bool = True
    key_lead: Exact | None = None
    pixel_format: str | None = None
    depth: int = 8
    color_range: str | None = None
    color_primaries: str | None = None
    color_transfer: str | None = None
    color_matrix: str | None = None

    @property
    def is_turned(self) -> bool:
        """True if the display swaps the stored width and height."""
        return self.rotation in (90, 270)


class SoundInfo(_Info):
    """The audio stream that is used: index, codec, samples per second, channels.

    `start` is the presentation time of the first sample, in seconds on the container's clock; `duration` is
    the length in seconds. `varies` is True if its rate or channels change within the stream.
    """

    index: int
    codec: str
    rate: int
    channels: int
    layout: str = ""
    start: Exact = Fraction(0)
    duration: Exact
    varies: bool = False


class MediaInfo(_Info):
    """A media file. `kind` is its use in an agent; a video may have no sound.

    `lost` lists the ranges in which picture or sound is damaged, in seconds after t = 0. Such a file is
    decoded and encoded, never copied.

    `version` is that of the probe that found these facts.
    """

    kind: Literal["video", "audio", "image", "lut"]
    container: str
    picture: PictureInfo | None = None
    sound: SoundInfo | None = None
    notes: tuple[str, ...] = ()
    version: int = 0
    lost: tuple[tuple[Exact, Exact], ...] = ()

    @property
    def duration(self) -> Fraction:
        """The duration in seconds: of the picture, else of the sound; 0 for an image and a colour table."""
        if self.kind in ("image", "lut"):
            return Fraction(0)
        if self.picture is not None:
            return self.picture.duration
        return self.sound.duration if self.sound else Fraction(0)

    def summary(self) -> dict[str, Any]:
        """Return duration, size, rate and presence of sound, for people and records."""
        picture = self.picture
        return {
            "kind": self.kind,
            "duration_ms": int(self.duration * 1000),
            "width": picture.width if picture else None,
            "height": picture.height if picture else None,
            "fps": str(picture.rate) if picture and self.kind == "video" else None,
            "has_audio": self.sound is not None,
        }
