"""A run under way: a plan with its inputs, taken to its end on threads, and kept."""

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
from tessera.runner.cache.tile_cache import TileCache
from tessera.runner.coordinator import Coordinator
from tessera.runner.in_flight import ResumePoint
from tessera.runner.workers.delivery import RunDelivery
from tessera.runner.workers.thread_pool import shared_pool
from tessera.runner.workers.thread_workers import ThreadWorkers
from tessera.runner.workers.worker import ExecutorWorkers, Put, Worker, Workers
from tessera.store.run_store import RunStore

if TYPE_CHECKING:
    from tessera.runner.workers.remote_workers import RemoteExecutor, WorkerSetup

__all__ = ["Execution", "check_ffmpeg"]

Hearing = Callable[[Put], AbstractContextManager[None]]
"""How what workers tell is taken in, as long as it is entered."""
_LOOK_S = 0.3
"""How often a run looks whether another process has asked it to end."""
_PATIENCE_S = 2.0
"""How long a run that has ended, or broken off, waits for its workers to stop."""


def check_ffmpeg() -> None:
    """Refuse to begin where there is no ffmpeg to be run.

    Raises
    ------
    RequestError
        `TESSERA_FFMPEG` names none, or none is installed.
    """
    try:
        ffmpeg_path()
    except RenderError as error:
        raise RequestError([Fault("", "request", str(error))]) from None


@dataclass
class Execution:
    """What a run needs besides its plan.

    Attributes
    ----------
    cancelled
        Asked some times a second; once it is true, running ffmpeg processes are killed and the run ends.
    executor
        Where tiles and renders run; by default the threads that all runs of this process share.
    render_timeout_s
        The longest that one ffmpeg process may take.
    quality
        How outputs are encoded.
    tile_timeout_s
        The longest that any tile's own work, and any render, may take, in place of what tiles declare.
    fresh
        Whether tiles are to work, and outputs to be rendered, although both are kept.
    given
        The items of tiles whose work is taken as done.
    drills
        What tiles and renders are made to suffer.
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
    given: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)
    drills: Sequence[InjectedFault] = ()
    asked: bool = field(default=False, init=False)
    _looked: float = field(default=0.0, init=False)
    _is_remote: bool = field(default=False, init=False)

    def run(self, plan: Plan, recorder: EventSink, earlier: ResumePoint | None = None) -> RunRecord:
        """Take a run whose beginning is recorded to its end, and keep its record and what it learned.

        Parameters
        ----------
        earlier
            Of a run that goes on: what is done.
        """
        run_id = recorder.record.run_id
        self.library.sweep()
        sweep([self.out if self.out is not None else self.store.folder(run_id) / "outputs"])
        stop = self._stop(run_id)
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
        cache = TileCache(self.store, run_id, plan, sources, fresh=self.fresh, heard_by=self.library.heard_by)
        recorder.add_to_commit(cache.is_due, cache.write)
        lane = shared_pool().lane()
        limits = self._time_limits(plan)
        pooled = ThreadWorkers(lane, worker, encode_settings_for(self.quality), delivery.together)
        crew, heard = self._crew(plan, run_id, pooled, limits)
        try:
            coordinator = Coordinator(
                plan,
                sources,
                crew,
                recorder.emit,
                commit=recorder.commit,
                now=now,
                cancelled=stop,
                stubs=self.stubs,
                ranks=priorities(plan, sources),
                time_limits=limits,
                given=self.given,
                earlier=earlier,
                cache=cache,
                drills=self.drills,
                announce=delivery.together.announce if crew is pooled else None,
            )
            with heard(coordinator.messages.put):
                coordinator.run()
        finally:
            self.asked = True
            lane.drain(_PATIENCE_S)
            delivery.close()
            cache.close()
        answers.ask_again(recorder.record)
        self.store.save(recorder.record)
        learned = json.dumps(facts_of(self.resolved, answers), indent=1) + "\n"
        self.store.save_document(run_id, "facts.json", learned)
        return recorder.record

    def _crew(
        self, plan: Plan, run_id: str, pooled: ThreadWorkers, limits: Mapping[str, float]
    ) -> tuple[Workers, Hearing]:
        """Who does the work, and how those are heard who are elsewhere."""
        if self.executor is None:
            return pooled, lambda _put: nullcontext()
        from tessera.runner.workers.remote_workers import RemoteExecutor, RemoteWorkers

        if isinstance(self.executor, RemoteExecutor):
            self._is_remote = True
            self._share(plan)
            remote = RemoteWorkers(self.executor, self._place(run_id), pooled, limits)
            return remote, remote.hear
        return ExecutorWorkers(self.executor, pooled.worker), lambda _put: nullcontext()

    def _share(self, plan: Plan) -> None:
        """Have what workers of other machines need where they find it, whenever it was stored."""
        from tessera.bundle.recording import named_ids

        values = (value for node in plan.order for value in plan.tile(node).values().values())
        named = [self.library.intact(one) for one in sorted(set(named_ids(values)))]
        for asset in (*(one.asset for one in self.resolved.inputs), *named):
            if asset is not None:
                self.library.share(asset)

    def _place(self, run_id: str) -> WorkerSetup:
        """What workers elsewhere are told of this run."""
        from tessera.runner.workers.remote_workers import WorkerSetup

        out = str(self.out.absolute()) if self.out is not None else None
        workspace = str(self.store.workspace.absolute())
        limit = self.render_timeout_s
        return WorkerSetup(workspace, run_id, out, self.quality, self.max_items, limit, self.fresh)

    def _time_limits(self, plan: Plan) -> dict[str, float]:
        """By tile: what was asked for, else what its type declares."""
        limits = {node: self.tile_timeout_s or plan.tile(node).type.timeout_s for node in plan.order}
        return {node: limit for node, limit in limits.items() if limit is not None}

    def _stop(self, run_id: str) -> Callable[[], bool]:
        """Whether the caller, or somebody elsewhere, has asked the run to end, or has taken it over."""

        def stop() -> bool:
            if self.asked:
                return True
            if self.cancelled():
                self.asked = True
                if self._is_remote:  # whose workers look there
                    self.store.ask_to_cancel(run_id)
                return True
            if time.monotonic() - self._looked > _LOOK_S:
                self._looked = time.monotonic()
                self.asked = self.store.is_asked_to_cancel(run_id) or not self.store.renew_lock(run_id)
            return self.asked

        return stop
