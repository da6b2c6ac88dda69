"""What a coordinator takes over from an earlier try of its run, and the jobs that are not over yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.media.item import Item
from engine.run.working import Job

__all__ = ["Earlier", "UnderWay"]


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a run that goes on has done before.

    Attributes
    ----------
    done
        The tiles that have completed.
    items
        What tiles have made, by tile; one that made something is not asked again.
    outputs
        The outputs that are there: (tile, index) → the tile that delivered it.
    """

    done: frozenset[str]
    items: Mapping[str, tuple[Item, ...]]
    outputs: Mapping[tuple[str, int], str]


class UnderWay:
    """A job that is not over. Called, as its worker does, it tells whether it is to stop."""

    __slots__ = ("_cancelled", "dropped", "job")

    def __init__(self, job: Job, cancelled: Callable[[], bool]) -> None:
        self.job, self._cancelled, self.dropped = job, cancelled, False

    def __call__(self) -> bool:
        return self.dropped or self._cancelled()
