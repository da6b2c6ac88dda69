"""A worker's side of a run: a tile's own work, or the render of one output, done and told in messages.

Nothing here knows who runs it: a thread of this process, another process, the caller itself. What a worker is
given (`Job`) and what it tells (`Message`) are values; the coordinator alone makes events of them.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from tessera.context import InputMedia
from tessera.errors import Cancelled, MediaError, QuestionError, RenderError, TesseraError, TransientError
from tessera.graph.model import Tile
from tessera.media.algebra.item import Item
from tessera.media.ffmpeg.process import Process, Watch
from tessera.runner.answers.fault_injection import InjectedFault, fault_at, inject
from tessera.runner.answers.stubs import StubbedTile
from tessera.runner.answers.tile_context import Answers, TileContext
from tessera.runner.workers.tile_execution import run_tile

__all__ = [
    "Deliver",
    "Delivered",
    "ExecutorWorkers",
    "InlineExecutor",
    "Job",
    "Key",
    "Message",
    "Put",
    "RenderJob",
    "RenderWatch",
    "Stopped",
    "TileJob",
    "Worker",
    "Workers",
]

Key = str | tuple[str, tuple[str, int]]
"""Names a job in its run: the tile whose work it is, or the tile that delivers and the item it renders."""

Message = tuple[Any, ...]
"""What a worker tells: the name of it, the key of the job, and what belongs to it."""

Put = Callable[[Message], None]
Stopped = Callable[[], bool]
"""Asked between steps and some times a second; once it is true, a job ends as soon as it can."""

_Made = TypeVar("_Made")

_MOST_ATTEMPTS = 3
_FIRST_PAUSE_S = 0.2
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Delivered:
    """An output that is there: its record."""

    output: dict[str, Any]


class RenderWatch(Watch):
    """Tells of the ffmpeg processes of a render; in a drill, kills them.

    Attributes
    ----------
    scripts
        The texts of the files that their commands name.
    """

    def __init__(self, told: Callable[[Process], None], *, kills: bool = False) -> None:
        self._told, self.kills = told, kills
        self.scripts: dict[str, str] = {}

    def begun(self, pid: int) -> None:
        if self.kills:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def ended(self, process: Process) -> None:
        self.scripts.update(process.scripts)
        self._told(process)


Deliver = Callable[[Item, Callable[[float], None], Stopped, RenderWatch], Delivered]
"""Makes an output of an item: (item, progress, stopped, watch) → its record."""


@dataclass(frozen=True, slots=True)
class TileJob:
    """One tile's own work.

    Attributes
    ----------
    inputs
        The items that reach it.
    sources
        Of a Video Input: what the request gave it.
    given
        What it has made before, or is taken to have made: then it does not work.
    rank
        The greater, the sooner it is to be begun.
    drills
        What it is made to suffer.
    """

    key: str
    tile: Tile
    inputs: Sequence[Item]
    sources: Sequence[InputMedia] = ()
    stub: StubbedTile | None = None
    given: tuple[Item, ...] | None = None
    rank: float = 0.0
    drills: tuple[InjectedFault, ...] = ()


@dataclass(frozen=True, slots=True)
class RenderJob:
    """The render of one output. `rank` and `drills` as of a tile's work."""

    key: tuple[str, tuple[str, int]]
    item: Item
    rank: float = 0.0
    drills: tuple[InjectedFault, ...] = ()


Job = TileJob | RenderJob


class Workers(Protocol):
    """Those who work for a coordinator."""

    def submit(self, work: Sequence[tuple[Job, Stopped]], put: Put) -> None:
        """Have jobs done, now or later. What comes of them is told by `put`, from any thread."""

    def drop(self, key: Key) -> None:
        """A job is given up, begun or not: let others have its place."""


_DONE: Future[Any] = Future()
_DONE.set_result(None)


class InlineExecutor(Executor):
    """Runs what it is given at once, in the caller's thread. What it gives back says only that it is done."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        fn(*args, **kwargs)
        return _DONE


@dataclass(frozen=True, slots=True)
class Worker:
    """Does jobs of one run.

    Attributes
    ----------
    deliver
        Makes an output of an item.
    max_items
        The greatest number of items that may reach a tile.
    waits
        Whether time passes: False in a simulation, which neither pauses nor hangs.
    """

    answers: Answers
    deliver: Deliver
    max_items: int
    waits: bool = True
    clock: Callable[[], float] = time.monotonic

    def do(self, job: Job, stopped: Stopped, put: Put) -> None:
        """Do a job; it ends with a message that says how, whatever happens."""
        if isinstance(job, TileJob):
            self._tile(job, stopped, put)
        else:
            self._render(job, stopped, put)

    def _tile(self, job: TileJob, stopped: Stopped, put: Put) -> None:
        key = job.key
        put(("started", key))
        try:
            items = self._attempts(job, stopped, put, partial(self._attempt, job, stopped, put))
        except Cancelled:
            put(("cancelled", key))
        except QuestionError as error:
            put(("question", key, error))
        except TesseraError as error:
            put(("failed", key, str(error)))
        except BaseException as error:  # a tile's own fault must not end the run
            _let_through(error)
            put(("log", key, traceback.format_exc()))
            put(("failed", key, f"{type(error).__name__}: {error}"))
        else:
            put(("worked", key, items))

    def _attempts(self, job: Job, stopped: Stopped, put: Put, work: Callable[[int], _Made]) -> _Made:
        """Work, tried again where it failed for this time only. It is told the number of the attempt."""
        for number in range(1, _MOST_ATTEMPTS):
            try:
                return self._drilled(job, number, stopped, put, work)
            except TransientError as error:
                put(("log", job.key, f"attempt {number} of {_MOST_ATTEMPTS} failed: {error}"))
                self._pause(number, stopped)
        return self._drilled(job, _MOST_ATTEMPTS, stopped, put, work)

    def _drilled(
        self, job: Job, number: int, stopped: Stopped, put: Put, work: Callable[[int], _Made]
    ) -> _Made:
        """Work, or suffer the drill that is meant for this attempt. In a real run the crash of a render is
        that of its ffmpeg.
        """
        _go_on(stopped)
        drill = fault_at(job.drills, number)
        if drill is not None:
            put(("log", job.key, f"{drill.by} strikes, attempt {number}"))
            if not self._kills(job, number):
                inject(drill.fault, drill.by, stopped, waits=self.waits)
        made = work(number)
        for late in job.drills:
            if late.attempt is not None and late.attempt > number:
                put(("log", job.key, f"{late.by} did not strike: attempt {number} has done it"))
        return made

    def _kills(self, job: Job, number: int) -> bool:
        drill = fault_at(job.drills, number)
        return drill is not None and drill.fault == "crash" and isinstance(job, RenderJob) and self.waits

    def _attempt(self, job: TileJob, stopped: Stopped, put: Put, number: int) -> tuple[Item, ...]:
        if job.given is not None:
            return job.given
        key, tile, stub = job.key, job.tile, job.stub
        attempt = stub.stub.attempt(number) if stub is not None else None
        if attempt is not None and attempt.fault is not None:
            inject(attempt.fault, "a stub", stopped, waits=self.waits, message=attempt.message)
        context = TileContext(
            tile,
            self.answers,
            job.sources,
            lambda message: put(("log", key, message)),
            lambda fraction: put(("progress", key, fraction)),
            lambda question, about, origin: put(("answered", key, question, about, origin)),
            attempt.answers if attempt is not None else None,
            stopped,
        )
        return run_tile(tile, context, job.inputs, max_items=self.max_items, stub=stub, attempt=attempt)

    def _pause(self, attempt: int, stopped: Stopped) -> None:
        """Wait before the next attempt, about twice as long each time, so that those who failed together do
        not try again together. It ends at once when the job does; a simulation does not wait.
        """
        if not self.waits:
            return
        end = time.monotonic() + _FIRST_PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
        while (left := end - time.monotonic()) > 0:
            _go_on(stopped)
            time.sleep(min(left, _POLL_S))

    def _render(self, job: RenderJob, stopped: Stopped, put: Put) -> None:
        key = job.key
        put(("render_started", key))
        begun = self.clock()
        try:
            made = self._attempts(
                job,
                stopped,
                put,
                lambda number: self._delivered(job, number, stopped, put),
            )
        except Cancelled:
            put(("output_cancelled", key))
        except TesseraError as error:
            put(("output_failed", key, str(error)))
        except BaseException as error:  # as above
            _let_through(error)
            put(("log", key, traceback.format_exc()))
            put(("output_failed", key, f"{type(error).__name__}: {error}"))
        else:
            put(("output", key, made, self.clock() - begun))

    def _delivered(self, job: RenderJob, number: int, stopped: Stopped, put: Put) -> Delivered:
        kills = self._kills(job, number)
        watch = RenderWatch(lambda process: put(("process", job.key, process)), kills=kills)
        try:
            return self.deliver(
                job.item, lambda fraction: put(("output_progress", job.key, fraction)), stopped, watch
            )
        except MediaError as error:
            drill = fault_at(job.drills, number)
            if drill is None:
                raise
            said = "ffmpeg was killed" if kills else str(error)
            raise RenderError(f"{said}, by {drill.by}") from None


def _let_through(error: BaseException) -> None:
    """What is no tile's to answer goes to the caller, where the tile works in the main thread: Ctrl-C, or
    what a test raises to end itself. From a worker's thread nobody would hear of it.
    """
    ours = isinstance(error, Exception | SystemExit)
    if not ours and threading.current_thread() is threading.main_thread():
        raise error


def _go_on(stopped: Stopped) -> None:
    if stopped():
        raise Cancelled("the run was cancelled")


@dataclass(frozen=True, slots=True)
class ExecutorWorkers:
    """Workers of this process: the threads of an executor."""

    executor: Executor
    worker: Worker

    def submit(self, work: Sequence[tuple[Job, Stopped]], put: Put) -> None:
        for job, stopped in work:
            future = self.executor.submit(self.worker.do, job, stopped, put)
            if future is not _DONE:
                future.add_done_callback(partial(_tell_if_lost, job, put))

    def drop(self, key: Key) -> None:
        """Nothing: it keeps its thread until it ends."""


def _tell_if_lost(job: Job, put: Put, future: Future[Any]) -> None:
    """A job that ended without a message has failed."""
    error = None if future.cancelled() else future.exception()
    if not future.cancelled() and error is None:
        return
    what = f"its worker was lost: {error}" if error is not None else "its worker was shut down"
    put(("failed" if isinstance(job, TileJob) else "output_failed", job.key, what))
