"""The outputs of a run: which tile delivers which item, the renders of each tile, and their outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tessera.media.algebra.item import Item
from tessera.record.events import NodeLog, OutputFailed, OutputMade, Progress, process_ran
from tessera.record.status import NodeStatus
from tessera.runner.answers.fault_injection import faults_for
from tessera.runner.scheduling.in_flight import InFlight, InFlightJob
from tessera.runner.scheduling.run_state import RunState
from tessera.runner.workers.messages import (
    Failed,
    JobCancelled,
    Key,
    Logged,
    Message,
    OutputDelivered,
    ProcessEnded,
    Progressed,
    RenderJob,
    Started,
    node_of,
)
from tessera.text.wording import replace_lone_surrogates

__all__ = ["Announce", "Outputs"]

_RENDER_WAIT_S = 0.25
"""The longest that renders wait for running tiles, whose outputs may share a decoder with them."""

Announce = Callable[[Sequence[Item]], None]
"""Receives the items of the next renders, so that some can be rendered together."""


@dataclass
class _PendingRenders:
    """The renders of one tile's outputs.

    Attributes
    ----------
    remaining
        The number of renders that have not ended.
    failures
        The failures: (position of the item's tile in the template, index of the item, message).
    restored
        The number of outputs that were rendered before the run was resumed.
    """

    items: Sequence[Item]
    restored: int = 0
    remaining: int = 0
    failures: list[tuple[int, int, str]] = field(default_factory=list)
    _fractions: dict[Key, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.remaining = len(self.items)

    def progress(self, key: Key, fraction: float) -> float:
        """Record the progress of one render, 0–1, and return the progress of all."""
        self._fractions[key] = fraction
        return sum(self._fractions.values()) / len(self.items)

    def result(self) -> tuple[NodeStatus, tuple[str, ...]]:
        """Return the status of the tile, and all failure messages in the template's order."""
        failed = tuple(message for _place, _index, message in sorted(self.failures))
        if not failed:
            return NodeStatus.COMPLETED, ()
        all_failed = len(failed) == len(self.items) + self.restored
        return (NodeStatus.FAILED if all_failed else NodeStatus.PARTIAL_COMPLETE), failed


class Outputs:
    """The outputs of one run.

    Parameters
    ----------
    position
        By tile: its position in the template.
    announce
        With it, renders wait up to 0.25 s for running tiles; with None no render waits.

    Attributes
    ----------
    count
        The number of outputs that exist.
    """

    def __init__(
        self,
        state: RunState,
        in_flight: InFlight,
        position: Mapping[str, int],
        announce: Announce | None,
    ) -> None:
        self._state, self._in_flight, self._position, self._announce = state, in_flight, position, announce
        restored = state.spec.resume_point.outputs
        self._deliverers: dict[tuple[str, int], str] = dict(restored)
        self._restored = Counter(restored.values())
        self.count = len(restored)
        self._renders: dict[str, _PendingRenders] = {}
        self._held_back: list[InFlightJob] = []

    # start

    def claim(self, node: str, items: Sequence[Item], inputs: Sequence[Item]) -> list[Item]:
        """Return the items that a tile delivers: its inputs if it is an output tile, its own items if it is a
        leaf.

        Each item is delivered once, by the first tile that claims it.
        """
        if self._state.tiles[node].type.is_output():
            candidates = inputs
        elif next(self._state.spec.plan.graph.successors(node), None) is None:
            candidates = items
        else:
            return []
        claimed = [item for item in candidates if item.ref not in self._deliverers]
        self._deliverers.update((item.ref, node) for item in claimed)
        return claimed

    def start(self, node: str, items: Sequence[Item]) -> list[RenderJob]:
        """Begin the renders of the items that a tile delivers, and return their jobs."""
        self._renders[node] = _PendingRenders(items, self._restored[node])
        spec = self._state.spec
        priority = spec.priorities.get(node, 0.0)
        return [
            RenderJob((node, item.ref), item, priority, faults_for(spec.faults, *item.ref)) for item in items
        ]

    def ready_jobs(self, due: list[InFlightJob]) -> list[InFlightJob]:
        """Return the jobs to submit now, and hold renders back while they may still share a decoder."""
        if self._announce is None:
            return due
        self._held_back += [task for task in due if isinstance(task.job, RenderJob)]
        due = [task for task in due if not isinstance(task.job, RenderJob)]
        if self._held_back and not (self._in_flight.tiles and self._is_recent(self._held_back[0])):
            held_back, self._held_back = self._held_back, []
            limits = self._in_flight.limits
            jobs = [task.job for task in held_back if isinstance(task.job, RenderJob)]
            # A fault or a time limit concerns one render alone, so such a render never joins a group.
            self._announce([job.item for job in jobs if not job.faults and node_of(job) not in limits])
            due += held_back
        return due

    def _is_recent(self, task: InFlightJob) -> bool:
        state = self._state
        return state.seconds() - state.queued[task.job.key] < _RENDER_WAIT_S

    # messages

    def handle(self, job: RenderJob, message: Message) -> bool:
        """Handle a message about a render in flight. Return True if the render has ended."""
        state, node = self._state, node_of(job)
        at = state.now()
        match message:
            case Started():
                state.started[job.key] = state.seconds()
                self._in_flight.start_clock(job)
                return False
            case Progressed(_, fraction):
                state.emit(
                    Progress(at=at, node=node, fraction=self._renders[node].progress(job.key, fraction))
                )
                return False
            case Logged(_, text):
                state.emit(NodeLog(at=at, node=node, message=replace_lone_surrogates(text)))
                return False
            case OutputDelivered(_, output, seconds):
                self.count += 1
                waited = state.queue_seconds(job.key)
                state.emit(OutputMade(at=at, by=node, output=output, seconds=seconds, waited=waited))
            case Failed(_, text):
                self._fail(job, replace_lone_surrogates(text))
            case JobCancelled():
                pass
            case _:
                raise AssertionError(f"{type(message).__name__} is no message about a render")
        self._in_flight.remove(job.key)
        self._renders[node].remaining -= 1
        return True

    def _fail(self, job: RenderJob, message: str) -> None:
        state, node, item = self._state, node_of(job), job.item
        state.emit(
            OutputFailed(
                at=state.now(),
                by=node,
                node=item.node,
                index=item.index,
                message=message,
                seconds=state.run_seconds(job.key),
                waited=state.queue_seconds(job.key),
            )
        )
        message = f"output {item.index + 1} of {state.tiles[item.node].name} {item.node}: {message}"
        self._renders[node].failures.append((self._position[item.node], item.index, message))

    def note_process(self, message: ProcessEnded) -> None:
        """Record the end of an ffmpeg process of a render, even if that render was abandoned."""
        self._state.emit(process_ran(self._state.now(), message.key, message.process))

    def result(self, node: str) -> tuple[NodeStatus, tuple[str, ...]] | None:
        """Return the status and the failure messages of a tile whose renders have all ended, or None while
        some remain.
        """
        renders = self._renders[node]
        return renders.result() if not renders.remaining else None
