"""Copying the AAC packets of one range of a sound. Timestamps alone make its edges exact.

The packet before the first audible one is copied too, since an AAC decoder needs it. It lies before t = 0,
where an edit list hides it. A shorter duration trims the last packet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from tessera.errors import Cancelled
from tessera.media.algebra.time import Range
from tessera.media.copy.packets import Unsafe, alone, packets_from
from tessera.media.probe.info import MediaInfo
from tessera.media.probe.probe import open_media

__all__ = ["CopiedSound", "copy_sound", "samples_before"]

_FRAME = 1024
"""Samples per packet of AAC (LC)."""

_MISSING_S = Fraction(1, 2)
"""Seconds by which a sound may begin after its picture, or end before it. The gap plays as silence."""

_LEAD_S = 1
"""Seconds before a range at which reading begins."""


@dataclass(frozen=True, slots=True)
class CopiedSound:
    """The packets of a file's sound.

    Attributes
    ----------
    zero
        The source time of t = 0, in samples.
    first
        The source time to seek to, in samples, or None to read from the start.
    line
        (Time in the file, duration) of each packet, in samples from t = 0.
    """

    path: Path
    index: int
    rate: int
    zero: int
    first: int | None
    line: tuple[tuple[int, int], ...]

    @property
    def end(self) -> int:
        """The number of audible samples, from t = 0."""
        at, lasts = self.line[-1]
        return at + lasts

    def packets(self, container: Any, out: Any, cancelled: Callable[[], bool]) -> Iterator[Any]:
        """Yield the packets to write to the stream `out`, on the file's timeline.

        `container` is the source, opened for this call alone, since reading moves its position.
        """
        stream = alone(container, self.index)
        if self.first is not None:
            container.seek(self.first, stream=stream, backward=True)
        source = packets_from(container, stream)
        begin, tick = self.line[0][0] + self.zero, Fraction(1, self.rate)
        packet = next((candidate for candidate in source if candidate.pts == begin), None)
        for at, lasts in self.line:
            if cancelled():
                raise Cancelled("the run was cancelled")
            if packet is None or packet.pts != at + self.zero:
                raise Unsafe("its sound changed between two reads")
            packet.time_base = tick
            packet.pts = packet.dts = at
            packet.duration = lasts
            packet.stream = out
            yield packet
            packet = next(source, None)


def samples_before(seconds: Fraction, rate: int) -> int:
    """Return the number of samples before a time in seconds, rounded half up."""
    return (2 * rate * seconds.numerator + seconds.denominator) // (2 * seconds.denominator)


def copy_sound(path: Path, info: MediaInfo, kept: Range) -> CopiedSound:
    """Read the sound of one range of an MP4 file, in seconds from the first frame of its picture.

    Raises
    ------
    Unsafe
        If the sound is not AAC (LC) with a time base of one sample, has gaps, or does not fill the range.
    """
    sound, picture = info.sound, info.picture
    if sound is None or sound.codec != "aac" or "mp4" not in info.container:
        raise Unsafe("its sound is not AAC in an MP4 file")
    start = picture.start * picture.time_base if picture else sound.start
    rate = sound.rate
    zero = samples_before(start + kept[0], rate)
    count = samples_before(kept[1] - kept[0], rate)
    with open_media(path) as container:
        stream = alone(container, sound.index)
        if stream.time_base != Fraction(1, rate) or str(stream.codec_context.profile) != "LC":
            raise Unsafe("its sound is not AAC (LC) with a time base of one sample")
        first = None
        if kept[0] > 2 * _LEAD_S:
            first = zero - _LEAD_S * rate
            container.seek(first, stream=stream, backward=True)
        usual = stream.codec_context.frame_size or _FRAME
        line = _line(packets_from(container, stream), zero, count, usual, int(_MISSING_S * rate))
    return CopiedSound(path, sound.index, rate, zero, first, tuple(line))


def _line(packets: Iterator[Any], zero: int, count: int, usual: int, missing: int) -> list[tuple[int, int]]:
    """Return the times and durations of the packets of [zero, zero + count), and of the packet before.

    `usual` is the length of a packet. A gap of up to one packet stays a gap, as in the source. Up to
    `missing` samples may be absent at either end.
    """
    line: list[tuple[int, int]] = []
    for packet in packets:
        at, lasts = packet.pts - zero, packet.duration or usual
        if at >= count:
            break
        if (line and at != sum(line[-1])) or lasts > 2 * usual or (packet.is_discard and at >= 0):
            raise Unsafe("its sound has gaps, or an edit list hides some of it")
        line.append((at, lasts))
        if len(line) > 2 and sum(line[1]) <= 0:
            line.pop(0)
    if not line or line[0][0] > missing or count - sum(line[-1]) > missing:
        raise Unsafe("its sound does not fill the kept range")
    at, lasts = line[-1]
    line[-1] = (at, min(lasts, usual, count - at))
    return line
