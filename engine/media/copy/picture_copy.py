"""Copying or cutting the picture of a file: copy whole groups of packets, re-encode pictures at the edges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any
from zlib import crc32

from tessera.errors import Cancelled
from tessera.media.algebra.time import Range
from tessera.media.copy.avc import Configuration
from tessera.media.copy.edge_encoder import EdgeEncoder, Sample, sample_of
from tessera.media.copy.edge_x264 import EdgeX264
from tessera.media.copy.packets import (
    Access,
    Unsafe,
    alone,
    beginning_at,
    packets_from,
    read_pictures,
    seek_to_join,
)
from tessera.media.copy.splice import Group, Timeline, groups_of, shown_in, timeline
from tessera.media.ffmpeg.compiler import EncodeSettings
from tessera.media.ffmpeg.pictures_on_screen import held_time, stills_of_source
from tessera.media.probe.info import PictureInfo
from tessera.media.probe.probe import open_media

__all__ = ["CopiedPicture", "cut_picture", "whole_picture"]

_CODING_COST = 8
"""The cost of encoding a picture relative to decoding one: about that of x264's veryfast preset."""

_PARTS_TRIED = 16
"""The number of ranges between two checks of whether copying still saves time."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One kept range: its groups, and how times of the source become times of the file.

    A time t becomes t·scale - shift. `held` is the time of a picture that appears before the range and is on
    screen at its start, and its time in the file; None if the range has no such picture.
    """

    groups: tuple[Group, ...]
    scale: int
    shift: int
    held: tuple[int, int] | None = None

    def time_of(self, time: int) -> int:
        """Return the time in the file of a picture of the source."""
        if self.held is not None and time == self.held[0]:
            return self.held[1]
        return time * self.scale - self.shift


@dataclass
class CopiedPicture:
    """The packets of a file's picture to write.

    Attributes
    ----------
    ticks
        Ticks per second of its times.
    times
        The presentation times of the pictures in the file, ascending, in ticks.
    samples
        Samples of the source's pictures near the joins: time → sample. Filled while packets are written.
    configuration
        The decoder configuration of the written packets, or None if the source's own suffices.
    verified
        The times of re-encoded pictures that were decoded, before they were written, after the copied ones
        before them.
    sums
        Checksums (CRC-32) of those copied packets, by time.
    """

    path: Path
    info: PictureInfo
    ticks: int
    parts: tuple[_Part, ...]
    line: Timeline
    times: tuple[int, ...]
    setup: Configuration | None = None
    settings: EncodeSettings = field(default_factory=EncodeSettings)
    samples: dict[int, Sample] = field(default_factory=dict)
    configuration: bytes | None = None
    verified: set[int] = field(default_factory=set)
    sums: dict[int, int] = field(default_factory=dict)

    @property
    def encoded(self) -> int:
        """The number of re-encoded pictures."""
        return sum(len(group.encoded) for part in self.parts for group in part.groups)

    @property
    def copied(self) -> int:
        """The number of copied pictures."""
        return len(self.line.pts) - self.encoded

    def joins(self) -> list[tuple[int, int]]:
        """Return (position from which to decode, position of the join) for each join, in coding order.

        A join is a position at which the packets do not follow each other in the source.
        """
        found, place, begins = list[tuple[int, int]](), 0, 0
        before: tuple[int, bool] | None = None
        for number, part in enumerate(self.parts):
            for group in part.groups:
                for count, is_encoded in ((len(group.copied), False), (len(group.encoded), True)):
                    if not count:
                        continue
                    if before is not None and before != (number, is_encoded):
                        found.append((begins, place))
                    if not (before and before[1] and is_encoded):
                        begins = place
                    before = (number, is_encoded)
                    place += count
        return found

    def encoded_times(self) -> frozenset[int]:
        """Return the times of the re-encoded pictures, in ticks of the file."""
        return frozenset(
            part.time_of(time) for part in self.parts for group in part.groups for time in group.encoded
        )

    def configure(self, stream: Any) -> None:
        """Set the decoder configuration of the written packets, once the source's stream is open."""
        if self.setup is not None and self.encoded:
            self.configuration = self.setup.joined(self.make_encoder(stream).units).to_bytes()

    def make_encoder(self, stream: Any) -> EdgeX264:
        """Create an encoder whose pictures can be inserted among the copied ones."""
        assert self.setup is not None
        groups = (group for part in self.parts for group in part.groups if group.copied)
        repeats = any(access.repeats for group in groups for access in group.pictures)
        return EdgeX264(stream, self.setup, self.ticks, self.settings, repeats=repeats)

    def packets(
        self, container: Any, out: Any, edge_encoder: EdgeEncoder, cancelled: Callable[[], bool]
    ) -> Iterator[Any]:
        """Yield the packets to write to the stream `out`, in coding order, on the file's timeline.

        `container` is the opened source. Nothing else may read it meanwhile: reading moves its position.
        """
        stream = alone(container, self.info.index)
        stream.thread_type = "AUTO"
        return _PacketWriter(self, container, stream, out, edge_encoder, cancelled).packets()


def _scale_of(info: PictureInfo, ticks: int) -> int:
    scale = ticks * info.time_base
    if scale.denominator != 1:
        raise Unsafe("its time base is too fine for the file")
    return int(scale)


def whole_picture(path: Path, info: PictureInfo, ticks: int) -> CopiedPicture:
    """Plan to copy all of a file's picture, packet by packet.

    Raises
    ------
    Unsafe
        If a packet cannot be copied safely.
    """
    scale = _scale_of(info, ticks)
    if info.skipped:
        raise Unsafe("its first packets give no picture")
    with open_media(path) as container:
        pictures = [
            Access(one.pts, one.duration or 0, False, True, one.is_discard)
            for one in packets_from(container, alone(container, info.index))
        ]
    times = sorted(one.pts for one in pictures if not one.hidden)
    if any(one.hidden and one.pts >= info.start for one in pictures) or len(times) != info.frames:
        raise Unsafe("its edit list hides pictures among those that are shown")
    shift = info.start * scale
    every = tuple(one.pts for one in pictures)
    part = _Part((Group(tuple(pictures), every, ()),), scale, shift)
    last = max(ceil(info.duration * ticks) - part.time_of(times[-1]), 1)
    return CopiedPicture(
        path,
        info,
        ticks,
        (part,),
        timeline([part.time_of(time) for time in every], last),
        tuple(part.time_of(time) for time in times),
    )


def cut_picture(
    path: Path, info: PictureInfo, ranges: Sequence[Range], ticks: int, settings: EncodeSettings
) -> CopiedPicture:
    """Plan to cut ascending ranges of an H.264 file, with as few re-encoded pictures as possible.

    Raises
    ------
    Unsafe
        If no group can be copied, copying would not save time, or a packet cannot be copied safely.
    """
    scale = _scale_of(info, ticks)
    zero = info.start * info.time_base
    stills = stills_of_source(info)
    parts, order, times, at = list[_Part](), list[int](), list[int](), Fraction(0)
    with open_media(path) as container:
        stream = alone(container, info.index)
        setup = _setup(stream)
        for start, end in ranges:
            taken = held_time(stills, start, end)
            low, high = (ceil((zero + edge) / info.time_base) for edge in (taken, end))
            shift = floor((zero + start - at) * ticks)
            held = (low, ceil(at * ticks)) if taken < start else None
            at += end - start
            pictures = read_pictures(container, stream, setup, low, high)
            shown = shown_in(pictures, low, high)
            if not shown and info.held and end > info.duration - info.held:
                raise Unsafe("its last picture stays on the screen while the sound goes on")
            if not shown:
                continue
            if held is not None:
                if (shown[0] * info.time_base) >= zero + start:
                    raise Unsafe("the picture on screen at the start of a cut is hidden")
                held = (shown[0], held[1])
            part = _Part(tuple(groups_of(pictures, low, high)), scale, shift, held)
            parts.append(part)
            for group in part.groups:
                order.extend(part.time_of(time) for time in (*group.copied, *group.encoded))
            times.extend(part.time_of(time) for time in shown)
            if len(parts) % _PARTS_TRIED == 0:
                _check_worth(parts)
    if not order:
        raise Unsafe("it shows no picture")
    found = CopiedPicture(
        path,
        info,
        ticks,
        tuple(parts),
        timeline(order, max(ceil(at * ticks) - times[-1], 1)),
        tuple(times),
        setup,
        settings,
    )
    if not found.copied:
        raise Unsafe("no whole group of pictures lies within what is kept")
    _check_worth(parts)
    return found


def _check_worth(parts: Sequence[_Part]) -> None:
    """Check that copying takes at most half of the work of re-encoding every picture.

    Raises
    ------
    Unsafe
        If it takes more.
    """
    groups = [group for part in parts for group in part.groups]
    encoded = sum(len(group.encoded) for group in groups)
    shown = encoded + sum(len(group.copied) for group in groups)
    cost = sum(group.decoded for group in groups) + _CODING_COST * encoded
    if 2 * cost > (1 + _CODING_COST) * shown:
        raise Unsafe("too little of it could be copied to save time")


def _setup(stream: Any) -> Configuration:
    """Return the decoder configuration of a stream that can be cut.

    Raises
    ------
    Unsafe
        If the stream may hold fields, or its configuration cannot be read.
    """
    try:
        setup = Configuration.parse(bytes(stream.codec_context.extradata or b""))
        progressive = setup.is_progressive()
    except ValueError as error:
        raise Unsafe(str(error)) from None
    if not progressive:
        raise Unsafe("it may hold fields (interlaced)")
    return setup


class _PacketWriter:
    """Yields a copied picture's packets: reads the source again, and inserts the re-encoded pictures."""

    def __init__(
        self,
        picture: CopiedPicture,
        container: Any,
        stream: Any,
        out: Any,
        edge_encoder: EdgeEncoder,
        cancelled: Callable[[], bool],
    ) -> None:
        self.picture, self.container, self.stream, self.out = picture, container, stream, out
        self.edge_encoder, self.cancelled = edge_encoder, cancelled
        self.tick = Fraction(1, picture.ticks)
        self.place = 0
        self.after_encoded = False

    def packets(self) -> Iterator[Any]:
        for part in self.picture.parts:
            fresh, source = True, None
            for group in part.groups:
                if group.copied:
                    first = group.pictures[0].pts
                    if source is None:
                        if self.picture.setup is not None:
                            seek_to_join(self.container, self.stream, first, lambda _packet: True)
                        source = packets_from(self.container, self.stream)
                    yield from self._copied(group, part, source, fresh=fresh or self.after_encoded)
                    fresh = self.after_encoded = False
                if group.encoded and not self.after_encoded:
                    self.after_encoded = True
                    yield from self._encoded()
        if self.place != len(self.picture.line.pts):
            raise Unsafe("it lost pictures between two reads")

    def _copied(self, group: Group, part: _Part, source: Iterator[Any], *, fresh: bool) -> Iterator[Any]:
        packets = beginning_at(group.pictures[0].pts, source)
        for access, packet in zip(group.pictures[: len(group.copied)], packets, strict=False):
            if self.cancelled():
                raise Cancelled("the run was cancelled")
            if packet.pts != access.pts:
                raise Unsafe("it changed between two reads")
            time = part.time_of(access.pts)
            if fresh and not group.encoded:
                self._sample(packet, time)
                fresh = False
            if group.encoded:
                self.picture.sums[time] = crc32(memoryview(packet))
            yield self._stamped(packet, time)

    def _sample(self, packet: Any, time: int) -> None:
        """Sample the first copied picture after a join, where its decoding begins."""
        if self.picture.setup is None:
            return
        for frame in (*self.stream.decode(packet), *self.stream.decode(None)):
            self.picture.samples[time] = sample_of(frame)
        self.stream.codec_context.flush_buffers()

    def _encoded(self) -> Iterator[Any]:
        """Yield the packets of the next run of re-encoded pictures."""
        import av

        edge = self.edge_encoder.take()
        self.picture.samples.update(edge.samples)
        if edge.verified:
            self.picture.verified.add(edge.coded[0].pts)
        for coded in edge.coded:
            packet = av.Packet(coded.data)
            packet.is_keyframe = coded.key
            yield self._stamped(packet, coded.pts)

    def _stamped(self, packet: Any, time: int) -> Any:
        """Set the packet's times from its position on the file's timeline."""
        line, place = self.picture.line, self.place
        if place == len(line.pts) or line.pts[place] != time:
            raise Unsafe("its pictures changed their order between two reads")
        packet.time_base = self.tick
        packet.pts, packet.dts, packet.duration = time, line.dts[place], line.durations[place]
        packet.stream = self.out
        self.place += 1
        return packet
