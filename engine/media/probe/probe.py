"""The probe: read the facts of a media file with PyAV, without access to other files or the network."""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tessera.errors import MediaError
from tessera.media.algebra.expression import even
from tessera.media.algebra.time import parse_rate
from tessera.media.ffmpeg.colors import HDR
from tessera.media.probe.bounded_file import BoundedFile
from tessera.media.probe.image_pixels import IMAGE_FORMATS
from tessera.media.probe.info import PROBE_VERSION, MediaInfo, PictureInfo, SoundInfo, has_guessed_times
from tessera.media.probe.lengths import with_both_lengths
from tessera.media.probe.riff import check_chunks
from tessera.media.probe.svg import is_svg, rasterise
from tessera.media.stream_facts.container_crop import container_crop
from tessera.media.stream_facts.cut_files import is_cut_off
from tessera.media.stream_facts.damage import Damage, StreamPackets, find_damage, without_holes
from tessera.media.stream_facts.first_frame import first_frame
from tessera.media.stream_facts.interlacing import Fields, fields_of, may_interlace
from tessera.media.stream_facts.orientation import orientation_of
from tessera.media.stream_facts.packet_form import form_check
from tessera.media.stream_facts.parameter_changes import HeaderWatch, PictureChange, changes_of
from tessera.media.stream_facts.sound_changes import SoundWatch
from tessera.media.stream_facts.stills import find_stills, frame_interval
from tessera.text.wording import count

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["DEMUXERS", "PROTOCOLS", "open_media", "probe"]

DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mp3,wav,w64,flac,ogg,aac,mpegts,mpeg,flv"
"""The demuxers allowed for users' files: none that opens other files (playlists, concat scripts)."""

PROTOCOLS = "file,pipe"
"""The ffmpeg protocols allowed for users' files: none that reaches the network."""

_MAX_PIXELS = 100_000_000
"""The largest still image that is read, in pixels."""

_OPEN_S = 10.0
"""The longest time to open a file. Even large valid files take a second or less."""

_MAX_PACKETS = 10_000_000
"""Five hours of 240 frames a second with sound have fewer."""

_MIN_SOUND_RATE = 1000
_STATED = ("avi", "flv", "matroska")
"""Demuxers of containers that state a length, and in which damage can end the reading."""

_MICROSECONDS = 1_000_000
_HOLE_S = Fraction(1, 5)
"""The shortest time without a packet of sound that may be a loss."""

_IDR = 5
"""The NAL unit type of an IDR slice (H.264, table 7-1)."""

_MILLISECOND = Fraction(1, 1000)
_USUAL_RATES = tuple(
    Fraction(rate)
    for rate in ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60", "15", "12")
)
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"[playlist]", b"v=0")


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Open a container for reading, with the allowed demuxers and protocols only, in bounded time.

    Raises
    ------
    MediaError
        If the file is not media, is broken, or takes too long to open.
    """
    import av

    logging.getLogger("libav").setLevel(logging.CRITICAL)
    options = {"protocol_whitelist": PROTOCOLS, "format_whitelist": DEMUXERS}
    url, started = f"file:{path.absolute()}", time.monotonic()
    try:
        check_chunks(path)
        container = av.open(url, options=options, timeout=(_OPEN_S, None), **_tag_options(av.__version__))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        _check_time(path, started)
        reason = _failure_reason(path, error)
        raise MediaError(f"{path.name} is not a readable media file: {reason}") from None
    try:
        # Some demuxers treat a read that timed out as the end of the file and open without an error.
        _check_time(path, started)
        yield container
    except (av.error.FFmpegError, EOFError) as error:
        raise MediaError(f"{path.name} is broken: {_error_text(error)}") from None
    finally:
        container.close()


def _tag_options(version: str) -> dict[str, Any]:
    """Return the options with which PyAV opens media whose tags are not UTF-8; version 19 needs none."""
    return {"metadata_errors": "replace"} if int(version.partition(".")[0]) < 19 else {}


def _check_time(path: Path, started: float) -> None:
    if time.monotonic() - started >= _OPEN_S:
        raise MediaError(
            f"{path.name} takes more than {_OPEN_S:g} s to open: it is damaged or crafted to be slow"
        )


def _error_text(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _failure_reason(path: Path, error: Exception) -> str:
    """Return the reason why a file cannot be opened, in plain words, from its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as problem:
        return _error_text(problem)
    if not head:
        return "it is empty (0 bytes)"
    if head.lstrip()[:10].startswith(_PLAYLISTS):
        return "it is a playlist or a list of other files, not media"
    if head[4:8] == b"ftyp" or b"moov" in head:
        return "its index (moov) is missing; the file is truncated or was not closed"
    if b"\0" not in head:
        return "it is text"
    return _error_text(error)


def probe(path: Path) -> MediaInfo:
    """Read the facts of a media file from its content.

    Every packet is read once, to determine the frame count, the variable rate and the exact end. Only the
    first frames are decoded.

    Raises
    ------
    MediaError
        If the file is missing or empty, if nothing of it can be used, or if it is neither video, audio nor
        image.
    """
    if not path.is_file():
        raise MediaError(f"{path} does not exist" if not path.exists() else f"{path} is not a file")
    image = _image(path)
    if image is not None:
        return image
    with open_media(path) as container:
        video, audio = _choose(container)
        if video is None and audio is None:
            raise MediaError(f"{path.name} has neither a picture nor a sound stream")
        if audio is not None and 0 < audio.codec_context.sample_rate < _MIN_SOUND_RATE:
            least = f"at least {_MIN_SOUND_RATE:,} Hz is needed"
            raise MediaError(f"{path.name} has sound at {audio.codec_context.sample_rate} Hz; {least}")
        scans = _scan(path, container, [stream for stream in (video, audio) if stream is not None])
        if video is not None and audio is not None and not scans[audio.index].times:
            audio = None
        for stream in (video, audio):
            if stream is not None and not scans[stream.index].times:
                raise MediaError(f"{path.name} has no readable {stream.type} data")
        damage = _damage(path, container, video, audio, scans)
        picture = (
            _picture(path, video, scans[video.index], damaged=bool(damage)) if video is not None else None
        )
        sound = _sound(path, audio, scans[audio.index]) if audio is not None else None
        zero = picture.start * picture.time_base if picture else sound.start if sound else Fraction(0)
        info = MediaInfo(
            kind="video" if picture else "audio",
            container=container.format.name,
            picture=picture,
            sound=sound,
            notes=(
                *_notes(container, video, audio, picture),
                *(note for scan in scans.values() for note in scan.notes),
                *damage.notes(zero),
            ),
            lost=tuple((start - zero, end - zero) for start, end in damage.ranges if start >= zero),
            version=PROBE_VERSION,
        )
        return with_both_lengths(info)


def _image(path: Path) -> MediaInfo | None:
    """Return the facts of a still image, or None if the file is not an image."""
    if is_svg(path):
        drawing = rasterise(path)
        notes = ("has text, drawn in this machine's fonts",) if drawing.has_text else ()
        return _still("svg", *drawing.pixels.size, "RGBA", notes)
    with path.open("rb") as file:
        head = file.read(16)
    if not head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8")) and not (
        head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    ):
        return None
    from PIL import Image, UnidentifiedImageError

    try:
        with BoundedFile(path) as bounded, Image.open(bounded, formats=IMAGE_FORMATS) as image:
            width, height = image.size
            if width * height > _MAX_PIXELS:
                raise MediaError(f"{path.name} is {width}×{height}: at most {_MAX_PIXELS:,} pixels are read")
            image.load()
            return _still(str(image.format).lower(), width, height, image.mode)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise MediaError(f"{path.name} is a broken image: {error}") from None


def _still(codec: str, width: int, height: int, pixel_format: str, notes: tuple[str, ...] = ()) -> MediaInfo:
    picture = PictureInfo(
        index=0,
        codec=codec,
        width=width,
        height=height,
        coded_width=width,
        coded_height=height,
        rate=Fraction(1),
        frames=1,
        time_base=Fraction(1),
        duration=Fraction(0),
        pixel_format=pixel_format,
    )
    return MediaInfo(kind="image", container=codec, picture=picture, notes=notes)


def _choose(container: InputContainer) -> tuple[Any, Any]:
    """Return the video stream (never an attached picture) and the audio stream to use.

    The default stream of each type is preferred; without one, the first is used.
    """
    from av.stream import Disposition

    def best(streams: Any) -> Any:
        usable = [
            stream
            for stream in streams
            if not stream.disposition & Disposition.attached_pic and stream.codec_context
        ]
        default = [stream for stream in usable if stream.disposition & Disposition.default]
        return (default or usable or [None])[0]

    return best(container.streams.video), best(container.streams.audio)


class _Incomplete(NamedTuple):
    """A packet that the demuxer marks as incomplete: its time and duration, and whether it is a keyframe."""

    time: int
    duration: int
    is_key: bool


@dataclass(slots=True)
class _PacketScan:
    """The facts collected from the packets of one stream. Times are in ticks of its time base."""

    times: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    clean: bool = True
    lead: int | None = 0
    end: int | None = None
    packets: int = 0
    first_key: int | None = None
    headers: HeaderWatch = field(default_factory=HeaderWatch)
    sound: SoundWatch = field(default_factory=SoundWatch)
    notes: list[str] = field(default_factory=list)
    suspects: list[int] = field(default_factory=list)
    holes: list[tuple[int, int]] = field(default_factory=list)
    incomplete: _Incomplete | None = None
    failed: bool = False
    segmented: bool = False
    """True if an edit list hides a keyframe after the first picture: pictures before a later segment."""

    def finish(self) -> None:
        """Take in the incomplete packet before this one. The last picture is not: the file ends in it."""
        if self.incomplete is not None:
            time, lasts, is_key = self.incomplete
            self.incomplete = None
            self.suspects.append(time)
            self.times.append(time)
            if is_key:
                self.keys.append(time)
                self.clean = False
            self.end = max(time + lasts, self.end or 0)

    def number_pictures(self) -> None:
        """Set the times of pictures that the container does not time: one usual gap apart, never sought."""
        if len(self.times) < 2:
            return
        self.times.sort()
        gaps = sorted(after - before for before, after in pairwise(self.times))
        gap = max(gaps[len(gaps) // 2], 1)
        self.times = [place * gap for place in range(len(self.times))]
        self.end, self.keys, self.segmented = len(self.times) * gap, [0], True
        self.lead = None

    def note_lead(self, packet: Any) -> None:
        """Update the longest time by which a keyframe is coded before its presentation."""
        if packet.pts is None or packet.dts is None:
            self.lead = None
        elif self.lead is not None:
            self.lead = max(self.lead, packet.pts - packet.dts)


def _scan(path: Path, container: InputContainer, streams: list[Any]) -> dict[int, _PacketScan]:
    import av

    scans = {stream.index: _PacketScan() for stream in streams}
    checks = {stream.index: form_check(stream) for stream in streams if stream.type == "video"}
    hole = {stream.index: int(_HOLE_S / stream.time_base) for stream in streams}
    try:
        for number, packet in enumerate(container.demux(streams)):
            if number >= _MAX_PACKETS:
                raise MediaError(f"{path.name} holds more than {_MAX_PACKETS:,} packets")
            if packet.size == 0:
                continue
            index = packet.stream_index
            scan = scans[index]
            scan.packets += 1
            if index in checks:
                scan.headers.note(packet)
            else:
                scan.sound.note(packet)
            time = packet.pts if packet.pts is not None else packet.dts
            if time is None or packet.is_discard:
                scan.segmented = scan.segmented or (
                    index in checks and packet.is_keyframe and scan.end is not None
                )
                continue
            scan.finish()
            if packet.is_corrupt:
                scan.incomplete = _Incomplete(time, packet.duration or 0, packet.is_keyframe)
                continue
            if index in checks:
                check = checks[index]
                if check is not None and not check(packet):
                    scan.suspects.append(time)
                scan.times.append(time)
                if packet.is_keyframe:
                    if scan.first_key is None:
                        scan.first_key = scan.packets - 1
                    scan.keys.append(time)
                    scan.clean = scan.clean and _is_clean(packet)
                    scan.note_lead(packet)
            elif not scan.times:
                # Of sound, only the first time is needed.
                scan.times.append(time)
            elif scan.end is not None and time - scan.end > hole[index]:
                scan.holes.append((scan.end, time))
            end = time + (packet.duration or 0)
            if scan.end is None or end > scan.end:
                scan.end = end
    except (av.error.FFmpegError, IndexError):
        # PyAV raises an IndexError if damaged bytes look like the first packet of a new stream.
        for scan in scans.values():
            scan.failed = True
    for index, scan in scans.items():
        if index not in checks:
            scan.finish()
        elif has_guessed_times(container.format.name, container.streams[index].codec_context.name):
            scan.number_pictures()
        scan.times.sort()
        scan.keys.sort()
    return scans


def _is_clean(packet: Any) -> bool:
    """Return True if all later frames can be decoded from a keyframe on.

    In H.264, only IDR pictures qualify: x264 also flags the first pictures of open GOPs and of gradual
    refreshes as keyframes. For other codecs, the flag is trusted.
    """
    context = packet.stream.codec_context
    if context.name != "h264":
        return True
    data, extra = bytes(packet), context.extradata or b""
    # With an avcC record, NAL units have a length prefix; otherwise they have Annex B start codes.
    length = (extra[4] & 3) + 1 if extra[:1] == b"\1" and len(extra) > 4 else 0
    offset = 0
    while length and offset + length < len(data):
        if data[offset + length] & 31 == _IDR:
            return True
        offset += length + int.from_bytes(data[offset : offset + length], "big")
    return not length and any(unit and unit[0] & 31 == _IDR for unit in data.split(b"\0\0\1")[1:])


def _damage(
    path: Path, container: InputContainer, video: Any, audio: Any, scans: dict[int, _PacketScan]
) -> Damage:
    """Return what of a file is lost."""
    failed = any(scan.failed for scan in scans.values())
    streams = [_stream_packets(container, stream, scans) for stream in (video, audio)]
    # A subtitle, for example, can last longer than what is used.
    stated = container.format.name.startswith(_STATED) and len(container.streams) == len(scans)
    return find_damage(*streams, cut_off=failed or is_cut_off(path), stated=stated)


def _stream_packets(
    container: InputContainer, stream: Any, scans: dict[int, _PacketScan]
) -> StreamPackets | None:
    if stream is None:
        return None
    scan, base = scans[stream.index], Fraction(stream.time_base)
    end = scan.end if scan.end is not None else scan.times[-1]
    start = stream.start_time if stream.start_time is not None else scan.times[0]
    length = stream.duration
    if length is not None and container.format.name == "avi" and stream.type == "video":
        # The index counts slots of the time base. The demuxer shortens the length of a file that is cut off.
        length = max(length, stream.frames)
    promised = (start + length) * base if length is not None else None
    if promised is None and container.duration is not None:
        promised = Fraction(container.duration + (container.start_time or 0), _MICROSECONDS)
    return StreamPackets(
        [time * base for time in scan.times],
        [time * base for time in scan.keys],
        end * base,
        promised,
        [time * base for time in scan.suspects],
        [(low * base, high * base) for low, high in scan.holes],
    )


def _first_frame(path: Path, stream: Any, scan: _PacketScan) -> Any:
    """Decode the first frame of a stream that can be shown."""
    first_key = scan.first_key if stream.type == "video" else 0
    with open_media(path) as container:
        return first_frame(container, stream.index, path.name, first_key)


def _changes(path: Path, index: int, scan: _PacketScan) -> list[PictureChange]:
    """Return the changes of the picture within a stream."""
    if not scan.headers.found:
        return []
    with open_media(path) as container:
        return changes_of(container, container.streams[index], scan.headers)


def _told(changes: list[PictureChange], start: int, base: Fraction, size: tuple[int, int]) -> Iterator[str]:
    """Yield a note on the changes of a picture that starts at tick `start`."""
    if not changes:
        return
    first = changes[0]
    at = float(max(first.time - start, 0) * base)
    more = f" (and {count(len(changes) - 1, 'more time')})" if len(changes) > 1 else ""
    yield f"changes {first.what} at {at:.3f} s{more}: every picture is fitted into {size[0]}×{size[1]}"


def _fields(path: Path, stream: Any, frame: Any) -> tuple[Fields | None, str]:
    """Return the frames of a stream to deinterlace, and a note on them."""
    if not may_interlace(stream, frame):
        return None, ""
    with open_media(path) as container:
        return fields_of(container, container.streams[stream.index])


def _skip_undecodable(frame: Any, scan: _PacketScan) -> int:
    """Remove the times of packets at the start that give no picture; return their number.

    Without presentation times in the packets (AVI), times of frames and packets are not comparable, and only
    a missing keyframe at the start says that packets give no picture.
    """
    if frame.pts is None or (scan.lead is None and scan.first_key == 0):
        return 0
    shown = bisect_left(scan.times, frame.pts)
    if shown == len(scan.times):
        return 0
    del scan.times[:shown]
    return shown


def _picture(path: Path, stream: Any, scan: _PacketScan, *, damaged: bool) -> PictureInfo:
    context = stream.codec_context
    base = Fraction(stream.time_base)
    frame, begin = _first_frame(path, stream, scan), scan.times[0]
    skipped = _skip_undecodable(frame, scan)
    rate, variable = _rate(stream, without_holes(scan.times) if damaged else scan.times, base)
    last = scan.times[-1]
    end = _declared_end(stream, last, max(scan.end or last, last + 1))
    # Without a duration, the last packet counts as one frame at the nominal rate.
    if scan.end is None or scan.end <= last:
        end = last + max(int(1 / (rate * base)), 1)
    usual = frame_interval(scan.times, base, rate, variable=variable)
    still_after, stills = find_stills(scan.times, end, floor((usual + max(2 * base, _MILLISECOND)) / base))
    sar = Fraction(stream.sample_aspect_ratio or frame_sar(frame) or 1) or Fraction(1)
    rotation, turns = orientation_of(frame)
    allowed = {"protocol_whitelist": PROTOCOLS, "format_whitelist": DEMUXERS}
    cropped = container_crop(path, stream, (frame.width, frame.height), allowed)
    fields, about_fields = _fields(path, stream, frame)
    changes = _changes(path, stream.index, scan)
    if fields is None and any(change.interlaced for change in changes):
        fields, about_fields = "flagged", "is interlaced in part: that is deinterlaced where it is encoded"
    width, height = cropped or (frame.width, frame.height)
    width = int(width * sar + Fraction(1, 2))
    if rotation in (90, 270):
        width, height = height, width
    if min(even(width), even(height)) < 2:
        raise MediaError(f"{path.name} is {width}×{height}: a video must be at least 2×2 pixels")
    start, shown = scan.times[0], (even(width), even(height))
    scan.notes += [note for note in (about_fields, *_told(changes, start, base, shown)) if note]
    layout = frame.format
    return PictureInfo(
        index=stream.index,
        codec=context.name,
        width=width,
        height=height,
        coded_width=frame.width,
        coded_height=frame.height,
        sar=sar,
        cropped=cropped,
        rotation=rotation,
        orientation=turns,
        fields=fields,
        varies=bool(changes),
        rate=rate,
        variable=variable,
        frames=len(scan.times),
        time_base=base,
        start=scan.times[0],
        skipped=skipped,
        duration=(end - scan.times[0]) * base,
        stills=stills,
        still_after=still_after,
        # The demuxer cannot seek reliably in an edit list of several segments.
        key_gap=None
        if scan.segmented
        else max(after - key for key, after in pairwise([begin, *scan.keys, end])) * base,
        clean_keys=scan.clean and not scan.segmented,
        key_lead=None if scan.lead is None else scan.lead * base,
        pixel_format=layout.name,
        depth=max(component.bits for component in layout.components),
        color_range=_RANGES.get(int(frame.color_range)),
        color_primaries=_PRIMARIES.get(int(context.color_primaries)),
        color_transfer=_TRANSFERS.get(int(context.color_trc)),
        color_matrix=_MATRICES.get(int(context.colorspace)),
    )


def _declared_end(stream: Any, last: int, end: int) -> int:
    """Return the end of the last picture, in ticks: the container's own, if it lies between `last` and `end`.

    MP4 stores how long after a picture the next one in coding order follows. For the picture that is shown
    last, after pictures of unequal length or missing ones, that is not the time for which it is shown.
    """
    if stream.duration is None:
        return end
    declared = (stream.start_time or 0) + int(stream.duration)
    return declared if last < declared < end else end


def frame_sar(frame: Any) -> Fraction | None:
    """Return the pixel aspect ratio of a decoded frame, or None if this PyAV does not provide it."""
    return getattr(frame, "sample_aspect_ratio", None)


def _rate(stream: Any, times: list[int], base: Fraction) -> tuple[Fraction, bool]:
    """Return the frame rate, and True if it is variable.

    A rate is constant if no two gaps between frames differ by more than the rounding of the time base allows
    (one tick on either side).
    """
    if len(times) < 2:
        return parse_rate(Fraction(stream.average_rate or stream.guessed_rate or 25)), False
    gaps = [after - before for before, after in pairwise(times)]
    span = (times[-1] - times[0]) * base
    mean = len(gaps) / span if span else Fraction(25)
    # Containers round times to their time base, and some to whole milliseconds.
    rounding = max(2 * base, _MILLISECOND)
    variable = (max(gaps) - min(gaps)) * base > rounding + base
    declared = [
        Fraction(known) for known in (stream.average_rate, stream.guessed_rate, stream.base_rate) if known
    ]
    if variable:
        near = [known for known in declared if abs(known / mean - 1) < Fraction(1, 500)]
        return parse_rate((near or [_simplest_rate(mean)])[0].limit_denominator(1_000_000)), True
    tolerance = max(Fraction(1, 1000), 2 * rounding / span if span else Fraction(0))
    near = [known for known in (*declared, *_USUAL_RATES) if abs(known / mean - 1) < tolerance]
    best = min(near, key=lambda known: abs(known / mean - 1), default=_simplest_rate(mean))
    usual = next((known for known in _USUAL_RATES if known in near), best)
    return parse_rate((usual if usual in declared else best).limit_denominator(1_000_000)), False


def _simplest_rate(rate: Fraction) -> Fraction:
    """Return the simplest rate within 0.1 %."""
    for denominator in (1, 2, 1001):
        near = Fraction(round(rate * denominator), denominator)
        if near and abs(near / rate - 1) < Fraction(1, 1000):
            return near
    return rate.limit_denominator(1001)


def _sound(path: Path, stream: Any, scan: _PacketScan) -> SoundInfo:
    context = stream.codec_context
    base = Fraction(stream.time_base)
    if not context.sample_rate or not context.layout.nb_channels:
        raise MediaError(f"{path.name}: its audio stream has no sample rate or channels")
    first = _first_frame(path, stream, scan)
    start = first.pts * Fraction(first.time_base) if first.pts is not None else scan.times[0] * base
    changed = scan.sound.changed
    if changed is not None:
        at = max(float(changed * base - start), 0.0)
        form = f"{context.sample_rate:,} Hz, {count(context.layout.nb_channels, 'channel')}"
        scan.notes.append(f"changes the rate or the channels of its sound at {at:.3f} s: all is made {form}")
    return SoundInfo(
        index=stream.index,
        codec=context.name,
        rate=context.sample_rate,
        channels=context.layout.nb_channels,
        layout=context.layout.name,
        start=start,
        varies=changed is not None,
        duration=max((scan.end or 0) * base - start, base),
    )


def _notes(container: InputContainer, video: Any, audio: Any, picture: PictureInfo | None) -> Iterator[str]:
    """Yield notes for the user about the streams that are used and ignored."""
    if len(container.streams.audio) > 1:
        yield f"has {len(container.streams.audio)} audio streams; number {audio.index} is used"
    others = [stream for stream in container.streams.video if video is None or stream.index != video.index]
    if others:
        yield f"has {count(len(others), 'more picture stream')} (cover art or another angle), not used"
    if picture is not None and picture.skipped:
        lost = count(picture.skipped, "packet")
        yield f"begins within a group of pictures: {lost} at its start, without a picture, left out"
    if picture is not None and picture.variable:
        yield f"has a variable frame rate, {float(picture.rate):.3f} frames/s on average"
    if picture is not None and picture.color_transfer in HDR:
        yield f"is HDR ({HDR[picture.color_transfer]}): it is tone-mapped to SDR (BT.709)"


_RANGES = {1: "tv", 2: "pc"}
# The keys of the next three tables are the code points of ITU-T H.273, which ffmpeg uses as they are.
_PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020",
    12: "smpte432",
}
_TRANSFERS = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    18: "arib-std-b67",
}
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc", 10: "bt2020c"}
