"""The coordinator: takes the tiles of a plan through their lives, in topological order, on any crew.

It is the only writer of events. Workers send it messages; it decides, emits, and submits what has become
ready.
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
from tessera.runner.cache.tile_cache import Hit, TileCache
from tessera.runner.in_flight import InFlight, InFlightJob, PendingRenders, ResumePoint, node_of
from tessera.runner.ready_queue import ReadyQueue
from tessera.runner.workers.worker import Delivered, Job, Key, Message, RenderJob, TileJob, Workers
from tessera.text.wording import replace_lone_surrogates

__all__ = ["Coordinator"]


_GROUP_S = 0.05
"""How long events that nothing waits for are gathered before they are made safe, all together."""
_GATHERED_S = 0.25
"""How long renders wait for tiles that are at work, as what these make may share a decoder with them."""
_MOST_MESSAGES = 1_000
_BROKEN = frozenset({NodeStatus.FAILED, NodeStatus.BLOCKED, NodeStatus.CANCELLED})


class Coordinator:
    """Takes one plan from its first tile to its last event.

    Parameters
    ----------
    sources
        What each Video Input was given.
    crew
        Those who do the work.
    emit
        Takes each event, in order.
    commit
        Makes safe what was emitted; nothing acts on an event before.
    now
        The time of an event.
    cancelled
        Asked between steps; once it is true nothing new is started.
    stubs
        Stubs by node.
    ranks
        By tile: the greater, the sooner it is begun when others are ready too. Where nothing is said of any,
        in the template's order.
    time_limits
        By tile: the seconds that its own work, and each of its renders, may take.
    given
        The items of tiles whose work is taken as done.
    earlier
        Of a run that goes on: what is done.
    cache
        The work of tiles that is kept; None keeps none.
    drills
        What tiles and renders are made to suffer.
    announce
        Told of the items of renders that are submitted next, so that some can be made together. Renders wait
        a moment for those of tiles that are at work; None: none waits.
    """

    def __init__(
        self,
        plan: Plan,
        sources: Mapping[str, Sequence[InputMedia]],
        crew: Workers,
        emit: Callable[[Event], None],
        *,
        now: Callable[[], str],
        cancelled: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        commit: Callable[[], None] = lambda: None,
        stubs: Mapping[str, StubbedTile] | None = None,
        ranks: Mapping[str, float] | None = None,
        time_limits: Mapping[str, float] | None = None,
        given: Mapping[str, tuple[Item, ...]] | None = None,
        earlier: ResumePoint | None = None,
        cache: TileCache | None = None,
        drills: Sequence[InjectedFault] = (),
        announce: Callable[[Sequence[Item]], None] | None = None,
    ) -> None:
        self.announce = announce
        self.drills = drills
        self.cache = cache
        self.plan, self.sources, self.crew = plan, sources, crew
        self.emit, self.commit, self.now = emit, commit, now
        self.cancelled, self.clock = cancelled, clock
        self.stubs, self.given = dict(stubs or {}), dict(given or {})
        self.ranks = ranks or {}
        self.status: dict[str, NodeStatus] = dict.fromkeys(plan.order, NodeStatus.NOT_STARTED)
        self.items: dict[str, tuple[Item, ...]] = {}
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.tiles: dict[str, Tile] = dict(plan.graph.nodes(data="node"))
        self.order = ReadyQueue(plan)
        self.handlers: dict[str, Callable[..., None]] = {
            name.removeprefix("_on_"): getattr(self, name) for name in dir(self) if name.startswith("_on_")
        }
        self.started: dict[Key, float] = {}
        self.queued: dict[Key, float] = {}
        self.renders: dict[str, PendingRenders] = {}
        self.outputs: dict[tuple[str, int], str] = {}
        self.unanswered: list[tuple[str, QuestionError]] = []
        self.made_outputs = 0
        self.made_before: Counter[str] = Counter()
        self.under_way = InFlight(time_limits or {}, cancelled, clock)
        self.due: list[InFlightJob] = []
        self.gathered: list[InFlightJob] = []
        self.committed = clock()
        if earlier is not None:
            self._go_on(earlier)

    def _go_on(self, earlier: ResumePoint) -> None:
        """Take what was done as done, and what was made as made."""
        self.given.update(earlier.items)
        self.outputs.update(earlier.outputs)
        self.made_outputs = len(earlier.outputs)
        self.made_before.update(earlier.outputs.values())
        for node in earlier.done:
            self.status[node] = NodeStatus.COMPLETED
            self.items[node] = earlier.items.get(node, ())
        self.order.skip(earlier.done)

    def run(self) -> None:
        """Run to the end. The last event is `RunFinished`."""
        self._act()
        while self.under_way:
            self._take()
            self._give_up_late()
            self._act()
        if self.order.left:
            self._cancel_rest()
        status = run_status(self.status.values(), self.made_outputs)
        self.emit(RunFinished(at=self.now(), status=status, message=self._summary()))
        self.commit()

    def _take(self) -> None:
        """Wait for a message of the workers, and take in all that there are by then."""
        try:
            message = self.messages.get(timeout=_GROUP_S)
            for _ in range(_MOST_MESSAGES):
                self._handle(*message)
                message = self.messages.get_nowait()
        except queue.Empty:
            return
        self._handle(*message)

    def _handle(self, what: str, key: Key, *told: Any) -> None:
        """Take in one message; of a job that has ended nothing is heard any more."""
        if what == "process":
            self._note_process(key, *told)
            return
        task = self.under_way.find(key)
        if task is not None:
            self.handlers[what](task.job, *told)

    def _start(self, job: Job) -> None:
        self.queued[job.key] = self.clock()
        self.due.append(self.under_way.add(job))

    def _give_up_late(self) -> None:
        """End what has used up its time; and all, where a cancelled run does not end by itself."""
        for key in self.under_way.late():
            self._give_up(key, ("failed", "output_failed"))
        for key in self.under_way.stuck():
            self._give_up(key, ("cancelled", "output_cancelled"))

    def _give_up(self, key: Key, whats: tuple[str, str]) -> None:
        """Hear no more of a job, and go on as if it had told this, of a tile's work or of a render."""
        task = self.under_way.at(key)
        task.dropped = True
        self.crew.drop(key)
        what = whats[isinstance(task.job, RenderJob)]
        if "failed" in what:
            limit = self.under_way.limits[node_of(task.job)]
            self._handle(what, key, f"took longer than {limit:g} s and was stopped")
        else:
            self._handle(what, key)

    def _act(self) -> None:
        """Submit what has become due, once the events that it stands on are safe."""
        self._advance()
        if self._may_wait():
            return
        while True:
            self.commit()
            self.committed = self.clock()
            due = self._take_due()
            if self.ranks:
                due.sort(key=lambda task: -task.job.rank)
            self._submit_all(due)
            if self.cache is None or not self._take_kept(self.cache):
                return
            self._advance()

    def _submit_all(self, tasks: Sequence[InFlightJob]) -> None:
        if tasks:
            self.crew.submit([(task.job, task) for task in tasks], self.messages.put)

    def _take_due(self) -> list[InFlightJob]:
        """What is to be submitted now."""
        due, self.due = self.due, []
        if self.announce is None:
            return due
        self.gathered += [task for task in due if isinstance(task.job, RenderJob)]
        due = [task for task in due if isinstance(task.job, TileJob)]
        if self.gathered and not (self.under_way.tiles and self._lately(self.gathered[0])):
            free = [task.job for task in self.gathered if isinstance(task.job, RenderJob)]
            limits = self.under_way.limits
            self.announce([job.item for job in free if not job.drills and node_of(job) not in limits])
            due, self.gathered = [*due, *self.gathered], []
        return due

    def _lately(self, task: InFlightJob) -> bool:
        return self.clock() - self.queued[task.job.key] < _GATHERED_S

    def _may_wait(self) -> bool:
        """Whether nothing is to act on the events that there are, so that more may join them."""
        if self.due or not self.under_way or (self.cache is not None and self.cache.is_urgent()):
            return False
        return self.clock() - self.committed < _GROUP_S

    def _take_kept(self, cache: TileCache) -> bool:
        """Let those tiles work whose claim is safe, and take what was made elsewhere; whether some was."""
        claimed = sorted(cache.claimed(), key=lambda one: -self.ranks.get(one.node, 0.0))
        for asked in claimed:
            self.emit(NodeWork(at=self.now(), node=asked.node, how="ran", why=asked.why))
        self._submit_all([self.under_way.at(asked.node) for asked in claimed])
        taken = False
        for asked, hit in cache.arrived():
            self._take_hit(asked.node, hit)
            taken = True
        for asked in cache.leave() if self.cancelled() else ():
            self._end(asked.node, NodeStatus.CANCELLED, "the run was cancelled")
            taken = True
        return taken or cache.is_due()

    def _take_hit(self, node: str, hit: Hit) -> None:
        """Take what was made before as what this tile makes."""
        job = self.under_way.at(node).job
        assert isinstance(job, TileJob)
        self._on_started(job)
        self.emit(NodeWork(at=self.now(), node=node, how="cached", why=f"as in {hit.by}"))
        for question, about in hit.answers:
            self._on_answered(job, question, about, "cached")
        for message in hit.logs:
            self._on_log(job, message)
        self._on_worked(job, hit.items)

    def _summary(self) -> str | None:
        """The run's status message: what failed first, and how many tiles did."""
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
        """Submit every tile that has become ready; block those that wait for one that failed."""
        while not self.cancelled() and (ready := self.order.ready()):
            for node in ready:
                self._submit(node)

    def _submit(self, node: str) -> None:
        broken = [before for before in self.order.before[node] if self.status[before] in _BROKEN]
        if broken:
            cause = broken[0]
            cancelled = self.status[cause] is NodeStatus.CANCELLED
            message = f"waits for {self.tiles[cause].name} {cause}, which was {self.status[cause].value}"
            self._change(node, NodeStatus.CANCELLED if cancelled else NodeStatus.BLOCKED, message)
            self.order.done(node)
            return
        inputs = [item for before in self.order.before[node] for item in self.items[before]]
        self._change(node, NodeStatus.QUEUED)
        job = TileJob(
            node,
            self.tiles[node],
            inputs,
            self.sources.get(node, ()),
            self.stubs.get(node),
            self.given.get(node),
            self.ranks.get(node, 0.0),
            faults_for(self.drills, node),
        )
        if job.drills and self.cache is not None:
            self.emit(NodeWork(at=self.now(), node=node, how="ran", why=f"by {job.drills[0].by}"))
        if self.cache is None or job.given is not None or job.stub is not None or job.drills:
            self._start(job)
            return
        self.under_way.add(job)
        hit = self.cache.ask(node, inputs)
        if hit is not None:
            self._take_hit(node, hit)

    # outputs

    def _outputs_of(self, node: str, items: Sequence[Item], inputs: Sequence[Item]) -> list[Item]:
        """What this tile delivers: what reaches it if it is an output tile, what it made if it is a leaf."""
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
        if job.key in self.started:  # a worker elsewhere says so twice, or another took its place
            return
        self.started[job.key] = self.clock()
        self.under_way.begun(job)
        self._change(job.key, NodeStatus.RUNNING)

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
            self.cache.keep(node, items)
        for item in items:
            self.emit(ItemMade(at=self.now(), node=node, item=item))
        for told in unmatched_faults(self.drills, node, len(items)):
            self.emit(NodeLog(at=self.now(), node=node, message=told))
        outputs = self._outputs_of(node, items, job.inputs)
        if not outputs:
            self._end(node, NodeStatus.COMPLETED)
            return
        self.under_way.over(node)
        self.order.claimed(node)
        self.renders[node] = PendingRenders(outputs, self.made_before[node])
        rank = self.ranks.get(node, 0.0)
        for item in outputs:
            self._start(RenderJob((node, item.ref), item, rank, faults_for(self.drills, *item.ref)))

    def _on_failed(self, job: TileJob, message: str) -> None:
        if job.key not in self.started:  # its worker was lost before it said anything
            self._on_started(job)
        message = replace_lone_surrogates(message)
        self._end(job.key, NodeStatus.FAILED, message, (message,))

    def _on_question(self, job: TileJob, error: QuestionError) -> None:
        self.unanswered.append((job.key, error))
        self._on_failed(job, str(error))

    def _on_cancelled(self, job: TileJob) -> None:
        self._end(job.key, NodeStatus.CANCELLED, "the run was cancelled")

    def _on_render_started(self, job: RenderJob) -> None:
        self.started[job.key] = self.clock()
        self.under_way.begun(job)

    def _waited(self, key: Key) -> float:
        """How long a job stood in the queue, in seconds."""
        begun = self.started.get(key)
        return round(begun - self.queued[key], 6) if begun is not None else 0.0

    def _note_process(self, key: Key, ran: Process) -> None:
        """An ffmpeg process of a render has ended; it may be that of one that was given up."""
        assert isinstance(key, tuple)
        self.emit(process_ran(self.now(), key, ran))

    def _on_output_progress(self, job: RenderJob, fraction: float) -> None:
        node = node_of(job)
        done = self.renders[node].progress(job.key, fraction)
        self.emit(Progress(at=self.now(), node=node, fraction=done))

    def _on_output(self, job: RenderJob, made: Delivered, seconds: float) -> None:
        self.made_outputs += 1
        waited = self._waited(job.key)
        self.emit(
            OutputMade(at=self.now(), by=node_of(job), output=made.output, seconds=seconds, waited=waited)
        )
        self._output_ended(job)

    def _on_output_failed(self, job: RenderJob, message: str) -> None:
        node, item, message = node_of(job), job.item, replace_lone_surrogates(message)
        begun = self.started.get(job.key)
        self.emit(
            OutputFailed(
                at=self.now(),
                by=node,
                node=item.node,
                index=item.index,
                message=message,
                seconds=round(self.clock() - begun, 6) if begun is not None else 0.0,
                waited=self._waited(job.key),
            )
        )
        told = f"output {item.index + 1} of {item.node}: {message}"
        self.renders[node].failures.append((self.order.place[item.node], item.index, told))
        self._output_ended(job)

    def _on_output_cancelled(self, job: RenderJob) -> None:
        self._output_ended(job)

    def _output_ended(self, job: RenderJob) -> None:
        node = node_of(job)
        self.under_way.over(job.key)
        renders = self.renders[node]
        renders.left -= 1
        if renders.left:
            return
        if self.cancelled():
            self._end(node, NodeStatus.CANCELLED, "the run was cancelled")
        else:
            status, failed = renders.result()
            self._end(node, status, failed[0] if failed else None, failed)

    # statuses

    def _change(
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

    def _end(
        self, node: str, status: NodeStatus, message: str | None = None, errors: tuple[str, ...] = ()
    ) -> None:
        self.under_way.over(node)
        if self.cache is not None:
            self.cache.drop(node)
        begun = self.started.get(node)
        seconds = round(self.clock() - begun, 3) if begun is not None else None
        self._change(node, status, message, errors, seconds)
        self.order.done(node)

    def _cancel_rest(self) -> None:
        for node in self.plan.order:
            if self.status[node] not in FINAL:
                self._change(node, NodeStatus.CANCELLED, "the run was cancelled")
