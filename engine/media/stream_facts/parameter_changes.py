"""Pictures whose size, shape, colours or orientation change within a stream.

While the packets of a stream are read, the headers of its keyframes are compared, without decoding: the part
of each header that describes the picture. Only a keyframe with a new header is decoded, to see what it
changes. So an ordinary file pays for reading a few bytes of each keyframe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from tessera.media.stream_facts.orientation import Orientation, orientation_of

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["HeaderWatch", "PictureChange", "changes_of"]

_HEAD = 4096
"""The bytes at the start of a packet in which its headers are sought."""

_MOST = 64
"""The most new headers that are decoded."""


class _Look(NamedTuple):
    """What describes a decoded picture."""

    width: int
    height: int
    sar: Fraction
    layout: str
    colors: tuple[int, int, int, int]
    orientation: Orientation
    interlaced: bool


@dataclass(frozen=True, slots=True)
class PictureChange:
    """A change: the time of the first changed picture in ticks of the stream, a description, and True if the
    pictures from there on are flagged as interlaced.
    """

    time: int
    what: str
    interlaced: bool = False


@dataclass(slots=True)
class HeaderWatch:
    """Finds the packets of a stream whose headers differ from those before.

    `found` holds the number of each such packet among the packets of its stream, in coding order.
    """

    number: int = -1
    found: list[int] = field(default_factory=list)
    _last: bytes = b""
    _seen: set[bytes] = field(default_factory=set)

    def note(self, packet: Any) -> None:
        """Compare the headers of a packet. Every packet of the stream must be given, in coding order."""
        self.number += 1
        if not packet.is_keyframe:
            return
        header = _header(packet)
        if not header or header == self._last:
            return
        if self._last and header not in self._seen and len(self.found) < _MOST:
            self.found.append(self.number)
        self._last = header
        self._seen.add(header)


def changes_of(container: InputContainer, stream: Any, watch: HeaderWatch) -> list[PictureChange]:
    """Decode the keyframes with new headers, and return the changes of the picture.

    `container` is opened anew for this; nothing else may read it.
    """
    import av

    wanted, changes = {0, *watch.found}, list[PictureChange]()
    before: _Look | None = None
    number = -1
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        number += 1
        if before is not None and number not in wanted:
            continue
        time = packet.pts if packet.pts is not None else packet.dts
        frames: list[Any] = []
        with suppress(av.error.FFmpegError):
            frames += stream.decode(packet)
            # A keyframe alone comes out when the decoder is drained.
            frames += stream.decode(None) if before is not None else []
        if frames or before is not None:
            stream.codec_context.flush_buffers()
        if not frames:
            continue
        look = _look(frames[0], stream.codec_context)
        if before is None:
            before = look
        elif look != before and time is not None:
            changes.append(PictureChange(time, _described(before, look), look.interlaced))
            before = look
        if number >= max(wanted):
            break
    return changes


def _look(frame: Any, context: Any) -> _Look:
    colors = (int(frame.color_range), int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace))
    return _Look(
        frame.width,
        frame.height,
        Fraction(context.sample_aspect_ratio or 1) or Fraction(1),
        frame.format.name,
        colors,
        orientation_of(frame),
        frame.interlaced_frame,
    )


def _described(before: _Look, after: _Look) -> str:
    """Return the differences in words."""
    parts = []
    if (before.width, before.height) != (after.width, after.height):
        parts.append(f"its size from {before.width}×{before.height} to {after.width}×{after.height}")
    if before.sar != after.sar:
        parts.append(f"the shape of its pixels from {before.sar} to {after.sar}")
    if before.layout != after.layout:
        parts.append(f"its pixel format from {before.layout} to {after.layout}")
    if before.colors != after.colors:
        parts.append("its colours")
    if before.orientation != after.orientation:
        parts.append("its orientation")
    if before.interlaced != after.interlaced:
        parts.append(f"to {'interlaced' if after.interlaced else 'progressive'} pictures")
    return " and ".join(parts)


def _header(packet: Any) -> bytes:
    """Return the bytes of a keyframe that describe its picture; empty if it holds none that are known."""
    if packet.has_sidedata("new_extradata"):
        return bytes(packet.get_sidedata("new_extradata"))
    read = _READERS.get(packet.stream.codec_context.name)
    if read is None:
        return b""
    extra = packet.stream.codec_context.extradata or b""
    return read(bytes(memoryview(packet)[:_HEAD]), bytes(extra[:32]))


def _units(data: bytes, length: int) -> Iterator[bytes]:
    """Yield NAL units: after lengths of `length` bytes, or after start codes if it is 0."""
    if not length:
        yield from data.split(b"\0\0\1")[1:]
        return
    at = 0
    while at + length < len(data):
        size = int.from_bytes(data[at : at + length])
        yield data[at + length : at + length + size]
        at += length + size


def _h264(data: bytes, extra: bytes) -> bytes:
    length = (extra[4] & 3) + 1 if extra[:1] == b"\1" and len(extra) > 4 else 0
    return _parameters(data, length, lambda unit: unit[0] & 31, (7,), range(1, 6))


def _hevc(data: bytes, extra: bytes) -> bytes:
    length = (extra[21] & 3) + 1 if extra[:1] == b"\1" and len(extra) > 21 else 0
    return _parameters(data, length, lambda unit: unit[0] >> 1 & 63, (33,), range(32))


def _parameters(
    data: bytes, length: int, kind: Callable[[bytes], int], wanted: Sequence[int], slices: Sequence[int]
) -> bytes:
    """Return the sequence parameter sets before the first slice."""
    found = []
    for unit in _units(data, length):
        if not unit:
            continue
        if kind(unit) in slices:
            break
        if kind(unit) in wanted:
            found.append(unit.rstrip(b"\0"))
    return b"".join(found)


def _mpeg_video(data: bytes, _extra: bytes) -> bytes:
    """MPEG-1 and -2: size, aspect and rate of the sequence header, and the sequence and display extensions.

    The rest of the header (bit rate, quantiser) may differ without any change of the picture.
    """
    at = data.find(b"\0\0\1\xb3")
    if at < 0:
        return b""
    found = data[at + 4 : at + 8]
    for unit in _units(data[at + 4 :], 0):
        if unit[:1] == b"\xb5" and len(unit) > 1 and unit[1] >> 4 in (1, 2):
            found += unit[:4] if unit[1] >> 4 == 1 else unit[:10].rstrip(b"\0")
        elif unit[:1] == b"\0":
            break
    return found


def _mpeg4(data: bytes, _extra: bytes) -> bytes:
    """MPEG-4 part 2: the video object layer."""
    layers = (unit for unit in _units(data, 0) if unit and 0x20 <= unit[0] <= 0x2F)
    return next(layers, b"")


def _vp8(data: bytes, _extra: bytes) -> bytes:
    return data[6:10] if data[3:6] == b"\x9d\x01\x2a" else b""


def _vp9(data: bytes, _extra: bytes) -> bytes:
    """VP9: colours and size, which end 37 bits after the sync code (53 in profiles 1 to 3)."""
    at = data[:6].find(b"\x49\x83\x42")
    return (int.from_bytes(data[at : at + 8]) >> 3).to_bytes(8) if at >= 0 else b""


def _av1(data: bytes, _extra: bytes) -> bytes:
    """AV1: the sequence header OBU."""
    at = 0
    while at + 2 < len(data):
        kind, extended, sized = data[at] >> 3 & 15, data[at] & 4, data[at] & 2
        at += 2 if extended else 1
        size, shift = 0, 0
        while sized and at < len(data):
            size |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if data[at - 1] < 128:
                break
        if kind == 1:
            return data[at : at + size] if sized else data[at:]
        if not sized:
            break
        at += size
    return b""


def _mjpeg(data: bytes, _extra: bytes) -> bytes:
    """JPEG: the frame header of a baseline or progressive picture."""
    starts = [at for code in (b"\xff\xc0", b"\xff\xc1", b"\xff\xc2") if (at := data.find(code)) >= 0]
    return data[min(starts) : min(starts) + 19] if starts else b""


def _prores(data: bytes, _extra: bytes) -> bytes:
    return data[16:26] if data[4:8] == b"icpf" else b""


def _dnxhd(data: bytes, _extra: bytes) -> bytes:
    return data[0x18:0x1C] + data[0x28:0x2C]


_READERS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "h264": _h264,
    "hevc": _hevc,
    "mpeg1video": _mpeg_video,
    "mpeg2video": _mpeg_video,
    "mpeg4": _mpeg4,
    "vp8": _vp8,
    "libvpx": _vp8,
    "vp9": _vp9,
    "libvpx-vp9": _vp9,
    "av1": _av1,
    "libdav1d": _av1,
    "mjpeg": _mjpeg,
    "prores": _prores,
    "dnxhd": _dnxhd,
}
"""Codec or decoder name of ffmpeg → a function of a packet's first bytes and the stream's extradata."""
