"""What of a run is done, as an earlier try left it, and what is under way: jobs and the time that they may
take, and the renders of a tile's outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tessera.media.algebra.item import Item
from tessera.record.status import NodeStatus
from tessera.runner.workers.worker import Job, Key, TileJob

__all__ = ["InFlight", "InFlightJob", "PendingRenders", "ResumePoint", "node_of"]

_PATIENCE_S = 1.0
"""How long a cancelled run waits for what is under way to end by itself."""


@dataclass(frozen=True, slots=True)
class ResumePoint:
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


def node_of(job: Job) -> str:
    """The tile whose work a job is."""
    return job.key if isinstance(job, TileJob) else job.key[0]


class InFlightJob:
    """A job that is not over. Called, as its worker does, it tells whether it is to stop."""

    __slots__ = ("_cancelled", "dropped", "job")

    def __init__(self, job: Job, cancelled: Callable[[], bool]) -> None:
        self.job, self._cancelled, self.dropped = job, cancelled, False

    def __call__(self) -> bool:
        return self.dropped or self._cancelled()


class InFlight:
    """The jobs that are not over, by key.

    Parameters
    ----------
    limits
        By tile: the seconds that each of its jobs may take, from when a worker begins it.

    Attributes
    ----------
    tiles
        How many of the jobs are tiles' own work.
    """

    def __init__(
        self, limits: Mapping[str, float], cancelled: Callable[[], bool], clock: Callable[[], float]
    ) -> None:
        self.limits, self.cancelled, self.clock = limits, cancelled, clock
        self._tasks: dict[Key, InFlightJob] = {}
        self.tiles = 0
        self._ends: dict[Key, float] = {}
        self._patience_ends: float | None = None

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def add(self, job: Job) -> InFlightJob:
        task = self._tasks[job.key] = InFlightJob(job, self.cancelled)
        self.tiles += isinstance(job, TileJob)
        return task

    def find(self, key: Key) -> InFlightJob | None:
        """The job of this key; None once it is over."""
        return self._tasks.get(key)

    def at(self, key: Key) -> InFlightJob:
        """A job that is not over."""
        return self._tasks[key]

    def begun(self, job: Job) -> None:
        """A worker has begun it: its time runs."""
        if self.limits and (limit := self.limits.get(node_of(job))) is not None:
            self._ends[job.key] = self.clock() + limit

    def over(self, key: Key) -> None:
        task = self._tasks.pop(key, None)
        self.tiles -= task is not None and isinstance(task.job, TileJob)
        if self._ends:
            self._ends.pop(key, None)

    def late(self) -> list[Key]:
        """Those that have used up their time."""
        if not self._ends:
            return []
        now = self.clock()
        return [key for key, end in self._ends.items() if end <= now]

    def stuck(self) -> list[Key]:
        """Those that do not end although the run was cancelled a while ago."""
        if not self.cancelled():
            return []
        if self._patience_ends is None:
            self._patience_ends = self.clock() + _PATIENCE_S
        return list(self._tasks) if self._patience_ends <= self.clock() else []


@dataclass
class PendingRenders:
    """The renders of one tile's outputs.

    Attributes
    ----------
    left
        How many are not over.
    failures
        What went wrong: (the item's place in the template, its index, in words).
    before
        How many more were made before the run went on.
    """

    items: Sequence[Item]
    before: int = 0
    left: int = 0
    failures: list[tuple[int, int, str]] = field(default_factory=list)
    _done: dict[Key, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left = len(self.items)

    def progress(self, key: Key, fraction: float) -> float:
        """Take in how far one is, 0–1; gives how far all are."""
        self._done[key] = fraction
        return sum(self._done.values()) / len(self.items)

    def result(self) -> tuple[NodeStatus, tuple[str, ...]]:
        """What they have come to, and all that went wrong, in the template's order."""
        failed = tuple(told for _place, _index, told in sorted(self.failures))
        if not failed:
            return NodeStatus.COMPLETED, ()
        whole = len(failed) == len(self.items) + self.before
        return (NodeStatus.FAILED if whole else NodeStatus.PARTIAL_COMPLETE), failed
