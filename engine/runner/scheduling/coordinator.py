"""The coordinator: schedules the tiles of a plan in topological order on any kind of workers.

It is the only writer of events. Workers send it messages; it emits events and submits the jobs that have
become ready.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tessera.errors import QuestionError
from tessera.media.algebra.item import Item
from tessera.record.deviation_record import deviation_record
from tessera.record.events import Answered, NodeDeviated, NodeLog, Progress, RunFinished
from tessera.record.status import FINAL, NodeStatus, run_status
from tessera.runner.answers.fault_injection import faults_for, unmatched_faults
from tessera.runner.cache.cached_work import Hit
from tessera.runner.cache.tile_cache import TileCache
from tessera.runner.scheduling.cached_tiles import CachedTiles, messages_of
from tessera.runner.scheduling.in_flight import InFlight, InFlightJob
from tessera.runner.scheduling.outputs import Announce, Outputs
from tessera.runner.scheduling.ready_queue import ReadyQueue
from tessera.runner.scheduling.run_spec import Closing, RunSpec
from tessera.runner.scheduling.run_state import LIVE_CLOCK, Clock, RunState
from tessera.runner.workers.messages import (
    Failed,
    Job,
    JobCancelled,
    Key,
    Logged,
    Message,
    ProcessEnded,
    Progressed,
    QuestionAnswered,
    Started,
    TileJob,
    Unanswered,
    Worked,
    node_of,
)
from tessera.text.wording import replace_lone_surrogates

if TYPE_CHECKING:
    from tessera.record.sink import EventSink
    from tessera.runner.workers.worker import Workers

__all__ = ["Coordinator"]


_COMMIT_INTERVAL_S = 0.05
"""The longest that uncommitted events wait for others, so that one transaction holds them all."""
_MESSAGE_BATCH = 1_000
_UNUSABLE = frozenset({NodeStatus.FAILED, NodeStatus.BLOCKED, NodeStatus.CANCELLED})
"""The statuses that block the tiles downstream."""
_CANCELLED = "the run was cancelled"


class Coordinator:
    """Runs one plan from its first tile to its last event.

    Parameters
    ----------
    workers
        The workers that do the jobs.
    sink
        Receives each event, in order, and makes them durable. No job starts on the strength of an uncommitted
        event.
    cancelled
        Polled between steps. Once it returns True, no new job starts.
    cache
        The cache of tile work. None disables it.
    announce
        Receives the items of the next renders, so that some can be rendered together; see `Outputs`.
    closing
        Called before the last event.

    Attributes
    ----------
    messages
        The queue into which workers put their messages.
    unanswered
        The questions that nothing could answer, each with its tile.
    """

    def __init__(
        self,
        spec: RunSpec,
        workers: Workers,
        sink: EventSink,
        *,
        cancelled: Callable[[], bool],
        clock: Clock = LIVE_CLOCK,
        cache: TileCache | None = None,
        announce: Announce | None = None,
        closing: Callable[[], Closing] = Closing,
    ) -> None:
        self.closing = closing
        self.spec, self.workers, self.cancelled = spec, workers, cancelled
        self.state = RunState(spec, sink, clock)
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.unanswered: list[tuple[str, QuestionError]] = []
        self.ready_queue = ReadyQueue(spec.plan)
        self.ready_queue.skip(spec.resume_point.done)
        self.known_items = {**spec.known_items, **spec.resume_point.items}
        self.in_flight = InFlight(spec.time_limits, cancelled, clock.seconds)
        self.outputs = Outputs(self.state, self.in_flight, self.ready_queue.position, announce)
        self.cached_tiles = CachedTiles(self.state, cache)
        self.due: list[InFlightJob] = []
        self.committed = clock.seconds()

    def run(self) -> None:
        """Run the plan to its end. The last event is `RunFinished`."""
        self._dispatch()
        while self.in_flight:
            self._receive()
            self._stop_overdue()
            self._dispatch()
        if self.ready_queue.remaining:
            self._cancel_rest()
        status = run_status(self.state.status.values(), self.outputs.count)
        closing = self.closing()
        self.state.emit(
            RunFinished(
                at=self.state.now(),
                status=status,
                message=self._summary(),
                warnings=tuple(notice.to_dict() for notice in closing.notices),
                lost=closing.lost,
                lost_thumbnails=closing.lost_thumbnails,
            )
        )
        self.state.commit()

    def _summary(self) -> str | None:
        """Return the run's status message: the first failed tile, and the number of others."""
        statuses = self.state.status
        failed = [node for node, status in statuses.items() if status is NodeStatus.FAILED]
        partial = [node for node, status in statuses.items() if status is NodeStatus.PARTIAL_COMPLETE]
        if not failed and not partial:
            return None
        first = (failed or partial)[0]
        others = len(failed) + len(partial) - 1
        more = f", and {others} more tile{'s' if others > 1 else ''}" if others else ""
        return f"{self.state.tiles[first].name} {first} failed{more}"

    def _cancel_rest(self) -> None:
        for node, status in self.state.status.items():
            if status not in FINAL:
                self.state.set_status(node, NodeStatus.CANCELLED, _CANCELLED)

    # jobs

    def _dispatch(self) -> None:
        """Submit the jobs that are due, after the events that they depend on are committed."""
        self._advance()
        if self._can_defer():
            return
        # A committed claim starts a tile or reveals cached work, which can make more tiles ready.
        while True:
            self.state.commit()
            self.committed = self.state.seconds()
            due, self.due = self.outputs.ready_jobs(self.due), []
            if self.spec.priorities:
                due.sort(key=lambda task: -task.job.priority)
            self._submit(due)
            if not self._use_cache():
                return
            self._advance()

    def _can_defer(self) -> bool:
        """Return True if no job depends on the uncommitted events, so that more may join them."""
        if self.due or not self.in_flight or self.cached_tiles.is_urgent():
            return False
        return self.state.seconds() - self.committed < _COMMIT_INTERVAL_S

    def _submit(self, tasks: Sequence[InFlightJob]) -> None:
        if tasks:
            self.workers.submit([(task.job, task.stopped) for task in tasks], self.messages.put)

    def _enqueue(self, job: Job) -> None:
        self.state.queued[job.key] = self.state.seconds()
        self.due.append(self.in_flight.add(job))

    def _advance(self) -> None:
        """Queue every ready tile. Block tiles that depend on a failed one."""
        while not self.cancelled() and (ready := self.ready_queue.ready()):
            for node in ready:
                self._queue_tile(node)

    def _queue_tile(self, node: str) -> None:
        status = self.state.status
        before = self.ready_queue.predecessors[node]
        broken = next((source for source in before if status[source] in _UNUSABLE), None)
        if broken is not None:
            self._block(node, broken)
            return
        self.state.set_status(node, NodeStatus.QUEUED)
        job = TileJob(
            node,
            self.state.tiles[node],
            [item for source in before for item in self.state.items[source]],
            self.spec.sources.get(node, ()),
            self.spec.stubs.get(node),
            self.known_items.get(node),
            self.spec.priorities.get(node, 0.0),
            faults_for(self.spec.faults, node),
        )
        if self.cached_tiles.skips(job):
            self._enqueue(job)
            return
        self.in_flight.add(job)
        hit = self.cached_tiles.look_up(job)
        if hit is not None:
            self._use_hit(node, hit)

    def _block(self, node: str, cause: str) -> None:
        """End a tile that gets no items, since the tile `cause` before it has none."""
        status = self.state.status[cause]
        own = NodeStatus.CANCELLED if status is NodeStatus.CANCELLED else NodeStatus.BLOCKED
        verb = "failed" if status is NodeStatus.FAILED else f"is {status.value}"
        self.state.set_status(node, own, f"{own.value}: {self.state.tiles[cause].name} {cause} {verb}")
        self.ready_queue.done(node)

    def _stop_overdue(self) -> None:
        """Abandon jobs over their time limit, and jobs that keep running in a cancelled run."""
        for key in self.in_flight.overdue():
            job = self._abandon(key)
            limit = self.in_flight.limits[node_of(job)]
            self._handle(Failed(key, f"took longer than {limit:g} s and was stopped"))
        for key in self.in_flight.stuck():
            self._abandon(key)
            self._handle(JobCancelled(key))

    def _abandon(self, key: Key) -> Job:
        """Stop a job, and let another one take its place whether it stops or not."""
        task = self.in_flight.require(key)
        task.abandoned = True
        self.workers.drop(key)
        return task.job

    # cached work

    def _use_cache(self) -> bool:
        """Start the tiles whose claim is committed and use work that other runs have finished. Return True if
        anything changed.
        """
        self._submit([self.in_flight.require(node) for node in self.cached_tiles.start_claimed()])
        arrived = self.cached_tiles.take_arrived()
        for node, hit in arrived:
            self._use_hit(node, hit)
        waiting = self.cached_tiles.cancel_waiting() if self.cancelled() else []
        for node in waiting:
            self._finish(node, NodeStatus.CANCELLED, (_CANCELLED,))
        return bool(arrived or waiting) or self.cached_tiles.is_due()

    def _use_hit(self, node: str, hit: Hit) -> None:
        """Use cached work as the result of a tile."""
        self._handle(Started(node))
        self.cached_tiles.emit_cached(node, hit)
        for message in messages_of(node, hit):
            self._handle(message)

    # messages from workers

    def _receive(self) -> None:
        """Wait for a message from a worker, then handle all messages that have arrived."""
        try:
            message = self.messages.get(timeout=_COMMIT_INTERVAL_S)
            # The limit keeps a flood of messages from delaying commits and cancellation.
            for _ in range(_MESSAGE_BATCH):
                self._handle(message)
                message = self.messages.get_nowait()
        except queue.Empty:
            return
        self._handle(message)

    def _handle(self, message: Message) -> None:
        """Handle one message. Those about a job that has ended are dropped, except the end of a process."""
        if isinstance(message, ProcessEnded):
            self.outputs.note_process(message)
            return
        task = self.in_flight.find(message.key)
        if task is None:
            return
        job = task.job
        if isinstance(job, TileJob):
            self._handle_tile(job, message)
        elif self.outputs.handle(job, message):
            self._finish_outputs(node_of(job))

    def _handle_tile(self, job: TileJob, message: Message) -> None:
        """Handle a message about a tile's own work."""
        state, node = self.state, job.key
        match message:
            case Started():
                # A remote worker reports the start live and with its result, and a replacement repeats it.
                if node not in state.started:
                    self._start(job)
            case Worked():
                self._take_items(job, message)
            case Logged(_, text):
                line = Logged(node, replace_lone_surrogates(text))
                self.cached_tiles.note(line)
                state.emit(NodeLog(at=self.state.now(), node=node, message=line.text))
            case QuestionAnswered(_, question, about, origin):
                self.cached_tiles.note(message)
                state.emit(
                    Answered(at=self.state.now(), node=node, question=question, about=about, origin=origin)
                )
            case Progressed(_, fraction):
                state.emit(Progress(at=self.state.now(), node=node, fraction=fraction))
            case Failed(_, text):
                self._fail(job, text)
            case Unanswered(_, error):
                self.unanswered.append((node, error))
                self._fail(job, str(error))
            case JobCancelled():
                self._finish(node, NodeStatus.CANCELLED, (_CANCELLED,))
            case _:
                raise AssertionError(f"{type(message).__name__} is no message about a tile's own work")

    def _start(self, job: TileJob) -> None:
        self.state.started[job.key] = self.state.seconds()
        self.in_flight.start_clock(job)
        self.state.set_status(job.key, NodeStatus.RUNNING)

    def _take_items(self, job: TileJob, message: Worked) -> None:
        """Record the items of a tile, and start the renders of those that it delivers."""
        state, node, items = self.state, job.key, message.items
        state.items[node] = items
        self.cached_tiles.finish(message)
        state.add_items(state.now(), node, items)
        for found in message.deviations:
            deviation = deviation_record(found, job.tile, self.spec.plan.request)
            state.emit(NodeDeviated(at=state.now(), node=node, deviation=deviation))
        for text in unmatched_faults(self.spec.faults, node, len(items)):
            state.emit(NodeLog(at=self.state.now(), node=node, message=text))
        outputs: list[Item] = self.outputs.claim(node, items, job.inputs)
        if not outputs:
            self._finish(node, NodeStatus.COMPLETED)
            return
        # The tile's own job ends here, but the tile keeps running until its last render ends.
        self.in_flight.remove(node)
        self.ready_queue.release_claims(node)
        for render in self.outputs.start(node, outputs):
            self._enqueue(render)

    def _fail(self, job: TileJob, message: str) -> None:
        # A worker can be lost before it reports the start, but a tile may only fail after it has started.
        if job.key not in self.state.started:
            self._start(job)
        self._finish(job.key, NodeStatus.FAILED, (replace_lone_surrogates(message),))

    def _finish_outputs(self, node: str) -> None:
        """End a tile after the last of its renders."""
        result = self.outputs.result(node)
        if result is None:
            return
        if self.cancelled():
            self._finish(node, NodeStatus.CANCELLED, (_CANCELLED,))
        else:
            self._finish(node, *result)

    def _finish(self, node: str, status: NodeStatus, messages: tuple[str, ...] = ()) -> None:
        """End a tile, and make the tiles ready that waited for it alone."""
        self.in_flight.remove(node)
        self.cached_tiles.release(node)
        self.state.end(node, status, messages)
        self.ready_queue.done(node)
