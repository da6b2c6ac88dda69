"""Encoding pictures to insert among copied ones: in the source's format, with their own parameter sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tessera.media.copy.avc import Configuration, from_start_codes, to_lengths
from tessera.media.copy.packets import Unsafe
from tessera.media.ffmpeg.compiler import EncodeSettings
from tessera.media.ffmpeg.encode_settings import REPEATABLE

__all__ = ["EdgeX264", "EncodedPicture"]

_PROFILES = {"Constrained Baseline": "baseline", "Baseline": "baseline", "Main": "main", "High": "high"}
_SEI = 6
_MOST_IDS = 32


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """A coded picture as a sample of an MP4 file, with its time in ticks of the file."""

    pts: int
    data: bytes
    key: bool


class EdgeX264:
    """An x264 encoder of one run of pictures. The run begins with an IDR picture and has no B-frames.

    The ids of its parameter sets differ from the source's, so that one track's configuration can hold both.

    Parameters
    ----------
    stream
        The source's stream, which sets the size, pixel format, colours, profile and reordering depth.
    ticks
        Ticks per second of the pictures' times.
    repeats
        True to write the parameter sets before each IDR picture too, if the source does: some decoders use
        only those that they find there.

    Raises
    ------
    Unsafe
        If there is no such encoder, or it cannot match the source.
    """

    def __init__(
        self, stream: Any, setup: Configuration, ticks: int, settings: EncodeSettings, *, repeats: bool
    ) -> None:
        import av

        source = stream.codec_context
        number = next((free for free in range(_MOST_IDS) if free not in setup.sequence_ids()), None)
        profile = _PROFILES.get(str(source.profile))
        if number is None or profile is None:
            raise Unsafe(f"its H.264 profile ({source.profile}) cannot be matched")
        self.length_size = setup.length_size
        try:
            context: Any = av.CodecContext.create("libx264", "w")
            context.width, context.height = source.width, source.height
            context.pix_fmt = source.pix_fmt
            context.time_base = Fraction(1, ticks)
            context.framerate = stream.average_rate or stream.guessed_rate or Fraction(25)
            for name in ("color_range", "color_primaries", "color_trc", "colorspace"):
                setattr(context, name, getattr(source, name))
            context.thread_count = 0
            context.flags |= av.codec.context.Flags.global_header
            reorder = 0 if profile == "baseline" else source.reorder_depth
            context.options = {
                "preset": settings.preset,
                "crf": str(settings.crf),
                "profile": profile,
                "x264-params": _parameters(number, setup.level, reorder),
            }
            context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise Unsafe(f"no encoder matches its pictures: {error}") from None
        self.context = context
        self.form, self.repeats = source.pix_fmt, repeats
        self.units = tuple(
            one for one in from_start_codes(bytes(context.extradata or b"")) if one.is_parameters
        )

    def encode(self, frame: Any, pts: int) -> Iterator[EncodedPicture]:
        """Encode a frame to show at `pts`, and yield the pictures that are ready."""
        from av.video.frame import PictureType

        if frame.format.name != self.form:
            raise Unsafe("its pixel format changes mid-stream")
        frame.pts, frame.time_base = pts, self.context.time_base
        frame.pict_type = PictureType.P
        return self._to_pictures(self.context.encode(frame))

    def finish(self) -> Iterator[EncodedPicture]:
        """Yield the remaining pictures."""
        return self._to_pictures(self.context.encode(None))

    def _to_pictures(self, packets: list[Any]) -> Iterator[EncodedPicture]:
        for packet in packets:
            units = [one for one in from_start_codes(bytes(packet)) if one.kind != _SEI]
            if packet.is_keyframe and self.repeats:
                units = [*self.units, *units]
            yield EncodedPicture(packet.pts, to_lengths(units, self.length_size), packet.is_keyframe)


def _parameters(number: int, level: int, reorder: int) -> str:
    """Return x264's parameters. They allow B-frames, only to make the buffer as deep as the source's."""
    frames = {0: "bframes=0", 1: "bframes=1:b-pyramid=none"}.get(reorder, "bframes=3:b-pyramid=normal")
    fixed = "keyint=infinite:scenecut=0:open-gop=0:annexb=1:stitchable=1"
    return f"sps-id={number}:level={level}:{frames}:{fixed}:{REPEATABLE}"
