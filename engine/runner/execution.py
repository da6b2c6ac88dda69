"""One run: a plan with its inputs, executed by workers and saved."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.errors import Fault, RenderError, RequestError
from tessera.files import sweep
from tessera.forecast.priorities import priorities
from tessera.graph.plan import Plan
from tessera.inputs.assets.library import Library
from tessera.inputs.resolve import Resolved, by_node
from tessera.media.algebra.item import Item
from tessera.media.ffmpeg.encode_settings import encode_settings_for
from tessera.media.ffmpeg.process import ffmpeg_path
from tessera.record.events import now
from tessera.record.facts_export import facts_of
from tessera.record.record import RunRecord
from tessera.record.sink import EventSink
from tessera.runner.answers.fault_injection import InjectedFault
from tessera.runner.answers.stubs import StubbedTile
from tessera.runner.answers.tile_context import Answers
from tessera.runner.coordinator import Coordinator
from tessera.runner.in_flight import ResumePoint
from tessera.runner.tile_cache import TileCache
from tessera.runner.workers.delivery import RunDelivery
from tessera.runner.workers.thread_pool import shared_pool
from tessera.runner.workers.thread_workers import ThreadWorkers
from tessera.runner.workers.worker import ExecutorWorkers, Put, Worker, Workers
from tessera.store.run_store import RunStore

if TYPE_CHECKING:
    from tessera.runner.workers.remote_workers import RemoteExecutor, WorkerSetup

__all__ = ["Execution", "check_ffmpeg"]

Subscribe = Callable[[Put], AbstractContextManager[None]]
"""Subscribes a message receiver to remote workers for as long as the context lasts."""
_CANCEL_POLL_S = 0.3
"""Seconds between checks whether another process has cancelled the run."""
_PATIENCE_S = 2.0
"""Seconds that a finished or aborted run waits for its workers to stop."""


def check_ffmpeg() -> None:
    """Check that ffmpeg is available.

    Raises
    ------
    RequestError
        If `TESSERA_FFMPEG` names no executable, or ffmpeg is not installed.
    """
    try:
        ffmpeg_path()
    except RenderError as error:
        raise RequestError([Fault("", "request", str(error))]) from None


@dataclass
class Execution:
    """The settings and state of a run besides its plan.

    Attributes
    ----------
    cancelled
        Polled a few times a second. Once it returns True, running ffmpeg processes are killed and the run
        ends.
    executor
        Runs tiles and renders; by default the threads that all runs of this process share.
    render_timeout_s
        The time limit of one ffmpeg process, in seconds.
    quality
        The name of the encode quality.
    tile_timeout_s
        The time limit of each tile's own work and of each render, in seconds, in place of the one that the
        tile type declares.
    fresh
        Run tiles and render outputs even if the cache holds them.
    known_items
        The items of tiles whose work counts as done.
    faults
        The faults to inject into tiles and renders.
    """

    library: Library
    store: RunStore
    resolved: Resolved
    stubs: Mapping[str, StubbedTile]
    max_items: int
    out: Path | None = None
    cancelled: Callable[[], bool] = lambda: False
    executor: Executor | RemoteExecutor | None = None
    render_timeout_s: float | None = None
    quality: str = "standard"
    fresh: bool = False
    tile_timeout_s: float | None = None
    known_items: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)
    faults: Sequence[InjectedFault] = ()
    stopping: bool = field(default=False, init=False)
    _last_poll: float = field(default=0.0, init=False)
    _is_remote: bool = field(default=False, init=False)

    def run(self, plan: Plan, recorder: EventSink, resume_point: ResumePoint | None = None) -> RunRecord:
        """Run a plan whose `RunStarted` is recorded to its end. Save its record and the facts it learned.

        Parameters
        ----------
        resume_point
            The completed work of a resumed run.
        """
        run_id = recorder.record.run_id
        self.library.sweep()
        sweep([self.out if self.out is not None else self.store.folder(run_id) / "outputs"])
        stop = self._stop_check(run_id)
        answers = Answers(self.library, None, stop)
        delivery = RunDelivery(
            plan,
            self.library,
            self.store,
            run_id,
            self.out,
            self.render_timeout_s,
            now,
            self.quality,
            fresh=self.fresh,
        )
        worker = Worker(answers, delivery.deliver, self.max_items)
        sources = by_node(self.resolved.inputs)
        cache = TileCache(
            self.store, run_id, plan, sources, fresh=self.fresh, analysed_by=self.library.analysis_name
        )
        recorder.add_to_commit(cache.is_due, cache.write)
        lane = shared_pool().lane()
        limits = self._time_limits(plan)
        local = ThreadWorkers(lane, worker, encode_settings_for(self.quality), delivery.groups)
        workers, subscribe = self._make_workers(plan, run_id, local, limits)
        try:
            coordinator = Coordinator(
                plan,
                sources,
                workers,
                recorder.emit,
                commit=recorder.commit,
                now=now,
                cancelled=stop,
                stubs=self.stubs,
                priorities=priorities(plan, sources),
                time_limits=limits,
                known_items=self.known_items,
                resume_point=resume_point,
                cache=cache,
                faults=self.faults,
                announce=delivery.groups.announce if workers is local else None,
            )
            with subscribe(coordinator.messages.put):
                coordinator.run()
        finally:
            # Workers poll this flag; after an exception it ends the jobs that are left.
            self.stopping = True
            lane.drain(_PATIENCE_S)
            delivery.close()
            cache.close()
        answers.learn_from_record(recorder.record)
        self.store.save(recorder.record)
        learned = json.dumps(facts_of(self.resolved, answers), indent=1) + "\n"
        self.store.save_document(run_id, "facts.json", learned)
        return recorder.record

    def _make_workers(
        self, plan: Plan, run_id: str, local: ThreadWorkers, limits: Mapping[str, float]
    ) -> tuple[Workers, Subscribe]:
        """Return the workers, and the subscription to messages of remote ones."""
        if self.executor is None:
            return local, lambda _put: nullcontext()
        from tessera.runner.workers.remote_workers import RemoteExecutor, RemoteWorkers

        if isinstance(self.executor, RemoteExecutor):
            self._is_remote = True
            self._share_assets(plan)
            remote = RemoteWorkers(self.executor, self._worker_setup(run_id), local, limits)
            return remote, remote.subscribe
        return ExecutorWorkers(self.executor, local.worker), lambda _put: nullcontext()

    def _share_assets(self, plan: Plan) -> None:
        """Copy the inputs and named assets of a plan to where workers on other machines find them."""
        from tessera.bundle.recording import named_ids

        values = (value for node in plan.order for value in plan.tile(node).values().values())
        named = [self.library.intact(asset) for asset in sorted(set(named_ids(values)))]
        for asset in (*(media.asset for media in self.resolved.inputs), *named):
            if asset is not None:
                self.library.share(asset)

    def _worker_setup(self, run_id: str) -> WorkerSetup:
        """Return the setup that remote workers need for this run."""
        from tessera.runner.workers.remote_workers import WorkerSetup

        out = str(self.out.absolute()) if self.out is not None else None
        workspace = str(self.store.workspace.absolute())
        limit = self.render_timeout_s
        return WorkerSetup(workspace, run_id, out, self.quality, self.max_items, limit, self.fresh)

    def _time_limits(self, plan: Plan) -> dict[str, float]:
        """Return the time limit of each tile: `tile_timeout_s`, or the one that its type declares."""
        limits = {node: self.tile_timeout_s or plan.tile(node).type.timeout_s for node in plan.order}
        return {node: limit for node, limit in limits.items() if limit is not None}

    def _stop_check(self, run_id: str) -> Callable[[], bool]:
        """Return a function that is True once the caller or another process cancels the run or takes it
        over.
        """

        def stop() -> bool:
            if self.stopping:
                return True
            if self.cancelled():
                self.stopping = True
                # Remote workers poll the store, not this process.
                if self._is_remote:
                    self.store.ask_to_cancel(run_id)
                return True
            if time.monotonic() - self._last_poll > _CANCEL_POLL_S:
                self._last_poll = time.monotonic()
                self.stopping = self.store.is_asked_to_cancel(run_id) or not self.store.renew_lock(run_id)
            return self.stopping

        return stop
