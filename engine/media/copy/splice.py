"""The plan of a cut picture: which coded pictures to copy and which to re-encode.

All times are in ticks of the source's stream. Nothing here reads or writes a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from tessera.media.copy.packets import Access, Unsafe

__all__ = ["Group", "Timeline", "groups_of", "shown_in", "timeline"]


@dataclass(frozen=True, slots=True)
class Group:
    """Coded pictures from one join to the next, in coding order.

    Attributes
    ----------
    copied
        Presentation times of the copied pictures: a prefix of `pictures`, possibly empty.
    encoded
        Presentation times of the re-encoded pictures, ascending. They follow the copied ones.
    """

    pictures: tuple[Access, ...]
    copied: tuple[int, ...]
    encoded: tuple[int, ...]

    @property
    def decoded(self) -> int:
        """The number of pictures to decode for the re-encoded ones."""
        return len(self.run_up()) if self.encoded else 0

    def run_up(self) -> tuple[Access, ...]:
        """Return the pictures to re-encode and those that they refer to, in coding order."""
        if not self.encoded:
            return ()
        wanted = set(self.encoded)
        last = max(place for place, one in enumerate(self.pictures) if one.pts in wanted)
        return tuple(one for one in self.pictures[: last + 1] if one.used or one.pts in wanted)


def groups_of(pictures: Sequence[Access], low: int, high: int) -> list[Group]:
    """Return the groups that show a picture in [low, high), split into copied and re-encoded pictures.

    A group inside the range is copied. If `low` cuts a group, its shown part is re-encoded. If only `high`
    cuts a group, the pictures coded before the first one beyond `high` are copied; the few left are
    re-encoded.
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
    """Split pictures at the joins. Ignore a join that is shown among the pictures before it."""
    starts = [place for place, one in enumerate(pictures) if one.join]
    if not starts or starts[0] != 0:
        raise Unsafe("decoding cannot begin at any picture before the cut")
    latest = list(accumulate((one.pts for one in pictures), max))
    earliest = list(accumulate((one.pts for one in reversed(pictures)), min))[::-1]
    safe = [place for place in starts if place == 0 or latest[place - 1] < earliest[place]]
    return [list(pictures[a:b]) for a, b in zip(safe, [*safe[1:], len(pictures)], strict=True)]


def _copyable(group: Sequence[Access], high: int) -> tuple[int, ...]:
    """Return the times of the longest prefix of the group that is shown before all the rest."""
    times = [one.pts for one in group]
    latest = list(accumulate(times, max))
    earliest = [*list(accumulate(reversed(times), min))[::-1], high]
    count = next((place for place, time in enumerate(times) if time >= high), len(times))
    while count and latest[count - 1] > earliest[count]:
        count -= 1
    return tuple(times[:count])


def shown_in(pictures: Sequence[Access], low: int, high: int) -> list[int]:
    """Return the presentation times of all pictures shown in [low, high), ascending."""
    return sorted(one.pts for one in pictures if _is_shown(one, low, high))


@dataclass(frozen=True, slots=True)
class Timeline:
    """Presentation times, decoding times and durations of a file's pictures, in coding order and in ticks of
    the file.
    """

    pts: tuple[int, ...]
    dts: tuple[int, ...]
    durations: tuple[int, ...]


def timeline(pts: Sequence[int], last: int) -> Timeline:
    """Compute decoding times for pictures in coding order: ascending, never after the presentation times.

    Parameters
    ----------
    pts
        Presentation times in coding order.
    last
        The duration of the picture that is shown last.

    Raises
    ------
    Unsafe
        If two pictures have the same time.
    """
    shown = sorted(pts)
    if any(after <= before for before, after in pairwise(shown)):
        raise Unsafe("two pictures would be shown at the same time")
    delay = max(early - time for early, time in zip(shown, pts, strict=True))
    lasts = {one: after - one for one, after in pairwise(shown)}
    # The sample coded last is the only one whose length is not the distance to the next one's decoding time.
    durations = [lasts.get(time, last) for time in pts[:-1]] + [shown[-1] + last - pts[-1]]
    return Timeline(tuple(pts), tuple(time - delay for time in shown), tuple(durations))
