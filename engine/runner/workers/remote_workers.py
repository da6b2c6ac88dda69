"""Workers in other processes, of this machine or another, and the exchange with them.

Only small values are sent: keys, expressions, messages. A worker reads the plan, the assets and the caches
from the workspace, which must have the same path for it. Its return value is the list of messages about the
job; only the start and the progress are sent while it works. The coordinator alone writes events.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from tessera.context import InputMedia
from tessera.deviation import Deviation
from tessera.errors import WorkspaceError
from tessera.media.algebra.item import Item
from tessera.runner.workers.delivery import RenderOptions
from tessera.runner.workers.messages import (
    Failed,
    Job,
    Key,
    Message,
    Progressed,
    Put,
    RenderJob,
    Started,
    Stopped,
    TileJob,
    Worked,
)
from tessera.runner.workers.worker import Worker, Workers
from tessera.store.item_codec import ItemWriter, read_items

__all__ = ["JobParcel", "RemoteExecutor", "RemoteWorkers", "WorkerSetup", "pack", "run_job", "unpack"]

_CANCEL_POLL_S = 0.3
"""Seconds between checks whether the run was cancelled."""

_PROGRESS_INTERVAL_S = 0.2
"""Seconds between progress messages of a worker."""

Packed = tuple[list[str], list[tuple[str, int, str]]]
"""Serialised items: their expressions, each once, and the items."""


def pack(items: Sequence[Item]) -> Packed:
    """Serialise items; `unpack` restores them."""
    writer = ItemWriter()
    expressions: list[str] = []
    rows: list[tuple[str, int, str]] = []
    for item in items:
        new, body = writer.add(item)
        expressions += [expression for _index, expression in new]
        rows.append((item.node, item.index, body))
    return expressions, rows


def unpack(packed: Packed) -> tuple[Item, ...]:
    """Restore serialised items, in their order."""
    expressions, rows = packed
    found, _reader = read_items(expressions, rows)
    items = {item.ref: item for made in found.values() for item in made}
    return tuple(items[node, index] for node, index, _body in rows)


@dataclass(frozen=True, slots=True)
class PackedItems:
    """The message `Worked` on its way: the items that a tile made, serialised."""

    key: str
    items: Packed
    deviations: tuple[Deviation, ...]


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """The location and settings of a run, common to all its jobs."""

    workspace: str
    run_id: str
    max_items: int
    render: RenderOptions


@dataclass(frozen=True, slots=True)
class JobParcel:
    """A serialised job. `limit_s` is its time limit in seconds."""

    key: Key
    items: Packed
    sources: tuple[InputMedia, ...] = ()
    limit_s: float | None = None


def _ignore_topic(_topic: str, _receive: Callable[[Any], None]) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class RemoteExecutor:
    """Processes that work for a run.

    Attributes
    ----------
    executor
        Submits work to them: `concurrent.futures.ProcessPoolExecutor`, `distributed.Client.get_executor()`.
    listen
        Receives messages under a topic while workers run, for as long as the context lasts.
    """

    executor: Executor
    listen: Callable[[str, Callable[[Any], None]], AbstractContextManager[None]] = _ignore_topic


# in the worker's process


@dataclass(frozen=True)
class _WorkerState:
    """The state of a run in a worker's process."""

    store: Any
    plan: Any
    library: Any
    answers: Any


@lru_cache(maxsize=4)
def _worker_state(setup: WorkerSetup) -> _WorkerState:
    from tessera.graph.plan import Plan
    from tessera.inputs.assets.library import Library
    from tessera.runner.answers.tile_context import Answers
    from tessera.store.run_store import RunStore

    home = Path(setup.workspace)
    store, library = RunStore(home), Library(home)
    text = store.document(setup.run_id, "plan.json")
    if text is None:
        import socket

        where = f"the worker on {socket.gethostname()} cannot find run {setup.run_id} in {home}"
        raise WorkspaceError(f"{where}: the workspace needs the same path on all workers")
    return _WorkerState(store, Plan.from_dict(text), library, Answers(library, None, lambda: False))


def run_job(setup: WorkerSetup, parcel: JobParcel) -> list[Message | PackedItems]:
    """Do a job in this process, and return its messages, with the items that a tile made serialised."""
    messages: list[Message] = []
    channel = _ProgressChannel(setup.run_id)

    def put(message: Message) -> None:
        channel.send(message)
        if not isinstance(message, Progressed):
            messages.append(message)

    state = _worker_state(setup)
    stopped = _stop_check(state, setup.run_id, parcel.limit_s)
    items = unpack(parcel.items)
    if isinstance(parcel.key, str):
        worker = Worker(state.answers, _deliver_nothing, setup.max_items)
        tile = state.plan.tile(parcel.key)
        worker.do(TileJob(parcel.key, tile, items, parcel.sources), stopped, put)
    else:
        _render(state, setup, RenderJob(parcel.key, items[0]), stopped, put)
    return [
        PackedItems(sent.key, pack(sent.items), sent.deviations) if isinstance(sent, Worked) else sent
        for sent in messages
    ]


def _deliver_nothing(*_args: Any) -> Any:
    raise AssertionError("a tile's own work has no delivery")


def _render(state: _WorkerState, setup: WorkerSetup, job: RenderJob, stopped: Stopped, put: Put) -> None:
    from tessera.record.events import now
    from tessera.runner.workers.delivery import RunDelivery

    delivery = RunDelivery(state.plan, state.library, state.store, setup.run_id, setup.render, now)
    try:
        Worker(state.answers, delivery.deliver, setup.max_items).do(job, stopped, put)
    finally:
        delivery.close()


def _stop_check(state: _WorkerState, run_id: str, limit_s: float | None) -> Stopped:
    """Return a function that is True once the run is cancelled or the job exceeds its time limit."""
    started = last_poll = time.monotonic()
    cancel_requested = False

    def stopped() -> bool:
        nonlocal last_poll, cancel_requested
        now = time.monotonic()
        if now - last_poll > _CANCEL_POLL_S:
            last_poll, cancel_requested = now, cancel_requested or state.store.is_asked_to_cancel(run_id)
        return cancel_requested or (limit_s is not None and now - started > limit_s)

    return stopped


class _ProgressChannel:
    """Sends start and progress messages at once, if a Dask scheduler can forward them."""

    def __init__(self, topic: str) -> None:
        self.topic, self.last = topic, 0.0
        self.log: Callable[[str, Any], None] | None = None
        if "distributed" in sys.modules:  # a Dask worker has always imported it
            from distributed import get_worker

            try:
                self.log = get_worker().log_event
            except ValueError:
                self.log = None

    def send(self, message: Message) -> None:
        if self.log is None:
            return
        now = time.monotonic()
        # The scheduler forwards plain JSON values only.
        match message:
            case Started(key):
                event: list[Any] = [key]
            case Progressed(key, fraction) if now - self.last > _PROGRESS_INTERVAL_S:
                event = [key, fraction]
            case _:
                return
        self.last = now
        self.log(self.topic, event)


# in the coordinator's process


@dataclass(frozen=True)
class RemoteWorkers:
    """Sends the jobs of one run to other processes.

    Attributes
    ----------
    local
        Does the jobs that this process keeps: stubs, injected faults, and tiles with known items.
    limits
        By tile: the time limit of its jobs, in seconds.
    """

    remote: RemoteExecutor
    setup: WorkerSetup
    local: Workers
    limits: Mapping[str, float]
    _futures: dict[Key, Future[Any]] = field(default_factory=dict, init=False)

    def submit(self, work: Sequence[tuple[Job, Stopped]], put: Put) -> None:
        for job, stopped in work:
            if job.faults or (isinstance(job, TileJob) and (job.stub or job.known_items is not None)):
                self.local.submit([(job, stopped)], put)
            else:
                self._send(job, put)

    def _send(self, job: Job, put: Put) -> None:
        if isinstance(job, TileJob):
            parcel = JobParcel(job.key, pack(job.inputs), tuple(job.sources), self.limits.get(job.key))
        else:
            parcel = JobParcel(job.key, pack([job.item]), (), self.limits.get(job.key[0]))
        future = self._futures[job.key] = self.remote.executor.submit(run_job, self.setup, parcel)
        future.add_done_callback(partial(self._receive_result, job, put))

    def drop(self, key: Key) -> None:
        future = self._futures.get(key)
        if future is None:
            self.local.drop(key)
        else:
            future.cancel()

    def subscribe(self, put: Put) -> AbstractContextManager[None]:
        """Receive the messages that workers send while they work."""

        def receive(event: Any) -> None:
            node, *fraction = event
            key: Key = node if isinstance(node, str) else (node[0], tuple(node[1]))
            put(Progressed(key, fraction[0]) if fraction else Started(key))

        return self.remote.listen(self.setup.run_id, receive)

    def _receive_result(self, job: Job, put: Put, future: Future[Any]) -> None:
        """Report the result of a job. A job whose worker was lost for good has failed."""
        self._futures.pop(job.key, None)
        try:
            for message in future.result():
                put(
                    Worked(message.key, unpack(message.items), message.deviations)
                    if isinstance(message, PackedItems)
                    else message
                )
        except (Exception, CancelledError) as error:
            lost = "it was cancelled" if isinstance(error, CancelledError) else str(error)
            put(Failed(job.key, f"lost its worker: {lost or type(error).__name__}"))
