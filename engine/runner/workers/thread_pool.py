"""The thread pool that all runs of this process share.

Runs take turns, so that a short run does not wait for a long one. Within a run, the job with the greatest
priority comes first. Tiles and encodes have separate limits: an encode needs cores and memory for seconds, a
tile's own work usually neither. Threads are daemons, and a thread with abandoned work is replaced, so that a
hanging job blocks neither other jobs nor the exit of the process.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from heapq import heappop, heappush
from itertools import count
from typing import Literal

from tessera.settings import settings

__all__ = ["Lane", "Pool", "Work", "cores", "encode_limits", "memory_size", "shared_pool"]

Work = Callable[[], None]

_ABANDONED_WAIT_S = 0.5
"""Seconds that abandoned work may take to stop."""


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_size() -> int:
    """Return the bytes of memory of this machine, or 4 GiB if it is unknown."""
    if sys.platform != "win32":
        with suppress(ValueError, OSError):
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return 4 << 30
    import psutil

    return int(psutil.virtual_memory().total)


_State = Literal["queued", "working", "over"]


@dataclass(eq=False, slots=True)
class _Task:
    """One job. `memory` is the bytes that an encode needs, or None for any other work."""

    work: Work
    lane: Lane
    key: Hashable
    memory: int | None
    state: _State = "queued"


_Queue = list[tuple[float, int, _Task]]
"""A heap of (negative priority, order of arrival, task)."""


class Pool:
    """Threads, and the lanes that feed them.

    Parameters
    ----------
    tiles
        The greatest number of tiles that work at a time.
    encodes
        The greatest number of encodes that run at a time, if memory allows.
    memory
        The bytes that all running encodes together may take by estimate. A single encode may always run.
    """

    def __init__(self, tiles: int, encodes: int, memory: int) -> None:
        if min(tiles, encodes) < 1:
            raise ValueError("a pool needs room for at least one tile and one encode")
        self.tiles, self.encodes, self.memory = tiles, encodes, memory
        lock = threading.Lock()
        self._changed, self._ended = threading.Condition(lock), threading.Condition(lock)
        self._turns: deque[Lane] = deque()
        self._memory_waiter: Lane | None = None
        self._threads = self._idle = 0
        self._working = self._encoding = self._memory_used = 0

    def lane(self) -> Lane:
        """Return a new lane, for one run."""
        return Lane(self)

    def _add_tasks(self, lane: Lane, pairs: Iterable[tuple[float, _Task]]) -> None:
        with self._changed:
            for priority, task in pairs:
                if not lane.tiles and not lane.encodes:
                    self._turns.append(lane)
                heappush(
                    lane.tiles if task.memory is None else lane.encodes, (-priority, next(lane.order), task)
                )
                self._wake_thread()

    def _wake_thread(self) -> None:
        """Wake an idle thread, or start a new one if the limit allows."""
        if self._idle:
            self._idle -= 1
            self._changed.notify()
        elif self._threads < self.tiles + self.encodes:
            self._threads += 1
            threading.Thread(target=self._serve, daemon=True, name="tessera-worker").start()

    def _serve(self) -> None:
        """Run tasks in a thread. The thread ends after a task that was abandoned meanwhile."""
        while True:
            with self._changed:
                while (task := self._next_task()) is None:
                    self._idle += 1
                    self._changed.wait()
            try:
                task.work()
            except BaseException as error:  # all runs share this thread, so it must survive
                details = (type(error), error, error.__traceback__, threading.current_thread())
                threading.excepthook(threading.ExceptHookArgs(details))
            finally:
                with self._changed:
                    abandoned = task.state == "over"
                    if abandoned:
                        task.lane.abandoned.discard(task)
                        self._ended.notify_all()
                    else:
                        self._release(task)
            if abandoned:
                return

    def _next_task(self) -> _Task | None:
        """Return the next task, or None. Its lane moves behind all others."""
        for _ in range(len(self._turns)):
            lane = self._turns[0]
            _drop_finished(lane.tiles)
            _drop_finished(lane.encodes)
            task = None
            if lane.tiles and self._working < self.tiles:
                task = heappop(lane.tiles)[2]
            elif lane.encodes and self._has_room(lane):
                task = heappop(lane.encodes)[2]
            if lane.tiles or lane.encodes:
                self._turns.rotate(-1)
            else:
                self._turns.popleft()
            if self._memory_waiter is lane and not lane.encodes:
                self._memory_waiter = None
            if task is not None:
                self._start(task)
                return task
        return None

    def _has_room(self, lane: Lane) -> bool:
        """Return True if a lane's next encode may start.

        An encode that lacks memory becomes the next to start at all, so that lighter ones cannot overtake it
        forever.
        """
        if self._encoding >= self.encodes or self._memory_waiter not in (None, lane):
            return False
        needed = lane.encodes[0][2].memory or 0
        fits = not self._encoding or self._memory_used + needed <= self.memory
        self._memory_waiter = None if fits else lane
        return fits

    def _start(self, task: _Task) -> None:
        task.state = "working"
        task.lane.working.add(task)
        if task.memory is None:
            self._working += 1
        else:
            self._encoding += 1
            self._memory_used += task.memory

    def _release(self, task: _Task) -> None:
        task.state = "over"
        task.lane.working.discard(task)
        if task.memory is None:
            self._working -= 1
        else:
            self._encoding -= 1
            self._memory_used -= task.memory
            # A finished encode can make room for several tasks, so wake all idle threads.
            self._idle = 0
            self._changed.notify_all()
        if not task.lane.working:
            self._ended.notify_all()

    def _abandon(self, lane: Lane, key: Hashable) -> None:
        """Stop waiting for running work, and let another job and another thread take its place."""
        with self._changed:
            for task in [task for task in lane.working if task.key == key]:
                self._threads -= 1
                self._release(task)
                lane.abandoned.add(task)
                self._wake_thread()

    def _drain(self, lane: Lane, timeout_s: float) -> bool:
        with self._changed:
            for _rank, _order, task in (*lane.tiles, *lane.encodes):
                task.state = "over"
            ended = self._ended.wait_for(lambda: not lane.working, timeout_s)
            left = self._ended.wait_for(lambda: not lane.abandoned, _ABANDONED_WAIT_S)
            return ended and left


def _drop_finished(queue: _Queue) -> None:
    """Remove tasks from the top of a queue that were abandoned before they started."""
    while queue and queue[0][2].state == "over":
        heappop(queue)


@dataclass(eq=False)
class Lane:
    """The work of one run in a pool."""

    pool: Pool
    tiles: _Queue = field(default_factory=list)
    encodes: _Queue = field(default_factory=list)
    working: set[_Task] = field(default_factory=set)
    abandoned: set[_Task] = field(default_factory=set)
    order: count[int] = field(default_factory=count)

    def add(self, work: Work, key: Hashable, priority: float = 0.0, memory: int | None = None) -> None:
        """Queue a job; jobs with a greater priority start first.

        Parameters
        ----------
        key
            Identifies the job in this lane.
        memory
            The bytes that an encode needs, or None for any other work.
        """
        self.add_all([(work, key, priority, memory)])

    def add_all(self, pieces: Iterable[tuple[Work, Hashable, float, int | None]]) -> None:
        """Queue several jobs; see `add`."""
        self.pool._add_tasks(
            self, [(priority, _Task(work, self, key, memory)) for work, key, priority, memory in pieces]
        )

    def abandon(self, key: Hashable) -> None:
        """Stop waiting for a job if it has started. Another job takes its place, and its thread ends with
        it.
        """
        self.pool._abandon(self, key)

    def drain(self, timeout_s: float) -> bool:
        """Drop queued jobs and wait for running ones. Return True if all ended in time.

        Abandoned jobs get a short wait too, so that the ffmpeg process of an abandoned encode is really
        killed.
        """
        return self.pool._drain(self, timeout_s)


def shared_pool() -> Pool:
    """Return the pool of this process, with the limits from the settings at its first use.

    By default there is one encode per two cores, and half of the memory for encodes.
    """
    return _pool_of(os.getpid())


@cache
def _pool_of(_process: int) -> Pool:
    """Return the pool of a process. A forked process has no threads of its parent's pool and needs its
    own.
    """
    return Pool(max(2, cores()), *encode_limits())


def encode_limits() -> tuple[int, int]:
    """Return the most parallel encodes, and the bytes of memory that they may take together.

    Raises
    ------
    RequestError
        If the settings are invalid.
    """
    configured = settings()
    memory = configured.encode_memory_mb * 1_000_000 if configured.encode_memory_mb else memory_size() // 2
    return configured.encodes or max(1, cores() // 2), memory
