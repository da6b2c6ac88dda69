"""Workers that are other processes, of this machine or another: what goes to them, and what comes back.

Only small values cross: keys, expressions, messages. A worker finds all else (the plan, assets, what is kept)
in the workspace, which it reaches by the same path. It tells what came of a job by what it returns; only that
it has begun, and how far it is, it may tell meanwhile. The coordinator alone writes events.
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
from tessera.errors import WorkspaceError
from tessera.media.algebra.item import Item
from tessera.runner.workers.worker import Job, Key, Message, Put, RenderJob, Stopped, TileJob, Worker, Workers
from tessera.store.item_codec import ItemWriter, read_items

__all__ = ["JobParcel", "RemoteExecutor", "RemoteWorkers", "WorkerSetup", "pack", "perform", "unpack"]

_LOOK_S = 0.3
"""How often a worker looks whether its run was asked to end."""

_TELL_S = 0.2
"""How often a worker tells how far it is."""

Packed = tuple[list[str], list[tuple[str, int, str]]]
"""Items written down: the expressions that they share, each once, and the items."""


def pack(items: Sequence[Item]) -> Packed:
    """Write items down; `unpack` reads them."""
    shelf = ItemWriter()
    written: list[str] = []
    rows: list[tuple[str, int, str]] = []
    for item in items:
        new, body = shelf.add(item)
        written += [one for _place, one in new]
        rows.append((item.node, item.index, body))
    return written, rows


def unpack(packed: Packed) -> tuple[Item, ...]:
    """The items that were written down, in their order."""
    written, rows = packed
    found, _shelf = read_items(written, rows)
    items = {item.ref: item for made in found.values() for item in made}
    return tuple(items[node, index] for node, index, _body in rows)


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """Where a run lives, and how its work is done: what every job of it has in common."""

    workspace: str
    run_id: str
    out: str | None
    quality: str
    max_items: int
    render_timeout_s: float | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class JobParcel:
    """A job on its way. `limit_s`: the seconds that it may take."""

    key: Key
    items: Packed
    sources: tuple[InputMedia, ...] = ()
    limit_s: float | None = None


def _no_listening(_topic: str, _hear: Callable[[Any], None]) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class RemoteExecutor:
    """Processes that work for a run.

    Attributes
    ----------
    executor
        Gives them work: `concurrent.futures.ProcessPoolExecutor`, `distributed.Client.get_executor()`.
    listen
        Hears what they tell under a topic while they work, as long as the context lasts.
    """

    executor: Executor
    listen: Callable[[str, Callable[[Any], None]], AbstractContextManager[None]] = _no_listening


# in the worker's process


@dataclass(frozen=True)
class _WorkerState:
    """What a worker's process has of a run."""

    store: Any
    plan: Any
    library: Any
    answers: Any


@lru_cache(maxsize=4)
def _worker_state(place: WorkerSetup) -> _WorkerState:
    from tessera.graph.plan import Plan
    from tessera.inputs.assets.library import Library
    from tessera.runner.answers.tile_context import Answers
    from tessera.store.run_store import RunStore

    home = Path(place.workspace)
    store, library = RunStore(home), Library(home)
    text = store.document(place.run_id, "plan.json")
    if text is None:
        import socket

        where = f"the worker on {socket.gethostname()} does not find run {place.run_id} in {home}"
        raise WorkspaceError(f"{where}: workers must reach the workspace by the same path")
    return _WorkerState(store, Plan.from_dict(text), library, Answers(library, None, lambda: False))


def perform(place: WorkerSetup, parcel: JobParcel) -> list[Message]:
    """Do a job in this process, and give what it told."""
    told: list[Message] = []
    live = _Live(place.run_id)

    def put(message: Message) -> None:
        live.tell(message)
        if message[0] not in ("progress", "output_progress"):
            told.append(message)

    bench = _worker_state(place)
    stopped = _stopping(bench, place.run_id, parcel.limit_s)
    items = unpack(parcel.items)
    if isinstance(parcel.key, str):
        worker = Worker(bench.answers, _deliver_nothing, place.max_items)
        tile = bench.plan.tile(parcel.key)
        worker.do(TileJob(parcel.key, tile, items, parcel.sources), stopped, put)
    else:
        _render(bench, place, RenderJob(parcel.key, items[0]), stopped, put)
    return [(*one[:2], pack(one[2])) if one[0] == "worked" else one for one in told]


def _deliver_nothing(*_args: Any) -> Any:
    raise AssertionError("a tile's own work delivers nothing")


def _render(bench: _WorkerState, place: WorkerSetup, job: RenderJob, stopped: Stopped, put: Put) -> None:
    from tessera.record.events import now
    from tessera.runner.workers.delivery import RunDelivery

    out = Path(place.out) if place.out is not None else None
    delivery = RunDelivery(
        bench.plan,
        bench.library,
        bench.store,
        place.run_id,
        out,
        place.render_timeout_s,
        now,
        place.quality,
        fresh=place.fresh,
    )
    try:
        Worker(bench.answers, delivery.deliver, place.max_items).do(job, stopped, put)
    finally:
        delivery.close()


def _stopping(bench: _WorkerState, run_id: str, limit_s: float | None) -> Stopped:
    """Whether the run was asked to end, or the time of the job is over."""
    begun = looked = time.monotonic()
    asked = False

    def stopped() -> bool:
        nonlocal looked, asked
        now = time.monotonic()
        if now - looked > _LOOK_S:
            looked, asked = now, asked or bench.store.is_asked_to_cancel(run_id)
        return asked or (limit_s is not None and now - begun > limit_s)

    return stopped


class _Live:
    """Tells what is worth telling at once, where there is somebody to tell."""

    def __init__(self, topic: str) -> None:
        self.topic, self.last = topic, 0.0
        self.log: Callable[[str, Any], None] | None = None
        if "distributed" in sys.modules:  # else this is no worker of a cluster
            from distributed import get_worker

            try:
                self.log = get_worker().log_event
            except ValueError:
                self.log = None

    def tell(self, message: Message) -> None:
        if self.log is None:
            return
        now = time.monotonic()
        begun = message[0] in ("started", "render_started")
        if begun or (message[0] in ("progress", "output_progress") and now - self.last > _TELL_S):
            self.last = now
            self.log(self.topic, [message[0], message[1], *message[2:]])


# in the coordinator's process


@dataclass(frozen=True)
class RemoteWorkers:
    """Sends the jobs of one run to other processes.

    Attributes
    ----------
    local
        Does what is nothing to send: what a stub does, or what was made before.
    limits
        By tile: the seconds that its jobs may take.
    """

    remote: RemoteExecutor
    place: WorkerSetup
    local: Workers
    limits: Mapping[str, float]
    _futures: dict[Key, Future[Any]] = field(default_factory=dict, init=False)

    def submit(self, work: Sequence[tuple[Job, Stopped]], put: Put) -> None:
        for job, stopped in work:
            if isinstance(job, TileJob) and (job.stub is not None or job.given is not None):
                self.local.submit([(job, stopped)], put)
            else:
                self._send(job, put)

    def _send(self, job: Job, put: Put) -> None:
        if isinstance(job, TileJob):
            parcel = JobParcel(job.key, pack(job.inputs), tuple(job.sources), self.limits.get(job.key))
        else:
            parcel = JobParcel(job.key, pack([job.item]), (), self.limits.get(job.key[0]))
        future = self._futures[job.key] = self.remote.executor.submit(perform, self.place, parcel)
        future.add_done_callback(partial(self._arrived, job, put))

    def drop(self, key: Key) -> None:
        future = self._futures.get(key)
        if future is None:
            self.local.drop(key)
        else:
            future.cancel()

    def hear(self, put: Put) -> AbstractContextManager[None]:
        """Take in what workers tell while they work."""

        def heard(message: Any) -> None:
            what, key, *told = message
            put((what, key if isinstance(key, str) else (key[0], tuple(key[1])), *told))

        return self.remote.listen(self.place.run_id, heard)

    def _arrived(self, job: Job, put: Put, future: Future[Any]) -> None:
        """What a worker came to; one that was lost for good has failed."""
        self._futures.pop(job.key, None)
        try:
            for message in future.result():
                put((*message[:2], unpack(message[2])) if message[0] == "worked" else message)
        except (Exception, CancelledError) as error:
            lost = "it was cancelled" if isinstance(error, CancelledError) else str(error)
            what = "failed" if isinstance(job, TileJob) else "output_failed"
            put((what, job.key, f"its worker was lost: {lost or type(error).__name__}"))
