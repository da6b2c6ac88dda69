"""How a cut picture is put together: which coded pictures are copied as they are, and which are coded anew.

All in ticks of the source's stream, without reading or writing anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from tessera.media.copy.packets import Access, Unsafe

__all__ = ["Group", "Timeline", "groups_of", "shown_in", "timeline"]


@dataclass(frozen=True, slots=True)
class Group:
    """Coded pictures from one join up to the next, in the order of their coding.

    Attributes
    ----------
    copied
        Presentation times of those that are copied: the first of `pictures`, or none of them.
    encoded
        Presentation times of those that are decoded and coded anew, ascending. They follow the copied ones.
    """

    pictures: tuple[Access, ...]
    copied: tuple[int, ...]
    encoded: tuple[int, ...]

    @property
    def decoded(self) -> int:
        """How many of its pictures must go through a decoder for those that are coded anew."""
        return len(self.run_up()) if self.encoded else 0

    def run_up(self) -> tuple[Access, ...]:
        """The pictures that the ones to be coded anew need, and themselves, as coded."""
        if not self.encoded:
            return ()
        wanted = set(self.encoded)
        last = max(place for place, one in enumerate(self.pictures) if one.pts in wanted)
        return tuple(one for one in self.pictures[: last + 1] if one.used or one.pts in wanted)


def groups_of(pictures: Sequence[Access], low: int, high: int) -> list[Group]:
    """The groups that show something in [low, high), and what becomes of their pictures.

    A group that lies inside is copied; of one that `low` cuts, the part shown is coded anew. Of one that only
    `high` cuts, as many pictures are copied as were coded before the first that lies beyond; the few left
    are coded anew.
    """
    found = []
    for group in _closed(pictures):
        shown = [one.pts for one in group if _is_shown(one, low, high)]
        if not shown:
            continue
        copied: tuple[int, ...] = ()
        if min(one.pts for one in group) >= low and not any(one.hidden for one in group):
            copied = _copyable(group, high)
        rest = tuple(sorted(set(shown) - set(copied)))
        found.append(Group(tuple(group), copied, rest))
    return found


def _is_shown(one: Access, low: int, high: int) -> bool:
    return low <= one.pts < high and not one.hidden


def _closed(pictures: Sequence[Access]) -> list[list[Access]]:
    """Pictures parted at the joins. One that is shown among those before it is taken for none."""
    starts = [place for place, one in enumerate(pictures) if one.join]
    if not starts or starts[0] != 0:
        raise Unsafe("no picture before the cut is one that decoding can begin at")
    latest = list(accumulate((one.pts for one in pictures), max))
    earliest = list(accumulate((one.pts for one in reversed(pictures)), min))[::-1]
    safe = [place for place in starts if place == 0 or latest[place - 1] < earliest[place]]
    return [list(pictures[a:b]) for a, b in zip(safe, [*safe[1:], len(pictures)], strict=True)]


def _copyable(group: Sequence[Access], high: int) -> tuple[int, ...]:
    """The times of the pictures at the group's beginning that are all shown before those left to show."""
    times = [one.pts for one in group]
    latest = list(accumulate(times, max))
    earliest = [*list(accumulate(reversed(times), min))[::-1], high]
    count = next((place for place, time in enumerate(times) if time >= high), len(times))
    while count and latest[count - 1] > earliest[count]:
        count -= 1
    return tuple(times[:count])


def shown_in(pictures: Sequence[Access], low: int, high: int) -> list[int]:
    """The presentation times of all pictures shown in [low, high), ascending."""
    return sorted(one.pts for one in pictures if _is_shown(one, low, high))


@dataclass(frozen=True, slots=True)
class Timeline:
    """Presentation and decoding times of a file's pictures in the order of their coding, and the last's
    duration; in ticks of the file.
    """

    pts: tuple[int, ...]
    dts: tuple[int, ...]
    durations: tuple[int, ...]


def timeline(pts: Sequence[int], last: int) -> Timeline:
    """Decoding times for pictures that are coded in this order: ascending, never after the presentation.

    Parameters
    ----------
    pts
        In the order of coding.
    last
        How long the picture that is shown last lasts.

    Raises
    ------
    Unsafe
        Two pictures have one time.
    """
    shown = sorted(pts)
    if any(after <= before for before, after in pairwise(shown)):
        raise Unsafe("two pictures would be shown at one time")
    delay = max(early - time for early, time in zip(shown, pts, strict=True))
    lasts = {one: after - one for one, after in pairwise(shown)}
    durations = [lasts.get(time, last) for time in pts[:-1]] + [last]
    return Timeline(tuple(pts), tuple(time - delay for time in shown), tuple(durations))
