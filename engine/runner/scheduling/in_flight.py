"""The jobs in flight, with their time limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tessera.runner.workers.messages import Job, Key, TileJob, node_of

__all__ = ["InFlight", "InFlightJob"]

_PATIENCE_S = 1.0
"""Seconds that a cancelled run waits for running jobs to end by themselves."""


class InFlightJob:
    """A job that has not ended."""

    __slots__ = ("_cancelled", "abandoned", "job")

    def __init__(self, job: Job, cancelled: Callable[[], bool]) -> None:
        self.job, self._cancelled, self.abandoned = job, cancelled, False

    def stopped(self) -> bool:
        """Return True if the worker must stop: the run is cancelled, or nobody waits for the job."""
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
