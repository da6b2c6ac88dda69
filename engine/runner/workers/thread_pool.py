"""The threads that all runs of this process share: who works next, and how much at a time.

Runs take turns, so that a short one is not kept waiting by a long one; of one run, what has the greatest rank
comes first. Tiles and encodes are bounded apart: an encode takes cores and memory for seconds, a tile's own
work mostly none. Threads are daemons, and one whose work was given up is replaced: nothing that hangs keeps
others from working, nor the process from ending.
"""

from __future__ import annotations

import os
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

__all__ = ["Lane", "Pool", "Work", "cores", "shared_pool"]

Work = Callable[[], None]

_LEAVING_S = 0.5
"""How long work that was given up may take to notice."""


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int:
    """The bytes of memory of this machine; 4 GB where it does not say."""
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 4 << 30


_State = Literal["queued", "working", "over"]


@dataclass(eq=False, slots=True)
class _Task:
    """One piece of work. `memory`: what an encode takes, in bytes; None of what is no encode."""

    work: Work
    lane: Lane
    key: Hashable
    memory: int | None
    state: _State = "queued"


_Queue = list[tuple[float, int, _Task]]
"""A heap: the greatest rank first, then the first that came."""


class Pool:
    """Threads, and the lanes that bring them work.

    Parameters
    ----------
    tiles
        How many tiles work at a time.
    encodes
        How many encodes run at a time, if memory allows.
    memory
        The bytes that all encodes together may take by their estimates. One alone is always let in.
    """

    def __init__(self, tiles: int, encodes: int, memory: int) -> None:
        if min(tiles, encodes) < 1:
            raise ValueError("a pool works on one tile and one encode at a time at least")
        self.tiles, self.encodes, self.memory = tiles, encodes, memory
        lock = threading.Lock()
        self._changed, self._ended = threading.Condition(lock), threading.Condition(lock)
        self._turns: deque[Lane] = deque()
        self._heavy: Lane | None = None
        self._threads = self._idle = 0
        self._working = self._encoding = self._taken = 0

    def lane(self) -> Lane:
        """A new lane: that of one run."""
        return Lane(self)

    def _add(self, lane: Lane, ranked: Iterable[tuple[float, _Task]]) -> None:
        with self._changed:
            for rank, task in ranked:
                if not lane.tiles and not lane.encodes:
                    self._turns.append(lane)
                heappush(lane.tiles if task.memory is None else lane.encodes, (-rank, next(lane.order), task))
                self._call()

    def _call(self) -> None:
        """Have a thread look for work: one that waits, else a new one where there may be more."""
        if self._idle:
            self._idle -= 1
            self._changed.notify()
        elif self._threads < self.tiles + self.encodes:
            self._threads += 1
            threading.Thread(target=self._serve, daemon=True, name="tessera-worker").start()

    def _serve(self) -> None:
        """A thread's life: it ends when the work that it does was given up meanwhile."""
        while True:
            with self._changed:
                while (task := self._next()) is None:
                    self._idle += 1
                    self._changed.wait()
            try:
                task.work()
            except BaseException as error:  # the thread is there for all runs: it goes on
                told = (type(error), error, error.__traceback__, threading.current_thread())
                threading.excepthook(threading.ExceptHookArgs(told))
            finally:
                with self._changed:
                    given_up = task.state == "over"
                    if given_up:
                        task.lane.leaving.discard(task)
                        self._ended.notify_all()
                    else:
                        self._release(task)
            if given_up:
                return

    def _next(self) -> _Task | None:
        """What to do now; the lane that it is from has its next turn after all others."""
        for _ in range(len(self._turns)):
            lane = self._turns[0]
            _forget(lane.tiles)
            _forget(lane.encodes)
            task = None
            if lane.tiles and self._working < self.tiles:
                task = heappop(lane.tiles)[2]
            elif lane.encodes and self._has_room(lane):
                task = heappop(lane.encodes)[2]
            if lane.tiles or lane.encodes:
                self._turns.rotate(-1)
            else:
                self._turns.popleft()
            if self._heavy is lane and not lane.encodes:
                self._heavy = None
            if task is not None:
                self._take(task)
                return task
        return None

    def _has_room(self, lane: Lane) -> bool:
        """Whether a lane's next encode may begin. One for which memory lacks is the next to begin at all, so
        that lighter ones do not pass it by for ever.
        """
        if self._encoding >= self.encodes or self._heavy not in (None, lane):
            return False
        needed = lane.encodes[0][2].memory or 0
        fits = not self._encoding or self._taken + needed <= self.memory
        self._heavy = None if fits else lane
        return fits

    def _take(self, task: _Task) -> None:
        task.state = "working"
        task.lane.working.add(task)
        if task.memory is None:
            self._working += 1
        else:
            self._encoding += 1
            self._taken += task.memory

    def _release(self, task: _Task) -> None:
        task.state = "over"
        task.lane.working.discard(task)
        if task.memory is None:
            self._working -= 1
        else:
            self._encoding -= 1
            self._taken -= task.memory
            self._idle = 0
            self._changed.notify_all()
        if not task.lane.working:
            self._ended.notify_all()

    def _give_up(self, lane: Lane, key: Hashable) -> None:
        """Wait no more for work that has begun: its place, and its thread's, are free for another."""
        with self._changed:
            for task in [one for one in lane.working if one.key == key]:
                self._threads -= 1
                self._release(task)
                lane.leaving.add(task)
                self._call()

    def _drain(self, lane: Lane, timeout_s: float) -> bool:
        with self._changed:
            for _rank, _order, task in (*lane.tiles, *lane.encodes):
                task.state = "over"
            ended = self._ended.wait_for(lambda: not lane.working, timeout_s)
            left = self._ended.wait_for(lambda: not lane.leaving, _LEAVING_S)
            return ended and left


def _forget(queue: _Queue) -> None:
    """Drop what was given up before its turn came."""
    while queue and queue[0][2].state == "over":
        heappop(queue)


@dataclass(eq=False)
class Lane:
    """The work of one run in a pool."""

    pool: Pool
    tiles: _Queue = field(default_factory=list)
    encodes: _Queue = field(default_factory=list)
    working: set[_Task] = field(default_factory=set)
    leaving: set[_Task] = field(default_factory=set)
    order: count[int] = field(default_factory=count)

    def add(self, work: Work, key: Hashable, rank: float = 0.0, memory: int | None = None) -> None:
        """Have work done: the greater its rank, the sooner.

        Parameters
        ----------
        key
            Names it in this lane.
        memory
            Of an encode: the bytes that it takes. None: it is no encode.
        """
        self.add_all([(work, key, rank, memory)])

    def add_all(self, pieces: Iterable[tuple[Work, Hashable, float, int | None]]) -> None:
        """Have many pieces of work done; see `add`."""
        self.pool._add(self, [(rank, _Task(work, self, key, memory)) for work, key, rank, memory in pieces])

    def give_up(self, key: Hashable) -> None:
        """If this work has begun, wait no more for it: others have its place, and its thread ends with it."""
        self.pool._give_up(self, key)

    def drain(self, timeout_s: float) -> bool:
        """Begin nothing more, and wait for what is being done; whether that has ended in time. What was given
        up is waited for too, though not for long: the process that an encode was is killed, not only doomed.
        """
        return self.pool._drain(self, timeout_s)


def shared_pool() -> Pool:
    """The pool of this process, as the settings say when it is first needed: by default an encode for every
    two cores, and half of the memory for them.
    """
    return _pool_of(os.getpid())


@cache
def _pool_of(_process: int) -> Pool:
    """A process that was forked has no threads of its parent's pool: it has a pool of its own."""
    asked = settings()
    memory = asked.encode_memory_mb * 1_000_000 if asked.encode_memory_mb else _memory() // 2
    return Pool(max(2, cores()), asked.encodes or max(1, cores() // 2), memory)
