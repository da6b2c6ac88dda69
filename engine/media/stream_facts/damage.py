"""Damage to media: which seconds are lost, from packets that were read and those that should have been.

Indexes of containers often count other packets than can be read (edit lists, empty slots), so a count alone
is no sign of damage. These are: packets that the demuxer marks as incomplete, packets without the form of
their codec, holes in picture and sound at the same time, and a file that ends before its own structure says.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise

from tessera.media.algebra.time import Range

__all__ = ["Damage", "StreamPackets", "find_damage", "seconds", "without_holes"]

_HOLE_S = Fraction(1, 5)
"""The shortest hole in both picture and sound that counts as loss; encoders leave shorter ones."""

_TAIL_S = Fraction(1, 5)
"""The shortest difference between the promised and the real end that is reported."""

_SHOWN = 8
"""The most ranges that a note lists."""


@dataclass(frozen=True, slots=True)
class StreamPackets:
    """What was read of one stream, in seconds on the container's clock.

    Attributes
    ----------
    times, keys
        Ascending presentation times of all packets and of keyframes; of sound, only of the first packet.
    end
        The end of the last packet.
    promised
        The end that the container states, or None.
    suspects
        The times of packets that are incomplete or do not have the form of the codec.
    holes
        Ranges of a sound in which no packet was found.
    """

    times: Sequence[Fraction]
    keys: Sequence[Fraction]
    end: Fraction
    promised: Fraction | None
    suspects: Sequence[Fraction] = ()
    holes: Sequence[Range] = ()


@dataclass(frozen=True, slots=True)
class Damage:
    """The seconds that are lost: `ranges` within what can be used, and `tail` after its end (None: complete).

    Times are seconds on the container's clock.
    """

    ranges: tuple[Range, ...] = ()
    tail: Range | None = None
    cut_off: bool = False

    def __bool__(self) -> bool:
        return bool(self.ranges) or self.tail is not None or self.cut_off

    def notes(self, zero: Fraction) -> Iterable[str]:
        """Yield notes for the user; their times are seconds after `zero`."""
        if self.ranges:
            shown = [f"{seconds(start - zero)} to {seconds(end - zero)} s" for start, end in self.ranges]
            more = f" and {len(shown) - _SHOWN} more ranges" if len(shown) > _SHOWN else ""
            places = ", ".join(shown[:_SHOWN])
            yield f"is damaged: picture or sound is lost from {places}{more}; the rest is used"
        if self.tail is not None:
            start, end = self.tail
            # AVI has no times: what follows a loss moves forward, so the place of the loss is unknown.
            ends, last = ("ends at", "the last ") if self.cut_off else ("holds", "")
            yield (
                f"is truncated or damaged: it {ends} {seconds(start - zero)} s instead of"
                f" {seconds(end - zero)} s, so {last}{seconds(end - start)} s are lost"
            )
        elif self.cut_off and not self.ranges:
            yield "is truncated or damaged: its last bytes are missing; what can be read is used"


def seconds(value: Fraction) -> str:
    """Return a time for people, in seconds with up to three decimals."""
    return f"{float(value):.3f}".rstrip("0").rstrip(".")


def find_damage(
    picture: StreamPackets | None, sound: StreamPackets | None, *, cut_off: bool, stated: bool
) -> Damage:
    """Find the lost seconds of a file from the packets of its streams.

    Parameters
    ----------
    cut_off
        True if the file ends before its structure says, or reading stopped with an error.
    stated
        True if the container states its length, rather than the demuxer estimating it: then it is a sign of
        damage that no stream comes near its end.
    """
    streams = [one for one in (picture, sound) if one is not None]
    end = max(one.end for one in streams)
    found: list[Range] = []
    if picture is not None:
        found += _until_keys(picture)
    if sound is not None:
        found += [(at, at + _HOLE_S) for at in sound.suspects if at < sound.end - _HOLE_S]
        found += sound.holes if picture is None else _holes_in_both(picture, sound)
    promised = max((one.promised for one in streams if one.promised is not None), default=end)
    tail = None
    if promised - end > _TAIL_S and (cut_off or (stated and _all_early(streams))):
        tail = (end, promised)
    return Damage(tuple(_merged(found, end)), tail, cut_off)


def _all_early(streams: Iterable[StreamPackets]) -> bool:
    return all(one.promised is not None and one.promised - one.end > _TAIL_S for one in streams)


def _until_keys(picture: StreamPackets) -> list[Range]:
    """Return the range from each suspect picture to the next keyframe, where pictures are right again.

    Pictures before the first keyframe cannot be decoded in any case.
    """
    suspects, keys = picture.suspects, picture.keys
    # A suspect keyframe is no place where decoding is right again.
    sound_keys = sorted(set(keys) - set(suspects))
    found = []
    for at in suspects:
        if keys and at < keys[0]:
            continue
        after = bisect_right(sound_keys, at)
        found.append((at, sound_keys[after] if after < len(sound_keys) else picture.end))
    return found


def _holes_in_both(picture: StreamPackets, sound: StreamPackets) -> list[Range]:
    """Return the ranges without a new picture and without sound: either alone can be intended.

    Each lasts until the next keyframe, where pictures are right again.
    """
    found = []
    for start, end in sound.holes:
        first = max(bisect_left(picture.times, start) - 1, 0)
        last = bisect_right(picture.times, end) + 1
        for before, after in pairwise(picture.times[first:last]):
            low, high = max(start, before), min(end, after)
            if high - low >= _HOLE_S:
                key = bisect_left(picture.keys, high)
                found.append((low, picture.keys[key] if key < len(picture.keys) else picture.end))
    return found


def without_holes(times: Sequence[int]) -> list[int]:
    """Return the times of a damaged picture as if none were lost: each hole counts as one usual gap."""
    gaps = [after - before for before, after in pairwise(times)]
    if not gaps:
        return list(times)
    usual = sorted(gaps)[len(gaps) // 2]
    closed = (usual if 2 * gap > 3 * usual else gap for gap in gaps)
    return list(accumulate(closed, initial=times[0]))


def _merged(ranges: Iterable[Range], end: Fraction) -> list[Range]:
    found: list[Range] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1]:
            start, before = found.pop()
            low, high = start, max(before, high)
        high = min(high, end)
        if low < high:
            found.append((low, high))
    return found
