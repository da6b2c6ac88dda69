"""Which renders are made by one ffmpeg with one decoder: those that read much the same of one source.

To seek costs next to nothing, to decode a second time as much as the first. So outputs share a decoder where
that decodes less in all; clips that lie apart are each sought for, and decoded, by themselves.
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
"""Encoders beside one decoder: each takes the memory that it takes alone."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What a picture decodes of a source, from `low` up to `high`, in seconds."""

    source: Expr
    low: Fraction
    high: Fraction


def groups_of(values: Sequence[Value]) -> list[list[int]]:
    """The numbers of those values that gain by a common decoder, in groups of two to four.

    A picture joins others where half of what it reads, or more, is decoded for them anyway, and where it
    begins within 20 s of them. None of them may read less than half of what all of them do: it would be
    there much later than alone. One that may be copied, or reads from more than one place, joins none; of
    equal videos only the first may.
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
    """The different videos that show one source, which others show too, with their numbers."""
    found: dict[str, tuple[int, Video, str]] = {}
    for number, value in enumerate(values):
        if isinstance(value, Video):
            shown = {piece.source for piece in value.picture.kept} - {NO_SOURCE}
            if len(shown) == 1:
                found.setdefault(digest_of(value), (number, value, shown.pop()))
    of_source = Counter(source for _number, _video, source in found.values())
    return [(number, video) for number, video, source in found.values() if of_source[source] > 1]


def _gains(members: Sequence[_Read], read: _Read) -> bool:
    """Whether a read that begins no earlier than others gains by joining them, and they by that."""
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
    """Where a picture that is in a group begins to read its source, in seconds."""
    read = _only_read(picture)
    assert read is not None
    return read.low


def _only_read(picture: Picture) -> _Read | None:
    """What a picture reads of the one source that it opens once; None where it opens more, or none."""
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
