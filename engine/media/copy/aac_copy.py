"""The sound of a file, copied: AAC packets of one range, its edges made exact by times alone.

The packet before the first one heard comes along, since a decoder of AAC needs it; it lies before t = 0,
where an edit list hides it. What is left of the last packet is its duration.
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
"""Samples of a packet of AAC (LC)."""

_MISSING_S = Fraction(1, 2)
"""How much later than its picture a sound may begin, or end before it: as silent as silence."""

_LEAD_S = 1
"""How much before a range reading begins."""


@dataclass(frozen=True, slots=True)
class CopiedSound:
    """The packets of a file's sound: (time in the file, duration), in samples from t = 0 on.

    `zero` is t = 0 as a time of the source, in samples; `first` is where to read from, None for its start.
    """

    path: Path
    index: int
    rate: int
    zero: int
    first: int | None
    line: tuple[tuple[int, int], ...]

    @property
    def end(self) -> int:
        """Samples that are heard, from t = 0 on."""
        at, lasts = self.line[-1]
        return at + lasts

    def packets(self, container: Any, out: Any, cancelled: Callable[[], bool]) -> Iterator[Any]:
        """The packets to write to the stream `out`, on the file's timeline. `container` is the source, opened
        for this alone.
        """
        stream = alone(container, self.index)
        if self.first is not None:
            container.seek(self.first, stream=stream, backward=True)
        source = packets_from(container, stream)
        begin, tick = self.line[0][0] + self.zero, Fraction(1, self.rate)
        packet = next((one for one in source if one.pts == begin), None)
        for at, lasts in self.line:
            if cancelled():
                raise Cancelled("the run was cancelled")
            if packet is None or packet.pts != at + self.zero:
                raise Unsafe("its sound reads otherwise the second time")
            packet.time_base = tick
            packet.pts = packet.dts = at
            packet.duration = lasts
            packet.stream = out
            yield packet
            packet = next(source, None)


def samples_before(seconds: Fraction, rate: int) -> int:
    """The number of samples before an instant (halves up)."""
    return (2 * rate * seconds.numerator + seconds.denominator) // (2 * seconds.denominator)


def copy_sound(path: Path, info: MediaInfo, kept: Range) -> CopiedSound:
    """The sound of one range of an MP4 file, in seconds from the first frame of its picture on.

    Raises
    ------
    Unsafe
        It is not AAC (LC) on a grid of whole samples, has gaps, or does not fill the range.
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
            raise Unsafe("its sound is not AAC (LC) on a grid of whole samples")
        first = None
        if kept[0] > 2 * _LEAD_S:
            first = zero - _LEAD_S * rate
            container.seek(first, stream=stream, backward=True)
        usual = stream.codec_context.frame_size or _FRAME
        line = _line(packets_from(container, stream), zero, count, usual, int(_MISSING_S * rate))
    return CopiedSound(path, sound.index, rate, zero, first, tuple(line))


def _line(packets: Iterator[Any], zero: int, count: int, usual: int, missing: int) -> list[tuple[int, int]]:
    """Times and durations of the packets of [zero, zero + count), and of the one before.

    `usual` is the length of a packet. A gap shorter than that stays a gap, as in the source, and so does a
    lack of up to `missing` samples at either end.
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
        raise Unsafe("its sound does not fill what is kept")
    at, lasts = line[-1]
    line[-1] = (at, min(lasts, usual, count - at))
    return line
