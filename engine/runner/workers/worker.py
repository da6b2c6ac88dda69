"""The worker's side of a run: do a tile's own work, or render one output, and report in messages.

A worker runs in a thread of this process, in another process, or in the caller itself. Its input (`Job`) and
its output (`Message`) are values; only the coordinator turns them into events.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from tessera.errors import Cancelled, MediaError, QuestionError, RenderError, TesseraError, TransientError
from tessera.media.algebra.item import Item
from tessera.media.process.process import Process, Watch
from tessera.media.process.process_group import kill_group
from tessera.record.output import SimulatedOutput
from tessera.runner.answers.fault_injection import fault_at, inject
from tessera.runner.answers.tile_context import Answers, TileContext
from tessera.runner.workers.messages import (
    Failed,
    Job,
    JobCancelled,
    Key,
    Logged,
    OutputDelivered,
    ProcessEnded,
    Progressed,
    Put,
    QuestionAnswered,
    RenderJob,
    Started,
    Stopped,
    TileJob,
    Unanswered,
    Worked,
)
from tessera.runner.workers.tile_execution import run_tile

__all__ = ["Deliver", "ExecutorWorkers", "InlineExecutor", "RenderWatch", "Worker", "Workers"]

_Made = TypeVar("_Made")

_MAX_ATTEMPTS = 3
_FIRST_PAUSE_S = 0.2
_POLL_S = 0.05


class RenderWatch(Watch):
    """Reports the ffmpeg processes of a render, and kills them for an injected crash.

    Attributes
    ----------
    scripts
        The texts of the files that the commands name.
    """

    def __init__(self, report: Callable[[Process], None], *, kills: bool = False) -> None:
        self._report, self.kills = report, kills
        self.scripts: dict[str, str] = {}

    def begun(self, pid: int) -> None:
        if self.kills:
            kill_group(pid)

    def ended(self, process: Process) -> None:
        self.scripts.update(process.scripts)
        self._report(process)


Deliver = Callable[[Item, Callable[[float], None], Stopped, RenderWatch], dict[str, Any] | SimulatedOutput]
"""Makes an output of an item: (item, progress, stopped, watch) → its entry in the record."""


class Workers(Protocol):
    """The workers of a coordinator."""

    def submit(self, work: Sequence[tuple[Job, Stopped]], put: Put) -> None:
        """Queue jobs. Workers report with `put`, from any thread."""

    def drop(self, key: Key) -> None:
        """Drop a job, started or not, and let other jobs take its place."""


_DONE: Future[Any] = Future()
_DONE.set_result(None)


class InlineExecutor(Executor):
    """Runs each call at once in the caller's thread. The returned future is done, but holds no result."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        fn(*args, **kwargs)
        return _DONE


@dataclass(frozen=True, slots=True)
class Worker:
    """Does the jobs of one run.

    Attributes
    ----------
    deliver
        Makes an output of an item.
    max_items
        The greatest number of items that may reach a tile.
    live
        False in a simulation, which neither pauses nor hangs.
    """

    answers: Answers
    deliver: Deliver
    max_items: int
    live: bool = True
    clock: Callable[[], float] = time.monotonic

    def do(self, job: Job, stopped: Stopped, put: Put) -> None:
        """Do a job. Its last message reports the outcome, whatever happens."""
        if isinstance(job, TileJob):
            self._tile(job, stopped, put)
        else:
            self._render(job, stopped, put)

    def _tile(self, job: TileJob, stopped: Stopped, put: Put) -> None:
        key = job.key
        put(Started(key))
        try:
            worked = self._with_retries(job, stopped, put, partial(self._run_tile, job, stopped, put))
        except Cancelled:
            put(JobCancelled(key))
        except QuestionError as error:
            put(Unanswered(key, error))
        except TesseraError as error:
            put(Failed(key, str(error)))
        except BaseException as error:  # a bug in a tile must not end the run
            _reraise_interrupt(error)
            put(Logged(key, traceback.format_exc()))
            put(Failed(key, f"{type(error).__name__}: {error}"))
        else:
            put(worked)

    def _with_retries(self, job: Job, stopped: Stopped, put: Put, work: Callable[[int], _Made]) -> _Made:
        """Call `work` with the number of the attempt, and retry after transient errors."""
        for number in range(1, _MAX_ATTEMPTS):
            try:
                return self._run_attempt(job, number, stopped, put, work)
            except TransientError as error:
                put(Logged(job.key, f"attempt {number} of {_MAX_ATTEMPTS} failed: {error}"))
                self._pause(number, stopped)
        return self._run_attempt(job, _MAX_ATTEMPTS, stopped, put, work)

    def _run_attempt(
        self, job: Job, number: int, stopped: Stopped, put: Put, work: Callable[[int], _Made]
    ) -> _Made:
        """Call `work`, or inject the fault of this attempt. The crash of a real render kills its ffmpeg."""
        _raise_if_stopped(stopped)
        fault = fault_at(job.faults, number)
        if fault is not None:
            put(Logged(job.key, f"{fault.cause} injected in attempt {number}"))
            if not self._kills(job, number):
                inject(fault.fault, fault.cause, stopped, live=self.live)
        made = work(number)
        for unused in job.faults:
            if unused.attempt is not None and unused.attempt > number:
                put(Logged(job.key, f"{unused.cause} had no effect: attempt {number} succeeded"))
        return made

    def _kills(self, job: Job, number: int) -> bool:
        fault = fault_at(job.faults, number)
        return fault is not None and fault.fault == "crash" and isinstance(job, RenderJob) and self.live

    def _run_tile(self, job: TileJob, stopped: Stopped, put: Put, number: int) -> Worked:
        if job.known_items is not None:
            return Worked(job.key, job.known_items)
        key, tile, stub = job.key, job.tile, job.stub
        attempt = stub.stub.attempt(number) if stub is not None else None
        if attempt is not None and attempt.fault is not None:
            inject(attempt.fault, "a stub", stopped, live=self.live, message=attempt.message)
        context = TileContext(
            tile,
            self.answers,
            job.sources,
            lambda text: put(Logged(key, text)),
            lambda fraction: put(Progressed(key, fraction)),
            lambda question, about, origin: put(QuestionAnswered(key, question, about, origin)),
            attempt.answers if attempt is not None else None,
            stopped,
        )
        items = run_tile(tile, context, job.inputs, max_items=self.max_items, stub=stub, attempt=attempt)
        return Worked(key, items, context.deviations)

    def _pause(self, attempt: int, stopped: Stopped) -> None:
        """Wait before the next attempt, about twice as long each time. A simulation does not wait.

        The length is random, so that jobs that failed together do not retry together. The wait ends if the
        job is stopped.
        """
        if not self.live:
            return
        end = time.monotonic() + _FIRST_PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
        while (left := end - time.monotonic()) > 0:
            _raise_if_stopped(stopped)
            time.sleep(min(left, _POLL_S))

    def _render(self, job: RenderJob, stopped: Stopped, put: Put) -> None:
        key = job.key
        put(Started(key))
        started = self.clock()
        try:
            output = self._with_retries(
                job, stopped, put, lambda number: self._deliver(job, number, stopped, put)
            )
        except Cancelled:
            put(JobCancelled(key))
        except TesseraError as error:
            put(Failed(key, str(error)))
        except BaseException as error:  # a bug in a painter must not end the run either
            _reraise_interrupt(error)
            put(Logged(key, traceback.format_exc()))
            put(Failed(key, f"{type(error).__name__}: {error}"))
        else:
            put(OutputDelivered(key, output, self.clock() - started))

    def _deliver(
        self, job: RenderJob, number: int, stopped: Stopped, put: Put
    ) -> dict[str, Any] | SimulatedOutput:
        kills = self._kills(job, number)
        watch = RenderWatch(lambda process: put(ProcessEnded(job.key, process)), kills=kills)
        try:
            return self.deliver(job.item, lambda fraction: put(Progressed(job.key, fraction)), stopped, watch)
        except MediaError as error:
            fault = fault_at(job.faults, number)
            if fault is None:
                raise
            reason = "ffmpeg was killed" if kills else str(error)
            raise RenderError(f"{reason}, by {fault.cause}") from None


def _reraise_interrupt(error: BaseException) -> None:
    """Raise Ctrl-C and test exits again, if they occur in the main thread.

    They are no fault of the tile. In a worker's thread nobody would catch them.
    """
    ours = isinstance(error, Exception | SystemExit)
    if not ours and threading.current_thread() is threading.main_thread():
        raise error


def _raise_if_stopped(stopped: Stopped) -> None:
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
                future.add_done_callback(partial(_report_lost_job, job, put))

    def drop(self, key: Key) -> None:
        """Do nothing, since an executor cannot interrupt a thread."""


def _report_lost_job(job: Job, put: Put, future: Future[Any]) -> None:
    """Report a job as failed if it ended without a message."""
    error = None if future.cancelled() else future.exception()
    if not future.cancelled() and error is None:
        return
    message = f"lost its worker: {error}" if error is not None else "its executor was shut down"
    put(Failed(job.key, message))
