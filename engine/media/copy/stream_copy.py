"""Copying what need not change: which halves of a video can be copied from its source, and the file made so.

A picture is copied where its expression is an H.264, AV1 or VP9 source as it is; where it keeps ranges of an
H.264 source, it is cut. A sound is copied where it is one range of an AAC source in an MP4 file. The other
half is encoded by ffmpeg as ever. What was written is checked; on any doubt nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
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

__all__ = ["CopyPlan", "CopyReport", "Halves", "Way", "plan_copy", "write_copy"]

_WHOLE = ("h264", "av1", "libdav1d", "vp9", "libvpx-vp9")
"""Codecs whose packets browsers play from an MP4 file. HEVC is not one: many have no decoder for it."""

_CUT = ("h264",)
_FORMATS = ("yuv420p", "yuvj420p")
_CONTAINERS = ("mp4", "matroska")

Way = Literal["copied", "cut", "encoded"]


@dataclass(frozen=True, slots=True)
class CopyReport:
    """How a file was made.

    Attributes
    ----------
    picture, sound
        `"copied"` packet by packet, `"cut"` (copied but for a few pictures at the edges), `"encoded"`, or
        None where there is none.
    frames_copied, frames_encoded
        Pictures of the file; both 0 where all were encoded.
    note
        Why what might have been copied was encoded; empty where nothing might have been.
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
    """What of a video is copied: its picture, its sound, or both. `note`: why not the other, if it might."""

    picture: CopiedPicture | None
    sound: CopiedSound | None
    note: str = ""


def plan_copy(picture: Picture, sound: Sound | None, resolve: Resolver, target: EncodeSettings) -> CopyPlan:
    """What can be copied of an optimised picture and sound."""
    notes = []

    def tried(plan: Callable[[], Any]) -> Any:
        try:
            return plan()
        except (Unsafe, MediaError) as doubt:
            notes.append(str(doubt))
            return None

    seen = tried(lambda: _plan_picture(picture, resolve, target))
    heard = tried(lambda: _plan_sound(sound, resolve)) if sound is not None else None
    return CopyPlan(seen, heard, "; ".join(notes))


def _plan_picture(picture: Picture, resolve: Resolver, target: EncodeSettings) -> CopiedPicture | None:
    found = kept_ranges(picture)
    if found is None:
        return None
    source, ranges = found
    located = resolve(source)
    info = located.info.picture
    assert info is not None
    turned = info.rotation in (90, 270)
    size = (info.coded_height, info.coded_width) if turned else (info.coded_width, info.coded_height)
    if info.sar != 1 or size != (picture.width, picture.height) or info.pixel_format not in _FORMATS:
        raise Unsafe("its picture is not stored as it is to be seen")
    if info.codec not in (_CUT if ranges else _WHOLE):
        raise Unsafe(f"its codec ({info.codec}) is not one that is copied")
    if target.longest is not None and max(size) > target.longest:
        return None
    if info.color_transfer in HDR:
        raise Unsafe("it is HDR")
    if not any(one in located.info.container for one in _CONTAINERS):
        raise Unsafe(f"its container ({located.info.container}) is not one that is copied from")
    ticks = Lowering(resolve, {}, [picture]).ticks
    if ranges:
        return cut_picture(located.path, info, ranges, ticks, target)
    return whole_picture(located.path, info, ticks)


def _plan_sound(sound: Sound, resolve: Resolver) -> CopiedSound | None:
    found = kept_ranges(sound)
    if found is None:
        return None
    source, ranges = found
    located = resolve(source)
    info = located.info.sound
    if info is None or (info.rate, info.channels) != (sound.rate, sound.channels):
        raise Unsafe("its sound is not stored as it is to be heard")
    if len(ranges) > 1:
        raise Unsafe("its sound is cut more than once")
    return copy_sound(located.path, located.info, ranges[0] if ranges else (Fraction(0), sound.duration))


@dataclass(frozen=True, slots=True)
class Halves:
    """Files that hold the halves of a video that were encoded."""

    picture: Path | None = None
    sound: Path | None = None


def write_copy(
    plan: CopyPlan,
    encoded: Halves,
    output: Path,
    *,
    cancelled: Callable[[], bool],
    progress: Callable[[float], None],
) -> CopyReport:
    """Write what a plan copies, and the halves that were encoded, into an MP4 file, and check it.

    Raises
    ------
    Unsafe
        Something was not as it was found to be. What was written is of no use.
    Cancelled
        `cancelled()` became true.
    """
    import av

    try:
        _write(plan, encoded, output, cancelled, progress)
        if plan.picture is not None:
            check_copy(plan.picture, output, cancelled)
    except (Cancelled, RenderError):
        raise
    except (MediaError, av.error.FFmpegError, ValueError) as error:
        raise Unsafe(f"what was copied could not be read or written: {error}") from None
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
    encoded: Halves,
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
            recoder = files.enter_context(EdgeEncoder(picture, cancelled))
            tracks.append(picture.packets(seen_in, seen, recoder, cancelled))
        else:
            tracks.append(_all_packets(seen_in, video, seen, cancelled))
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
    """The packets of all tracks with their times of decoding in seconds, the earlier first."""
    return merge(*map(_timed, tracks), key=itemgetter(0))


def _timed(track: Iterator[Any]) -> Iterator[tuple[float, Any]]:
    """The packets of a track, which has one time base, with their times of decoding in seconds."""
    tick = 0.0
    for packet in track:
        tick = tick or float(packet.time_base)
        yield packet.dts * tick, packet


def _file(path: Path | None) -> Path:
    assert path is not None
    return path


def _all_packets(container: Any, stream: Any, out: Any, cancelled: Callable[[], bool]) -> Iterator[Any]:
    """All packets of a stream that we encoded."""
    for packet in container.demux(stream):
        if cancelled():
            raise Cancelled("the run was cancelled")
        if packet.dts is not None:
            packet.stream = out
            yield packet
