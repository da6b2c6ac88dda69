"""Stream copy: plan which streams of a video can be copied from its source, then write and check the file.

A picture is copied if its expression is an unchanged H.264, AV1 or VP9 source. It is cut if the expression
keeps ranges of an H.264 source. A sound is copied if it is one range of an AAC source in an MP4 file. ffmpeg
encodes the other stream. The written file is checked; if a check fails, nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from math import ceil
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from tessera.errors import Cancelled, MediaError, RenderError
from tessera.media.algebra.expression import Picture, Sound
from tessera.media.algebra.timeline import kept_ranges
from tessera.media.copy.aac_copy import CopiedSound, copy_sound
from tessera.media.copy.copy_check import check_copy
from tessera.media.copy.edge_encoder import EdgeEncoder
from tessera.media.copy.packets import Unsafe
from tessera.media.copy.picture_copy import CopiedPicture, cut_picture, whole_picture
from tessera.media.ffmpeg.colors import HDR
from tessera.media.ffmpeg.compiler import EncodeSettings
from tessera.media.ffmpeg.lowering import Lowering, Resolver
from tessera.media.probe.probe import open_media

__all__ = ["CopyPlan", "CopyReport", "EncodedTracks", "Way", "plan_copy", "write_copy"]

_WHOLE = ("h264", "av1", "libdav1d", "vp9", "libvpx-vp9")
"""Codecs whose packets browsers play from an MP4 file. HEVC is not one: many have no decoder for it."""

_CUT = ("h264",)
_FORMATS = ("yuv420p", "yuvj420p")
_CONTAINERS = ("mp4", "matroska")

Way = Literal["copied", "cut", "encoded"]


@dataclass(frozen=True, slots=True)
class CopyReport:
    """A report of how a file was made.

    Attributes
    ----------
    picture, sound
        `"copied"` packet by packet, `"cut"` (copied except for a few pictures at the edges), `"encoded"`, or
        None if there is no such stream.
    frames_copied, frames_encoded
        The number of pictures copied and re-encoded. Both are 0 if the whole picture was encoded.
    note
        The reason why a stream that might have been copied was encoded, or empty.
    """

    picture: Way | None
    sound: Way | None
    frames_copied: int = 0
    frames_encoded: int = 0
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "picture": self.picture,
            "sound": self.sound,
            "frames_copied": self.frames_copied,
            "frames_encoded": self.frames_encoded,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """The streams of a video to copy. `note` gives the reason if a candidate is encoded instead."""

    picture: CopiedPicture | None
    sound: CopiedSound | None
    note: str = ""


def plan_copy(picture: Picture, sound: Sound | None, resolve: Resolver, settings: EncodeSettings) -> CopyPlan:
    """Plan which streams of an optimised picture and sound to copy."""
    notes = []

    def attempt(plan: Callable[[], Any]) -> Any:
        try:
            return plan()
        except (Unsafe, MediaError) as doubt:
            notes.append(str(doubt))
            return None

    copied_picture = attempt(lambda: _plan_picture(picture, resolve, settings))
    copied_sound = attempt(lambda: _plan_sound(sound, resolve)) if sound is not None else None
    return CopyPlan(copied_picture, copied_sound, "; ".join(notes))


def _plan_picture(picture: Picture, resolve: Resolver, settings: EncodeSettings) -> CopiedPicture | None:
    found = kept_ranges(picture)
    if found is None:
        return None
    source, ranges = found
    located = resolve(source)
    info = located.info.picture
    assert info is not None
    size = (info.coded_height, info.coded_width) if info.is_turned else (info.coded_width, info.coded_height)
    if info.varies:
        raise Unsafe("its picture changes within the file")
    if (
        info.cropped is not None
        or info.sar != 1
        or size != (picture.width, picture.height)
        or info.pixel_format not in _FORMATS
    ):
        raise Unsafe("its picture is not stored in the size and form in which it is shown")
    if info.codec not in (_CUT if ranges else _WHOLE):
        raise Unsafe(f"its codec ({info.codec}) cannot be copied")
    if settings.longest is not None and max(size) > settings.longest:
        return None
    if located.info.lost:
        raise Unsafe("it is damaged")
    if info.color_transfer in HDR:
        raise Unsafe("it is HDR")
    if not any(one in located.info.container for one in _CONTAINERS):
        raise Unsafe(f"its container ({located.info.container}) cannot be copied from")
    ticks = Lowering(resolve, {}, [picture]).ticks
    if ranges:
        return cut_picture(located.path, info, ranges, ticks, settings)
    return whole_picture(located.path, info, ticks)


def _plan_sound(sound: Sound, resolve: Resolver) -> CopiedSound | None:
    found = kept_ranges(sound)
    if found is None:
        return None
    source, ranges = found
    located = resolve(source)
    info = located.info.sound
    if info is None or (info.rate, info.channels) != (sound.rate, sound.channels):
        raise Unsafe("its sound is not stored at the rate and with the channels of the output")
    if located.info.lost:
        raise Unsafe("its sound is damaged")
    if len(ranges) > 1:
        raise Unsafe("its sound is cut more than once")
    return copy_sound(located.path, located.info, ranges[0] if ranges else (Fraction(0), sound.duration))


@dataclass(frozen=True, slots=True)
class EncodedTracks:
    """The files that hold the encoded streams of a video, and the length of its picture in seconds."""

    picture: Path | None = None
    sound: Path | None = None
    duration: Fraction | None = None


def write_copy(
    plan: CopyPlan,
    encoded: EncodedTracks,
    output: Path,
    *,
    cancelled: Callable[[], bool],
    progress: Callable[[float], None],
) -> CopyReport:
    """Write the copied and the encoded streams into an MP4 file, and check it.

    Raises
    ------
    Unsafe
        If the source or the written file differs from the plan. The written file is then unusable.
    Cancelled
        If `cancelled()` returns True.
    """
    import av

    try:
        _write(plan, encoded, output, cancelled, progress)
        if plan.picture is not None:
            check_copy(plan.picture, output, cancelled)
    except (Cancelled, RenderError):
        raise
    except (MediaError, av.error.FFmpegError, ValueError) as error:
        raise Unsafe(f"the copied packets could not be read or written: {error}") from None
    picture = plan.picture
    has_sound = plan.sound is not None or encoded.sound is not None
    return CopyReport(
        ("cut" if picture.encoded else "copied") if picture else "encoded",
        ("copied" if plan.sound else "encoded") if has_sound else None,
        picture.copied if picture else 0,
        picture.encoded if picture else 0,
        plan.note,
    )


def _write(
    plan: CopyPlan,
    encoded: EncodedTracks,
    output: Path,
    cancelled: Callable[[], bool],
    progress: Callable[[float], None],
) -> None:
    import av

    with ExitStack() as files:
        picture, sound = plan.picture, plan.sound
        seen_in = files.enter_context(open_media(picture.path if picture else _file(encoded.picture)))
        video: Any = seen_in.streams[picture.info.index] if picture else seen_in.streams.video[0]
        ticks = picture.ticks if picture else video.time_base.denominator
        options = {
            "movflags": "+faststart",
            "fflags": "+bitexact",
            "video_track_timescale": str(ticks),
            "movie_timescale": str(ticks),
        }
        out = files.enter_context(av.open(str(output), "w", format="mp4", options=options))
        seen = out.add_stream_from_template(video, opaque=True)
        tracks = []
        if picture is not None:
            picture.configure(video)
            if picture.configuration is not None:
                seen.codec_context.extradata = picture.configuration
            edge_encoder = files.enter_context(EdgeEncoder(picture, cancelled))
            tracks.append(picture.packets(seen_in, seen, edge_encoder, cancelled))
        else:
            end = None if encoded.duration is None else ceil(encoded.duration * ticks)
            tracks.append(_all_packets(seen_in, video, seen, cancelled, end))
        if sound is not None or encoded.sound is not None:
            heard_in = files.enter_context(open_media(sound.path if sound else _file(encoded.sound)))
            audio = heard_in.streams[sound.index] if sound else heard_in.streams.audio[0]
            heard = out.add_stream_from_template(audio, opaque=True)
            if sound is not None:
                tracks.append(sound.packets(heard_in, heard, cancelled))
            else:
                tracks.append(_all_packets(heard_in, audio, heard, cancelled))
        seconds = picture.times[-1] / ticks if picture else 0.0
        for count, (time, packet) in enumerate(_by_time(tracks)):
            if seconds and count % 500 == 0:
                progress(min(max(time / seconds, 0.0), 1.0))
            out.mux_one(packet)


def _by_time(tracks: list[Iterator[Any]]) -> Iterator[tuple[float, Any]]:
    """Yield the packets of all tracks with their decoding times in seconds, in ascending order."""
    return merge(*map(_timed, tracks), key=itemgetter(0))


def _timed(track: Iterator[Any]) -> Iterator[tuple[float, Any]]:
    """Yield the packets of a track with their decoding times in seconds."""
    tick = 0.0
    for packet in track:
        tick = tick or float(packet.time_base)
        yield packet.dts * tick, packet


def _file(path: Path | None) -> Path:
    assert path is not None
    return path


def _all_packets(
    container: Any, stream: Any, out: Any, cancelled: Callable[[], bool], end: int | None = None
) -> Iterator[Any]:
    """Yield all packets of an encoded stream; with `end`, in ticks, the last picture lasts up to it."""
    for packet in container.demux(stream):
        if cancelled():
            raise Cancelled("the run was cancelled")
        if packet.dts is not None:
            if end is not None and packet.pts is not None:
                packet.duration = max(end - packet.pts, 1)
            packet.stream = out
            yield packet
