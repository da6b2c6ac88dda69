"""Jobs in flight with their time limits, the pending renders of a tile, and the start state of a resume."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tessera.media.algebra.item import Item
from tessera.record.status import NodeStatus
from tessera.runner.workers.worker import Job, Key, TileJob

__all__ = ["InFlight", "InFlightJob", "PendingRenders", "ResumePoint", "node_of"]

_PATIENCE_S = 1.0
"""Seconds that a cancelled run waits for running jobs to end by themselves."""


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The work that a resumed run completed before.

    Attributes
    ----------
    done
        The completed tiles.
    items
        The items by tile. A tile with items does not run again, even if its renders are not done.
    outputs
        The existing outputs: (tile, index) → the tile that delivered it.
    """

    done: frozenset[str]
    items: Mapping[str, tuple[Item, ...]]
    outputs: Mapping[tuple[str, int], str]


def node_of(job: Job) -> str:
    """Return the id of the tile that a job belongs to."""
    return job.key if isinstance(job, TileJob) else job.key[0]


class InFlightJob:
    """A job that has not ended. The worker calls it to find out whether to stop."""

    __slots__ = ("_cancelled", "abandoned", "job")

    def __init__(self, job: Job, cancelled: Callable[[], bool]) -> None:
        self.job, self._cancelled, self.abandoned = job, cancelled, False

    def __call__(self) -> bool:
        return self.abandoned or self._cancelled()


class InFlight:
    """The jobs that have not ended, by key.

    Parameters
    ----------
    limits
        By tile: the seconds that each of its jobs may take, counted from when a worker starts it.

    Attributes
    ----------
    tiles
        The number of jobs that are a tile's own work.
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
        """Return the job with this key, or None if it has ended."""
        return self._tasks.get(key)

    def require(self, key: Key) -> InFlightJob:
        """Return a job that has not ended."""
        return self._tasks[key]

    def start_clock(self, job: Job) -> None:
        """Start the time limit of a job that a worker has started."""
        if self.limits and (limit := self.limits.get(node_of(job))) is not None:
            self._ends[job.key] = self.clock() + limit

    def remove(self, key: Key) -> None:
        task = self._tasks.pop(key, None)
        self.tiles -= task is not None and isinstance(task.job, TileJob)
        if self._ends:
            self._ends.pop(key, None)

    def overdue(self) -> list[Key]:
        """Return the keys of jobs that have exceeded their time limit."""
        if not self._ends:
            return []
        now = self.clock()
        return [key for key, end in self._ends.items() if end <= now]

    def stuck(self) -> list[Key]:
        """Return the keys of jobs that are still running a while after the run was cancelled."""
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
    remaining
        The number of renders that have not ended.
    failures
        The failures: (position of the item's tile in the template, index of the item, message).
    restored
        The number of outputs that were rendered before the run was resumed.
    """

    items: Sequence[Item]
    restored: int = 0
    remaining: int = 0
    failures: list[tuple[int, int, str]] = field(default_factory=list)
    _fractions: dict[Key, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.remaining = len(self.items)

    def progress(self, key: Key, fraction: float) -> float:
        """Record the progress of one render, 0–1, and return the progress of all."""
        self._fractions[key] = fraction
        return sum(self._fractions.values()) / len(self.items)

    def result(self) -> tuple[NodeStatus, tuple[str, ...]]:
        """Return the status of the tile, and all failure messages in the template's order."""
        failed = tuple(message for _place, _index, message in sorted(self.failures))
        if not failed:
            return NodeStatus.COMPLETED, ()
        all_failed = len(failed) == len(self.items) + self.restored
        return (NodeStatus.FAILED if all_failed else NodeStatus.PARTIAL_COMPLETE), failed
