"""One run: a plan with its inputs, executed by workers and saved."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tessera.files import sweep
from tessera.forecast.priorities import priorities
from tessera.graph.plan import Plan
from tessera.inputs.assets.library import Library
from tessera.inputs.resolve import Resolved
from tessera.media.ffmpeg.encode_settings import encode_settings_for
from tessera.notice import Notice
from tessera.record.events import now
from tessera.record.facts_export import facts_of
from tessera.record.record import RunRecord
from tessera.record.sink import EventSink
from tessera.runner.answers.tile_context import Answers
from tessera.runner.cache.tile_cache import TileCache
from tessera.runner.config import ResumeConfig
from tessera.runner.output_folder import OutputFolder, remove_unfinished
from tessera.runner.scheduling.coordinator import Coordinator
from tessera.runner.scheduling.run_spec import Closing, RunSpec
from tessera.runner.workers.delivery import RenderOptions, RunDelivery
from tessera.runner.workers.messages import Put
from tessera.runner.workers.thread_pool import shared_pool
from tessera.runner.workers.thread_workers import ThreadWorkers
from tessera.runner.workers.worker import ExecutorWorkers, Worker, Workers
from tessera.store.run_store import RunStore

if TYPE_CHECKING:
    from tessera.runner.workers.remote_workers import RemoteExecutor

__all__ = ["Execution"]

Subscribe = Callable[[Put], AbstractContextManager[None]]
"""Subscribes a message receiver to remote workers for as long as the context lasts."""
_CANCEL_POLL_S = 0.3
"""Seconds between checks whether another process has cancelled the run."""
_PATIENCE_S = 2.0
"""Seconds that a finished or aborted run waits for its workers to stop."""


class _StopCheck:
    """Decides whether a run must stop: its caller or another process cancels it, or another process takes it
    over.

    Parameters
    ----------
    tell_others
        True if workers of other processes do the work: they poll the store, not this process.
    """

    def __init__(
        self, store: RunStore, run_id: str, cancelled: Callable[[], bool], *, tell_others: bool
    ) -> None:
        self._store, self._run_id, self._cancelled, self._tell_others = store, run_id, cancelled, tell_others
        self._is_stopping = False
        self._last_poll = 0.0

    def stop(self) -> None:
        """Stop the workers that are left, however the run ended."""
        self._is_stopping = True

    def stopped(self) -> bool:
        """Return True once the run must stop."""
        if self._is_stopping:
            return True
        if self._cancelled():
            self._is_stopping = True
            if self._tell_others:
                self._store.ask_to_cancel(self._run_id)
        elif time.monotonic() - self._last_poll > _CANCEL_POLL_S:
            self._last_poll = time.monotonic()
            asked = self._store.is_asked_to_cancel(self._run_id)
            self._is_stopping = asked or not self._store.renew_lock(self._run_id)
        return self._is_stopping


@dataclass(frozen=True)
class Execution:
    """The workspace, the media and the options of a run.

    Attributes
    ----------
    resolved
        The media of the inputs.
    max_items
        The greatest number of items that may reach one tile.
    render
        How outputs are rendered. `fresh` applies to tile work too.
    config
        The options about cancellation, workers and time limits.
    notices
        Warnings of a resumed run, which its first event does not hold.
    """

    library: Library
    store: RunStore
    resolved: Resolved
    max_items: int
    render: RenderOptions
    config: ResumeConfig
    notices: tuple[Notice, ...] = ()

    def run(self, spec: RunSpec, sink: EventSink) -> RunRecord:
        """Run a plan whose `RunStarted` is recorded to its end. Save its record and the facts it learned."""
        run_id, plan = sink.record.run_id, spec.plan
        self.library.sweep()
        out = self.render.out if self.render.out is not None else self.store.folder(run_id) / "outputs"
        sweep([out])
        remote = self._remote()
        stop = _StopCheck(self.store, run_id, self.config.cancelled, tell_others=remote is not None)
        answers = Answers(self.library, None, stop.stopped)
        delivery = RunDelivery(plan, self.library, self.store, run_id, self.render, now)
        before = OutputFolder.seen(out, delivery.prefixes)
        worker = Worker(answers, delivery.deliver, self.max_items)
        cache = TileCache(
            self.store,
            run_id,
            plan,
            spec.sources,
            fresh=self.render.fresh,
            analysed_by=self.library.analysis_name,
        )
        sink.add_to_commit(cache.is_due, cache.write)
        lane = shared_pool().lane()
        spec = replace(spec, priorities=priorities(plan, spec.sources), time_limits=self._time_limits(plan))
        local = ThreadWorkers(lane, worker, encode_settings_for(self.render.quality), delivery.groups)
        workers, subscribe = self._make_workers(spec, run_id, local, remote)
        try:
            coordinator = Coordinator(
                spec,
                workers,
                sink,
                cancelled=stop.stopped,
                cache=cache,
                announce=delivery.groups.announce if workers is local else None,
                closing=lambda: self._closing(before, sink.record),
            )
            with subscribe(coordinator.messages.put):
                coordinator.run()
        finally:
            # After an exception, this ends the jobs that are left.
            stop.stop()
            if not lane.drain(_PATIENCE_S):
                remove_unfinished(out)
            delivery.close()
            cache.close()
        answers.learn_from_record(sink.record)
        self.store.save(sink.record)
        learned = json.dumps(facts_of(self.resolved, answers), indent=1) + "\n"
        self.store.save_document(run_id, "facts.json", learned)
        return sink.record

    def _closing(self, before: OutputFolder, record: RunRecord) -> Closing:
        """Return what the last event says of the output folder."""
        closing = before.closing(record)
        known = {json.dumps(warning, sort_keys=True) for warning in record.warnings}
        added = [one for one in self.notices if json.dumps(one.to_dict(), sort_keys=True) not in known]
        return replace(closing, notices=(*added, *closing.notices))

    def _remote(self) -> RemoteExecutor | None:
        """Return the executor of the options if its workers are other processes."""
        if self.config.executor is None:
            return None
        from tessera.runner.workers.remote_workers import RemoteExecutor

        return self.config.executor if isinstance(self.config.executor, RemoteExecutor) else None

    def _make_workers(
        self, spec: RunSpec, run_id: str, local: ThreadWorkers, remote: RemoteExecutor | None
    ) -> tuple[Workers, Subscribe]:
        """Return the workers, and the subscription to messages of remote ones."""
        if remote is not None:
            from tessera.runner.workers.remote_workers import RemoteWorkers, WorkerSetup

            self._share_assets(spec.plan)
            # Workers may have another current folder.
            out = self.render.out.absolute() if self.render.out is not None else None
            workspace = str(self.store.workspace.absolute())
            setup = WorkerSetup(workspace, run_id, self.max_items, replace(self.render, out=out))
            others = RemoteWorkers(remote, setup, local, spec.time_limits)
            return others, others.subscribe
        executor = self.config.executor
        workers = ExecutorWorkers(executor, local.worker) if isinstance(executor, Executor) else local
        return workers, lambda _put: nullcontext()

    def _share_assets(self, plan: Plan) -> None:
        """Copy the inputs and named assets of a plan to where workers on other machines find them."""
        from tessera.bundle.recording import named_ids

        values = (value for node in plan.order for value in plan.tile(node).values().values())
        named = [self.library.intact(asset) for asset in sorted(set(named_ids(values)))]
        for asset in (*(media.asset for media in self.resolved.inputs), *named):
            if asset is not None:
                self.library.share(asset)

    def _time_limits(self, plan: Plan) -> Mapping[str, float]:
        """Return the time limit of each tile: `tile_timeout_s`, or the one that its type declares."""
        limits = {node: self.config.tile_timeout_s or plan.tile(node).type.timeout_s for node in plan.order}
        return {node: limit for node, limit in limits.items() if limit is not None}
