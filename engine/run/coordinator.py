"""The coordinator: takes the tiles of a plan through their lives, in topological order, on any executor.

It is the only writer of events. Workers send it messages; it decides, emits, and submits what has become
ready.
"""

from __future__ import annotations

import queue
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from engine.context import InputMedia
from engine.errors import Cancelled, QuestionError, TesseraError, TileError, TransientError
from engine.graph.model import Tile
from engine.graph.plan import Plan
from engine.media.item import Item
from engine.run.answers import Answers, TileContext
from engine.run.events import (
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
)
from engine.run.status import FINAL, NodeStatus, run_status
from engine.run.stubs import Attempt, StubbedTile
from engine.run.tilecache import Hit, TileCache
from engine.run.tiles import run_tile

__all__ = ["Coordinator", "Delivered", "Earlier", "InlineExecutor"]


_DONE: Future[Any] = Future()
_DONE.set_result(None)


class InlineExecutor(Executor):
    """Runs what it is given at once, in the caller's thread. What it gives back says only that it is done."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        fn(*args, **kwargs)
        return _DONE


@dataclass(frozen=True, slots=True)
class Delivered:
    """An output that is there: its record."""

    output: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a run that goes on has done before.

    Attributes
    ----------
    done
        The tiles that have completed.
    items
        What tiles have made, by tile; one that made something is not asked again.
    outputs
        The outputs that are there: (tile, index) → the tile that delivered it.
    """

    done: frozenset[str]
    items: Mapping[str, tuple[Item, ...]]
    outputs: Mapping[tuple[str, int], str]


_MOST_ATTEMPTS = 3
_FIRST_PAUSE_S = 0.2
_POLL_S = 0.05
_WAIT_S = 0.2
_MOST_MESSAGES = 1_000
_BROKEN = frozenset({NodeStatus.FAILED, NodeStatus.BLOCKED, NodeStatus.CANCELLED})

Deliver = Callable[[Item, str, Callable[[float], None]], Delivered]
"""Makes an output of an item: (item, the delivering tile, progress) → its record."""


class Coordinator:
    """Takes one plan from its first tile to its last event.

    Parameters
    ----------
    sources
        What each Video Input was given.
    deliver
        Makes an output of an item.
    emit
        Takes each event, in order.
    commit
        Makes safe what was emitted; nothing acts on an event before.
    now
        The time of an event.
    executor
        Where tiles and renders run.
    cancelled
        Asked between steps; once it is true nothing new is started.
    stubs
        Stubs by node.
    waits
        Whether time passes: False in a simulation, which neither pauses nor hangs.
    given
        The items of tiles whose work is taken as done.
    earlier
        Of a run that goes on: what is done.
    cache
        The work of tiles that is kept; None keeps none.
    """

    def __init__(
        self,
        plan: Plan,
        sources: Mapping[str, Sequence[InputMedia]],
        answers: Answers,
        deliver: Deliver,
        emit: Callable[[Event], None],
        *,
        now: Callable[[], str],
        executor: Executor,
        cancelled: Callable[[], bool],
        max_items: int,
        clock: Callable[[], float] = time.monotonic,
        commit: Callable[[], None] = lambda: None,
        stubs: Mapping[str, StubbedTile] | None = None,
        waits: bool = True,
        given: Mapping[str, tuple[Item, ...]] | None = None,
        earlier: Earlier | None = None,
        cache: TileCache | None = None,
    ) -> None:
        self.cache = cache
        self.plan, self.sources, self.answers, self.deliver = plan, sources, answers, deliver
        self.emit, self.commit, self.now = emit, commit, now
        self.executor, self.cancelled = executor, cancelled
        self.max_items, self.clock = max_items, clock
        self.stubs, self.waits, self.given = dict(stubs or {}), waits, dict(given or {})
        self.status: dict[str, NodeStatus] = dict.fromkeys(plan.order, NodeStatus.NOT_STARTED)
        self.items: dict[str, tuple[Item, ...]] = {}
        self.messages: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self.tiles: dict[str, Tile] = dict(plan.graph.nodes(data="node"))
        self.place = {node: tile.index for node, tile in self.tiles.items()}
        self.before = {
            node: sorted(plan.graph.predecessors(node), key=self.place.__getitem__) for node in plan.order
        }
        self.waits_for = {node: len(before) for node, before in self.before.items()}
        self.ready = [node for node, count in self.waits_for.items() if not count]
        self.left = len(plan.order)
        self.handlers: dict[str, Callable[..., None]] = {
            name.removeprefix("_on_"): getattr(self, name) for name in dir(self) if name.startswith("_on_")
        }
        self.started: dict[str, float] = {}
        self.awaited: dict[str, int] = {}
        self.failed_outputs: dict[str, list[str]] = {}
        self.rendered: dict[str, dict[tuple[str, int], float]] = {}
        self.outputs: dict[tuple[str, int], str] = {}
        self.unanswered: list[tuple[str, QuestionError]] = []
        self.made_outputs = 0
        self.under_way = 0
        self.work: list[tuple[Any, ...]] = []
        if earlier is not None:
            self._go_on(earlier)

    def _go_on(self, earlier: Earlier) -> None:
        """Take what was done as done, and what was made as made."""
        self.given.update(earlier.items)
        self.outputs.update(earlier.outputs)
        self.made_outputs = len(earlier.outputs)
        for node in self.plan.order:
            if node in earlier.done:
                self.status[node] = NodeStatus.COMPLETED
                self.items[node] = earlier.items.get(node, ())
                self._done(node)
        self.ready = [node for node in self.ready if node not in earlier.done]

    def run(self) -> None:
        """Run to the end. The last event is `RunFinished`."""
        self._act()
        while self.under_way:
            self._take()
            self._act()
        if self.left:
            self._cancel_rest()
        status = run_status(self.status.values(), self.made_outputs)
        self.emit(RunFinished(at=self.now(), status=status, message=self._summary()))
        self.commit()

    def _take(self) -> None:
        """Wait for a message of the workers, and take in all that there are by then."""
        try:
            message = self.messages.get(timeout=_WAIT_S)
            for _ in range(_MOST_MESSAGES):
                self.handlers[message[0]](*message[1:])
                message = self.messages.get_nowait()
        except queue.Empty:
            return
        self.handlers[message[0]](*message[1:])

    def _act(self) -> None:
        """Submit what has become due, once the events that it stands on are safe."""
        more = True
        while more:
            self._advance()
            self.commit()
            due, self.work = self.work, []
            for one in due:
                self.executor.submit(*one)
            more = self.cache is not None and self._take_kept(self.cache)

    def _take_kept(self, cache: TileCache) -> bool:
        """Let those tiles work whose claim is safe, and take what was made elsewhere; whether some was."""
        for asked in cache.claimed():
            self.emit(NodeWork(at=self.now(), node=asked.node, how="ran", why=asked.why))
            self.executor.submit(self._work, asked.node, asked.inputs)
        taken = False
        for asked, hit in cache.arrived():
            self._take_hit(asked.node, hit, asked.inputs)
            taken = True
        for asked in cache.leave() if self.cancelled() else ():
            self.started[asked.node] = self.clock()
            self._on_cancelled(asked.node)
            taken = True
        return taken or cache.is_due()

    def _take_hit(self, node: str, hit: Hit, inputs: Sequence[Item]) -> None:
        """Take what was made before as what this tile makes."""
        self._on_started(node)
        self.emit(NodeWork(at=self.now(), node=node, how="cached", why=f"as in run {hit.run_id}"))
        for question, about in hit.answers:
            self._on_answered(node, question, about, "cached")
        for message in hit.logs:
            self._on_log(node, message)
        self._on_worked(node, hit.items, inputs)

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
        while self.ready and not self.cancelled():
            ready, self.ready = sorted(self.ready, key=self.place.__getitem__), []
            for node in ready:
                self._submit(node)

    def _done(self, node: str) -> None:
        """A tile has ended: those that waited for it alone are ready."""
        self.left -= 1
        for after in self.plan.graph.successors(node):
            self.waits_for[after] -= 1
            if not self.waits_for[after]:
                self.ready.append(after)

    def _submit(self, node: str) -> None:
        broken = [before for before in self.before[node] if self.status[before] in _BROKEN]
        if broken:
            cause = broken[0]
            cancelled = self.status[cause] is NodeStatus.CANCELLED
            message = f"waits for {self.tiles[cause].name} {cause}, which was {self.status[cause].value}"
            self._change(node, NodeStatus.CANCELLED if cancelled else NodeStatus.BLOCKED, message)
            self._done(node)
            return
        inputs = [item for before in self.before[node] for item in self.items[before]]
        self._change(node, NodeStatus.QUEUED)
        self.under_way += 1
        if self.cache is None or node in self.given or node in self.stubs:
            self.work.append((self._work, node, inputs))
            return
        hit = self.cache.ask(node, inputs)
        if hit is not None:
            self._take_hit(node, hit, inputs)

    def _work(self, node: str, inputs: Sequence[Item]) -> None:
        """In a worker: one tile."""
        put = self.messages.put
        put(("started", node))
        try:
            items = self._attempts(node, inputs)
        except Cancelled:
            put(("cancelled", node))
        except QuestionError as error:
            put(("question", node, error))
        except TesseraError as error:
            put(("failed", node, str(error)))
        except Exception as error:  # a tile's own fault must not end the run
            put(("log", node, traceback.format_exc()))
            put(("failed", node, f"{type(error).__name__}: {error}"))
        else:
            put(("worked", node, items, inputs))

    def _attempts(self, node: str, inputs: Sequence[Item]) -> tuple[Item, ...]:
        """In a worker: one tile, tried again where it failed for this time only."""
        for number in range(1, _MOST_ATTEMPTS):
            try:
                return self._attempt(node, inputs, number)
            except TransientError as error:
                again = f"attempt {number} of {_MOST_ATTEMPTS} failed: {error}"
                self.messages.put(("log", node, again))
                self._pause(number)
        return self._attempt(node, inputs, _MOST_ATTEMPTS)

    def _attempt(self, node: str, inputs: Sequence[Item], number: int) -> tuple[Item, ...]:
        if self.cancelled():
            raise Cancelled("the run was cancelled")
        if node in self.given:
            return self.given[node]
        put = self.messages.put
        stub = self.stubs.get(node)
        attempt = stub.stub.attempt(number) if stub is not None else None
        if attempt is not None and attempt.fault is not None:
            self._suffer(attempt)
        context = TileContext(
            self.tiles[node],
            self.answers,
            self.sources.get(node, ()),
            lambda message: put(("log", node, message)),
            lambda fraction: put(("progress", node, fraction)),
            lambda question, about, origin: put(("answered", node, question, about, origin)),
            attempt.answers if attempt is not None else None,
        )
        return run_tile(
            self.tiles[node], context, inputs, max_items=self.max_items, stub=stub, attempt=attempt
        )

    def _suffer(self, attempt: Attempt) -> None:
        """A stub's fault. One that hangs does so until the run is cancelled; a simulation does not wait for
        that.
        """
        if attempt.fault == "transient":
            raise TransientError(attempt.message or "a fault for this time, by a stub")
        if attempt.fault == "hang":
            while self.waits and not self.cancelled():
                time.sleep(_POLL_S)
            if self.waits:
                raise Cancelled("the run was cancelled")
            raise TileError(attempt.message or "hangs, by a stub: a run would wait until it is cancelled")
        raise TileError(attempt.message or "fails, by a stub")

    def _pause(self, attempt: int) -> None:
        """Wait before the next attempt, twice as long each time; a simulation does not."""
        if self.waits:
            time.sleep(_FIRST_PAUSE_S * 2 ** (attempt - 1))

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

    def _render(self, node: str, item: Item) -> None:
        """In a worker: one output."""
        put = self.messages.put
        begun = self.clock()
        try:
            if self.cancelled():
                raise Cancelled("the run was cancelled")
            made = self.deliver(
                item, node, lambda fraction: put(("output_progress", node, item.ref, fraction))
            )
        except Cancelled:
            put(("output_cancelled", node))
        except TesseraError as error:
            put(("output_failed", node, item, str(error)))
        except Exception as error:  # as above
            put(("log", node, traceback.format_exc()))
            put(("output_failed", node, item, f"{type(error).__name__}: {error}"))
        else:
            put(("output", node, made, self.clock() - begun))

    # messages from workers

    def _on_started(self, node: str) -> None:
        self.started[node] = self.clock()
        self._change(node, NodeStatus.RUNNING)

    def _on_log(self, node: str, message: str) -> None:
        if self.cache is not None:
            self.cache.note_log(node, message)
        self.emit(NodeLog(at=self.now(), node=node, message=message))

    def _on_answered(self, node: str, question: str, about: str, origin: str) -> None:
        if self.cache is not None:
            self.cache.note_answer(node, question, about)
        self.emit(Answered(at=self.now(), node=node, question=question, about=about, origin=origin))

    def _on_progress(self, node: str, fraction: float) -> None:
        self.emit(Progress(at=self.now(), node=node, fraction=fraction))

    def _on_output_progress(self, node: str, ref: tuple[str, int], fraction: float) -> None:
        self.rendered[node][ref] = fraction
        done = sum(self.rendered[node].values()) / len(self.rendered[node])
        self._on_progress(node, done)

    def _on_worked(self, node: str, items: tuple[Item, ...], inputs: Sequence[Item]) -> None:
        self.items[node] = items
        if self.cache is not None:
            self.cache.keep(node, items)
        for item in items:
            self.emit(ItemMade(at=self.now(), node=node, item=item))
        outputs = self._outputs_of(node, items, inputs)
        if not outputs:
            self._end(node, NodeStatus.COMPLETED)
            return
        self.awaited[node] = len(outputs)
        self.failed_outputs[node] = []
        self.rendered[node] = dict.fromkeys((item.ref for item in outputs), 0.0)
        self.under_way += len(outputs) - 1
        for item in outputs:
            self.work.append((self._render, node, item))

    def _on_failed(self, node: str, message: str) -> None:
        self._end(node, NodeStatus.FAILED, message, (message,))

    def _on_question(self, node: str, error: QuestionError) -> None:
        self.unanswered.append((node, error))
        self._on_failed(node, str(error))

    def _on_cancelled(self, node: str) -> None:
        self._end(node, NodeStatus.CANCELLED, "the run was cancelled")

    def _on_output(self, node: str, made: Delivered, seconds: float) -> None:
        self.made_outputs += 1
        self.emit(OutputMade(at=self.now(), by=node, output=made.output, seconds=seconds))
        self._output_ended(node)

    def _on_output_failed(self, node: str, item: Item, message: str) -> None:
        self.emit(OutputFailed(at=self.now(), by=node, node=item.node, index=item.index, message=message))
        self.failed_outputs[node].append(f"output {item.index + 1} of {item.node}: {message}")
        self._output_ended(node)

    def _on_output_cancelled(self, node: str) -> None:
        self._output_ended(node)

    def _output_ended(self, node: str) -> None:
        self.awaited[node] -= 1
        if self.awaited[node]:
            self.under_way -= 1
            return
        failed = self.failed_outputs[node]
        if self.cancelled():
            self._end(node, NodeStatus.CANCELLED, "the run was cancelled")
        elif not failed:
            self._end(node, NodeStatus.COMPLETED)
        else:
            status = (
                NodeStatus.FAILED if len(failed) == len(self.rendered[node]) else NodeStatus.PARTIAL_COMPLETE
            )
            self._end(node, status, failed[0], tuple(failed))

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
        self.under_way -= 1
        if self.cache is not None:
            self.cache.drop(node)
        self._change(node, status, message, errors, round(self.clock() - self.started[node], 3))
        self._done(node)

    def _cancel_rest(self) -> None:
        for node in self.plan.order:
            if self.status[node] not in FINAL:
                self._change(node, NodeStatus.CANCELLED, "the run was cancelled")
