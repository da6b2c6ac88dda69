"""Pictures coded anew to stand among copied ones: in the source's form, with parameter sets of their own."""

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
    """A coded picture as a sample of an MP4 file; its time in ticks of the file."""

    pts: int
    data: bytes
    key: bool


class EdgeX264:
    """An x264 encoder of one run of pictures that begins with an IDR picture and has no B-frames.

    Its parameter sets have ids that the source's have not, so that both stand in one track's configuration.

    Parameters
    ----------
    stream
        The source's stream: size, pixel format, colours, profile and reordering are taken from it.
    ticks
        Ticks per second of the pictures' times.
    repeats
        Whether its parameter sets stand before its IDR pictures too, as the source's do before its own: some
        decoders take those for all that there are.

    Raises
    ------
    Unsafe
        There is no such encoder, or it cannot match the source.
    """

    def __init__(
        self, stream: Any, setup: Configuration, ticks: int, target: EncodeSettings, *, repeats: bool
    ) -> None:
        import av

        source = stream.codec_context
        number = next((one for one in range(_MOST_IDS) if one not in setup.sequence_ids()), None)
        profile = _PROFILES.get(str(source.profile))
        if number is None or profile is None:
            raise Unsafe(f"its H.264 profile ({source.profile}) is not one that can be matched")
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
                "preset": target.preset,
                "crf": str(target.crf),
                "profile": profile,
                "x264-params": _parameters(number, setup.level, reorder),
            }
            context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise Unsafe(f"pictures cannot be coded to match: {error}") from None
        self.context = context
        self.form, self.repeats = source.pix_fmt, repeats
        self.units = tuple(
            one for one in from_start_codes(bytes(context.extradata or b"")) if one.is_parameters
        )

    def code(self, frame: Any, pts: int) -> Iterator[EncodedPicture]:
        """Take a decoded frame, to be shown at `pts`; give the pictures that are ready."""
        from av.video.frame import PictureType

        if frame.format.name != self.form:
            raise Unsafe("its pixel format changes on the way")
        frame.pts, frame.time_base = pts, self.context.time_base
        frame.pict_type = PictureType.P
        return self._given(self.context.encode(frame))

    def finish(self) -> Iterator[EncodedPicture]:
        """The pictures that are still to come."""
        return self._given(self.context.encode(None))

    def _given(self, packets: list[Any]) -> Iterator[EncodedPicture]:
        for packet in packets:
            units = [one for one in from_start_codes(bytes(packet)) if one.kind != _SEI]
            if packet.is_keyframe and self.repeats:
                units = [*self.units, *units]
            yield EncodedPicture(packet.pts, to_lengths(units, self.length_size), packet.is_keyframe)


def _parameters(number: int, level: int, reorder: int) -> str:
    """x264's parameters. B-frames are allowed for, though none is made: as deep a buffer as the source's."""
    frames = {0: "bframes=0", 1: "bframes=1:b-pyramid=none"}.get(reorder, "bframes=3:b-pyramid=normal")
    fixed = "keyint=infinite:scenecut=0:open-gop=0:annexb=1:stitchable=1"
    return f"sps-id={number}:level={level}:{frames}:{fixed}:{REPEATABLE}"
