"""Groups of renders that share one ffmpeg and one decoder, since they read nearly the same part of a source.

Seeking costs almost nothing, and decoding a range twice costs twice as much. Outputs therefore share a
decoder if that decodes less in total; distant clips are sought and decoded separately.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tessera.media.algebra.expression import NO_SOURCE, Expr, Picture, walk
from tessera.media.algebra.item import Value, Video, digest_of
from tessera.media.algebra.optimiser import optimise
from tessera.media.algebra.timeline import cut_passes, is_timeline, kept_ranges, pieces_of
from tessera.media.ffmpeg.lowering import SKIPPED

__all__ = ["groups_of", "start_of"]

_MOST = 4
"""The most encoders for one decoder: each needs as much memory as it does alone."""


@dataclass(frozen=True, slots=True)
class _Read:
    """The range of a source that a picture decodes, from `low` up to `high`, in seconds."""

    source: Expr
    low: Fraction
    high: Fraction


def groups_of(values: Sequence[Value]) -> list[list[int]]:
    """Return the numbers of the values that gain from a common decoder, in groups of two to four.

    A picture joins a group if at least half of its range is decoded for the group anyway, and if it starts
    within 20 s of the group's start. No member may read less than half of the whole range, since it would
    finish much later than alone. A picture that can be copied or reads several places joins no group. Only
    the first of equal videos joins one.
    """
    found: list[tuple[int, _Read]] = []
    for number, video in _of_one_source(values):
        picture = optimise(video.picture)
        assert isinstance(picture, Picture)
        read = _only_read(picture) if kept_ranges(picture) is None else None
        if read is not None:
            found.append((number, read))
    found.sort(key=lambda one: (one[1].source.digest, one[1].low, -one[1].high))
    groups: list[list[int]] = []
    members: list[_Read] = []
    for number, read in found:
        if members and len(members) < _MOST and _gains(members, read):
            groups[-1].append(number)
            members.append(read)
        else:
            groups.append([number])
            members = [read]
    return [sorted(group) for group in groups if len(group) > 1]


def _of_one_source(values: Sequence[Value]) -> list[tuple[int, Video]]:
    """Return the distinct videos, with their numbers, that show one source which others show too."""
    found: dict[str, tuple[int, Video, str]] = {}
    for number, value in enumerate(values):
        if isinstance(value, Video):
            shown = {piece.source for piece in value.picture.kept} - {NO_SOURCE}
            if len(shown) == 1:
                found.setdefault(digest_of(value), (number, value, shown.pop()))
    of_source = Counter(source for _number, _video, source in found.values())
    return [(number, video) for number, video, source in found.values() if of_source[source] > 1]


def _gains(members: Sequence[_Read], read: _Read) -> bool:
    """Return True if a read that starts no earlier than a group and the group both gain from joining."""
    first, high = members[0], max(one.high for one in members)
    more = max(read.high - high, Fraction(0))
    shortest = min(one.high - one.low for one in (*members, read))
    return (
        first.source is read.source
        and read.low - first.low <= SKIPPED
        and read.low < high
        and 2 * more <= read.high - read.low
        and 2 * shortest >= high + more - first.low
    )


def start_of(picture: Picture) -> Fraction:
    """Return the time at which a picture of a group starts to read its source, in seconds."""
    read = _only_read(picture)
    assert read is not None
    return read.low


def _only_read(picture: Picture) -> _Read | None:
    """Return the read of a picture that opens a source exactly once, or None for any other picture."""
    reads = _reads(picture)
    first = next(reads, None)
    return first if next(reads, None) is None else None


def _reads(picture: Picture) -> Iterator[_Read]:
    waiting: list[Expr] = [picture]
    entered: set[Expr] = set()
    while waiting:
        root = waiting.pop()
        for node in walk(root, prune=lambda one: is_timeline(one) or one in entered):
            if node in entered:
                continue
            entered.add(node)
            if is_timeline(node):
                for run in cut_passes(pieces_of(node), SKIPPED):
                    if run.leaf.op == "source":
                        yield _Read(run.leaf, run.ranges[0][0], run.ranges[-1][1])
                    else:
                        waiting.append(run.leaf)
            elif isinstance(node, Picture) and node.op == "source":
                yield _Read(node, Fraction(0), node.duration)
