"""The coordinator: schedules the tiles of a plan in topological order on any kind of workers.

It is the only writer of events. Workers send it messages; it emits events and submits the jobs that have
become ready.
"""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tessera.context import InputMedia
from tessera.errors import QuestionError
from tessera.graph.model import Tile
from tessera.graph.plan import Plan
from tessera.media.algebra.item import Item
from tessera.media.ffmpeg.process import Process
from tessera.record.events import (
    Answered,
    Event,
    ItemMade,
    NodeChanged,
    NodeLog,
    NodeWork,
    OutputFailed,
    OutputMade,
    Progress,
    RunFinished,
    process_ran,
)
from tessera.record.status import FINAL, NodeStatus, run_status
from tessera.runner.answers.fault_injection import InjectedFault, faults_for, unmatched_faults
from tessera.runner.answers.stubs import StubbedTile
from tessera.runner.in_flight import InFlight, InFlightJob, PendingRenders, ResumePoint, node_of
from tessera.runner.ready_queue import ReadyQueue
from tessera.runner.tile_cache import Hit, TileCache
from tessera.runner.workers.worker import Delivered, Job, Key, Message, RenderJob, TileJob, Workers
from tessera.text.wording import replace_lone_surrogates

__all__ = ["Coordinator"]


_COMMIT_INTERVAL_S = 0.05
"""The longest that uncommitted events wait for others, so that one transaction holds them all."""
_RENDER_WAIT_S = 0.25
"""The longest that renders wait for running tiles, whose outputs may share a decoder with them."""
_MESSAGE_BATCH = 1_000
_UNUSABLE = frozenset({NodeStatus.FAILED, NodeStatus.BLOCKED, NodeStatus.CANCELLED})
"""The statuses that block the tiles downstream."""


class Coordinator:
    """Runs one plan from its first tile to its last event.

    Parameters
    ----------
    sources
        The media of each Video Input, by node.
    workers
        The workers that do the jobs.
    emit
        Receives each event, in order.
    commit
        Makes emitted events durable. No job starts on the strength of an uncommitted event.
    now
        Returns the time of an event.
    cancelled
        Polled between steps. Once it returns True, no new job starts.
    stubs
        Stubs by node.
    priorities
        Priority by tile: of several ready tiles, the one with the greatest priority starts first. Without
        any, tiles start in the template's order.
    time_limits
        By tile: the seconds that its own work, and each of its renders, may take.
    known_items
        The items of tiles whose work counts as done.
    resume_point
        The completed work of a resumed run.
    cache
        The cache of tile work. None disables it.
    faults
        The faults to inject into tiles and renders.
    announce
        Receives the items of the next renders, so that some can be rendered together. With it, renders wait
        up to 0.25 s for running tiles; with None no render waits.
    """

    def __init__(
        self,
        plan: Plan,
        sources: Mapping[str, Sequence[InputMedia]],
        workers: Workers,
        emit: Callable[[Event], None],
        *,
        now: Callable[[], str],
        cancelled: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        commit: Callable[[], None] = lambda: None,
        stubs: Mapping[str, StubbedTile] | None = None,
        priorities: Mapping[str, float] | None = None,
        time_limits: Mapping[str, float] | None = None,
        known_items: Mapping[str, tuple[Item, ...]] | None = None,
        resume_point: ResumePoint | None = None,
        cache: TileCache | None = None,
        faults: Sequence[InjectedFault] = (),
        announce: Callable[[Sequence[Item]], None] | None = None,
    ) -> None:
        self.announce = announce
        self.faults = faults
        self.cache = cache
        self.plan, self.sources, self.workers = plan, sources, workers
        self.emit, self.commit, self.now = emit, commit, now
        self.cancelled, self.clock = cancelled, clock
        self.stubs, self.known_items = dict(stubs or {}), dict(known_items or {})
        self.priorities = priorities or {}
        self.status: dict[str, NodeStatus] = dict.fromkeys(plan.order, NodeStatus.NOT_STARTED)
        self.items: dict[str, tuple[Item, ...]] = {}
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.tiles: dict[str, Tile] = dict(plan.graph.nodes(data="node"))
        self.ready_queue = ReadyQueue(plan)
        self.handlers: dict[str, Callable[..., None]] = {
            name.removeprefix("_on_"): getattr(self, name) for name in dir(self) if name.startswith("_on_")
        }
        self.started: dict[Key, float] = {}
        self.queued: dict[Key, float] = {}
        self.renders: dict[str, PendingRenders] = {}
        self.outputs: dict[tuple[str, int], str] = {}
        self.unanswered: list[tuple[str, QuestionError]] = []
        self.output_count = 0
        self.restored_outputs: Counter[str] = Counter()
        self.in_flight = InFlight(time_limits or {}, cancelled, clock)
        self.due: list[InFlightJob] = []
        self.waiting_renders: list[InFlightJob] = []
        self.committed = clock()
        if resume_point is not None:
            self._restore(resume_point)

    def _restore(self, resume_point: ResumePoint) -> None:
        """Mark the tiles and outputs of the resume point as done."""
        self.known_items.update(resume_point.items)
        self.outputs.update(resume_point.outputs)
        self.output_count = len(resume_point.outputs)
        self.restored_outputs.update(resume_point.outputs.values())
        for node in resume_point.done:
            self.status[node] = NodeStatus.COMPLETED
            self.items[node] = resume_point.items.get(node, ())
        self.ready_queue.skip(resume_point.done)

    def run(self) -> None:
        """Run the plan to its end. The last event is `RunFinished`."""
        self._dispatch()
        while self.in_flight:
            self._receive()
            self._stop_overdue()
            self._dispatch()
        if self.ready_queue.remaining:
            self._cancel_rest()
        status = run_status(self.status.values(), self.output_count)
        self.emit(RunFinished(at=self.now(), status=status, message=self._summary()))
        self.commit()

    def _receive(self) -> None:
        """Wait for a message from a worker, then handle all messages that have arrived."""
        try:
            message = self.messages.get(timeout=_COMMIT_INTERVAL_S)
            # The limit keeps a flood of messages from delaying commits and cancellation.
            for _ in range(_MESSAGE_BATCH):
                self._handle(*message)
                message = self.messages.get_nowait()
        except queue.Empty:
            return
        self._handle(*message)

    def _handle(self, kind: str, key: Key, *payload: Any) -> None:
        """Handle one message. Messages about a job that has ended are dropped."""
        if kind == "process":
            self._note_process(key, *payload)
            return
        task = self.in_flight.find(key)
        if task is not None:
            self.handlers[kind](task.job, *payload)

    def _enqueue(self, job: Job) -> None:
        self.queued[job.key] = self.clock()
        self.due.append(self.in_flight.add(job))

    def _stop_overdue(self) -> None:
        """Abandon jobs over their time limit, and jobs that keep running in a cancelled run."""
        for key in self.in_flight.overdue():
            self._abandon(key, ("failed", "output_failed"))
        for key in self.in_flight.stuck():
            self._abandon(key, ("cancelled", "output_cancelled"))

    def _abandon(self, key: Key, kinds: tuple[str, str]) -> None:
        """Abandon a job and record it as failed or cancelled.

        `kinds` are the message kinds to record: the first for a tile's work, the second for a render.
        """
        task = self.in_flight.require(key)
        task.abandoned = True
        self.workers.drop(key)
        kind = kinds[isinstance(task.job, RenderJob)]
        if "failed" in kind:
            limit = self.in_flight.limits[node_of(task.job)]
            self._handle(kind, key, f"took longer than {limit:g} s and was stopped")
        else:
            self._handle(kind, key)

    def _dispatch(self) -> None:
        """Submit the jobs that are due, after the events that they depend on are committed."""
        self._advance()
        if self._can_defer():
            return
        # A committed claim starts a tile or reveals cached work, which can make more tiles ready.
        while True:
            self.commit()
            self.committed = self.clock()
            due = self._jobs_to_submit()
            if self.priorities:
                due.sort(key=lambda task: -task.job.priority)
            self._submit_all(due)
            if self.cache is None or not self._poll_cache(self.cache):
                return
            self._advance()

    def _submit_all(self, tasks: Sequence[InFlightJob]) -> None:
        if tasks:
            self.workers.submit([(task.job, task) for task in tasks], self.messages.put)

    def _jobs_to_submit(self) -> list[InFlightJob]:
        """Return the jobs to submit now, and hold renders back while they may still share a decoder."""
        due, self.due = self.due, []
        if self.announce is None:
            return due
        self.waiting_renders += [task for task in due if isinstance(task.job, RenderJob)]
        due = [task for task in due if isinstance(task.job, TileJob)]
        if self.waiting_renders and not (self.in_flight.tiles and self._is_recent(self.waiting_renders[0])):
            free = [task.job for task in self.waiting_renders if isinstance(task.job, RenderJob)]
            limits = self.in_flight.limits
            # A fault or a time limit concerns one render alone, so such a render never joins a group.
            self.announce([job.item for job in free if not job.faults and node_of(job) not in limits])
            due, self.waiting_renders = [*due, *self.waiting_renders], []
        return due

    def _is_recent(self, task: InFlightJob) -> bool:
        return self.clock() - self.queued[task.job.key] < _RENDER_WAIT_S

    def _can_defer(self) -> bool:
        """Return True if no job depends on the uncommitted events, so that more may join them."""
        if self.due or not self.in_flight or (self.cache is not None and self.cache.is_urgent()):
            return False
        return self.clock() - self.committed < _COMMIT_INTERVAL_S

    def _poll_cache(self, cache: TileCache) -> bool:
        """Start the tiles whose claim is committed and use work that other runs have finished. Return True if
        anything changed.
        """
        claimed = sorted(cache.take_claimed(), key=lambda lookup: -self.priorities.get(lookup.node, 0.0))
        for lookup in claimed:
            self.emit(NodeWork(at=self.now(), node=lookup.node, how="ran", why=lookup.why))
        self._submit_all([self.in_flight.require(lookup.node) for lookup in claimed])
        taken = False
        for lookup, hit in cache.take_arrived():
            self._use_hit(lookup.node, hit)
            taken = True
        for lookup in cache.abandon_waiting() if self.cancelled() else ():
            self._finish(lookup.node, NodeStatus.CANCELLED, "the run was cancelled")
            taken = True
        return taken or cache.is_due()

    def _use_hit(self, node: str, hit: Hit) -> None:
        """Use cached work as the result of a tile."""
        job = self.in_flight.require(node).job
        assert isinstance(job, TileJob)
        # Repeat the events of the original work, so that the record has the same answers and logs.
        self._on_started(job)
        self.emit(NodeWork(at=self.now(), node=node, how="cached", why=f"as in {hit.by}"))
        for question, about in hit.answers:
            self._on_answered(job, question, about, "cached")
        for message in hit.logs:
            self._on_log(job, message)
        self._on_worked(job, hit.items)

    def _summary(self) -> str | None:
        """Return the run's status message: the first failed tile, and the number of others."""
        failed = [node for node in self.plan.order if self.status[node] is NodeStatus.FAILED]
        partial = [node for node in self.plan.order if self.status[node] is NodeStatus.PARTIAL_COMPLETE]
        if not failed and not partial:
            return None
        first = (failed or partial)[0]
        others = len(failed) + len(partial) - 1
        more = f", and {others} more tile{'s' if others > 1 else ''}" if others else ""
        return f"{self.tiles[first].name} {first} failed{more}"

    # tiles

    def _advance(self) -> None:
        """Submit every ready tile. Block tiles that depend on a failed one."""
        while not self.cancelled() and (ready := self.ready_queue.ready()):
            for node in ready:
                self._submit(node)

    def _submit(self, node: str) -> None:
        broken = [
            before for before in self.ready_queue.predecessors[node] if self.status[before] in _UNUSABLE
        ]
        if broken:
            cause = broken[0]
            cancelled = self.status[cause] is NodeStatus.CANCELLED
            status = NodeStatus.CANCELLED if cancelled else NodeStatus.BLOCKED
            verb = "failed" if self.status[cause] is NodeStatus.FAILED else f"is {self.status[cause].value}"
            self._set_status(node, status, f"{status.value}: {self.tiles[cause].name} {cause} {verb}")
            self.ready_queue.done(node)
            return
        inputs = [item for before in self.ready_queue.predecessors[node] for item in self.items[before]]
        self._set_status(node, NodeStatus.QUEUED)
        job = TileJob(
            node,
            self.tiles[node],
            inputs,
            self.sources.get(node, ()),
            self.stubs.get(node),
            self.known_items.get(node),
            self.priorities.get(node, 0.0),
            faults_for(self.faults, node),
        )
        if job.faults and self.cache is not None:
            self.emit(NodeWork(at=self.now(), node=node, how="ran", why=f"by {job.faults[0].cause}"))
        if self.cache is None or job.known_items is not None or job.stub is not None or job.faults:
            self._enqueue(job)
            return
        self.in_flight.add(job)
        hit = self.cache.look_up(node, inputs)
        if hit is not None:
            self._use_hit(node, hit)

    # outputs

    def _outputs_of(self, node: str, items: Sequence[Item], inputs: Sequence[Item]) -> list[Item]:
        """Return the items that a tile delivers: its inputs if it is an output tile, its own items if it is a
        leaf.

        Each item is delivered once, by the first tile that claims it.
        """
        tile = self.tiles[node]
        if tile.type.is_output():
            wanted = inputs
        elif next(self.plan.graph.successors(node), None) is None:
            wanted = items
        else:
            return []
        mine = [item for item in wanted if item.ref not in self.outputs]
        self.outputs.update((item.ref, node) for item in mine)
        return mine

    # messages from workers

    def _on_started(self, job: TileJob) -> None:
        # A remote worker reports the start live and with its result, and a replacement repeats it.
        if job.key in self.started:
            return
        self.started[job.key] = self.clock()
        self.in_flight.start_clock(job)
        self._set_status(job.key, NodeStatus.RUNNING)

    def _on_log(self, job: Job, message: str) -> None:
        node, message = node_of(job), replace_lone_surrogates(message)
        if self.cache is not None:
            self.cache.note_log(node, message)
        self.emit(NodeLog(at=self.now(), node=node, message=message))

    def _on_answered(self, job: TileJob, question: str, about: str, origin: str) -> None:
        if self.cache is not None:
            self.cache.note_answer(job.key, question, about)
        self.emit(Answered(at=self.now(), node=job.key, question=question, about=about, origin=origin))

    def _on_progress(self, job: TileJob, fraction: float) -> None:
        self.emit(Progress(at=self.now(), node=job.key, fraction=fraction))

    def _on_worked(self, job: TileJob, items: tuple[Item, ...]) -> None:
        node = job.key
        self.items[node] = items
        if self.cache is not None:
            self.cache.finish(node, items)
        for item in items:
            self.emit(ItemMade(at=self.now(), node=node, item=item))
        for message in unmatched_faults(self.faults, node, len(items)):
            self.emit(NodeLog(at=self.now(), node=node, message=message))
        outputs = self._outputs_of(node, items, job.inputs)
        if not outputs:
            self._finish(node, NodeStatus.COMPLETED)
            return
        # The tile's own job ends here, but the tile keeps running until its last render ends.
        self.in_flight.remove(node)
        self.ready_queue.release_claims(node)
        self.renders[node] = PendingRenders(outputs, self.restored_outputs[node])
        priority = self.priorities.get(node, 0.0)
        for item in outputs:
            self._enqueue(RenderJob((node, item.ref), item, priority, faults_for(self.faults, *item.ref)))

    def _on_failed(self, job: TileJob, message: str) -> None:
        # A worker can be lost before it reports the start, but a tile may only fail after it has started.
        if job.key not in self.started:
            self._on_started(job)
        message = replace_lone_surrogates(message)
        self._finish(job.key, NodeStatus.FAILED, message, (message,))

    def _on_question(self, job: TileJob, error: QuestionError) -> None:
        self.unanswered.append((job.key, error))
        self._on_failed(job, str(error))

    def _on_cancelled(self, job: TileJob) -> None:
        self._finish(job.key, NodeStatus.CANCELLED, "the run was cancelled")

    def _on_render_started(self, job: RenderJob) -> None:
        self.started[job.key] = self.clock()
        self.in_flight.start_clock(job)

    def _queue_seconds(self, key: Key) -> float:
        """Return the seconds that a job waited in the queue."""
        started_at = self.started.get(key)
        return round(started_at - self.queued[key], 6) if started_at is not None else 0.0

    def _note_process(self, key: Key, ran: Process) -> None:
        """Record the end of an ffmpeg process of a render, even if that render was abandoned."""
        assert isinstance(key, tuple)
        self.emit(process_ran(self.now(), key, ran))

    def _on_output_progress(self, job: RenderJob, fraction: float) -> None:
        node = node_of(job)
        done = self.renders[node].progress(job.key, fraction)
        self.emit(Progress(at=self.now(), node=node, fraction=done))

    def _on_output(self, job: RenderJob, made: Delivered, seconds: float) -> None:
        self.output_count += 1
        waited = self._queue_seconds(job.key)
        self.emit(
            OutputMade(at=self.now(), by=node_of(job), output=made.output, seconds=seconds, waited=waited)
        )
        self._finish_output(job)

    def _on_output_failed(self, job: RenderJob, message: str) -> None:
        node, item, message = node_of(job), job.item, replace_lone_surrogates(message)
        started_at = self.started.get(job.key)
        self.emit(
            OutputFailed(
                at=self.now(),
                by=node,
                node=item.node,
                index=item.index,
                message=message,
                seconds=round(self.clock() - started_at, 6) if started_at is not None else 0.0,
                waited=self._queue_seconds(job.key),
            )
        )
        message = f"output {item.index + 1} of {self.tiles[item.node].name} {item.node}: {message}"
        self.renders[node].failures.append((self.ready_queue.position[item.node], item.index, message))
        self._finish_output(job)

    def _on_output_cancelled(self, job: RenderJob) -> None:
        self._finish_output(job)

    def _finish_output(self, job: RenderJob) -> None:
        """Count one render as ended, and end its tile after the last one."""
        node = node_of(job)
        self.in_flight.remove(job.key)
        renders = self.renders[node]
        renders.remaining -= 1
        if renders.remaining:
            return
        if self.cancelled():
            self._finish(node, NodeStatus.CANCELLED, "the run was cancelled")
        else:
            status, failed = renders.result()
            self._finish(node, status, failed[0] if failed else None, failed)

    # statuses

    def _set_status(
        self,
        node: str,
        status: NodeStatus,
        message: str | None = None,
        errors: tuple[str, ...] = (),
        seconds: float | None = None,
    ) -> None:
        self.emit(
            NodeChanged(
                at=self.now(), node=node, status=status, message=message, errors=errors, seconds=seconds
            )
        )
        self.status[node] = status

    def _finish(
        self, node: str, status: NodeStatus, message: str | None = None, errors: tuple[str, ...] = ()
    ) -> None:
        self.in_flight.remove(node)
        if self.cache is not None:
            self.cache.release(node)
        started_at = self.started.get(node)
        seconds = round(self.clock() - started_at, 3) if started_at is not None else None
        self._set_status(node, status, message, errors, seconds)
        self.ready_queue.done(node)

    def _cancel_rest(self) -> None:
        for node in self.plan.order:
            if self.status[node] not in FINAL:
                self._set_status(node, NodeStatus.CANCELLED, "the run was cancelled")
