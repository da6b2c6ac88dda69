"""The statuses, items and times of the tiles of a run in progress, and the events about them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tessera.media.algebra.item import Item
from tessera.record.events import EPOCH, now
from tessera.record.status import NodeStatus
from tessera.runner.workers.messages import Key

if TYPE_CHECKING:
    from tessera.graph.model import Tile
    from tessera.record.sink import EventSink
    from tessera.runner.scheduling.run_spec import RunSpec

__all__ = ["LIVE_CLOCK", "STOPPED_CLOCK", "Clock", "RunState"]


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks of a run.

    Attributes
    ----------
    now
        Returns the time of an event, as a timestamp.
    seconds
        Returns a monotonic time in seconds, for durations.
    """

    now: Callable[[], str]
    seconds: Callable[[], float]


LIVE_CLOCK = Clock(now, time.monotonic)
STOPPED_CLOCK = Clock(lambda: EPOCH, lambda: 0.0)
"""The clock of simulations, whose records do not depend on when they were made."""


class RunState:
    """The state that the parts of the scheduler share.

    Attributes
    ----------
    status
        The status of each tile.
    items
        The items of each tile that has finished its own work.
    now, seconds
        The clocks, as in `Clock`.
    queued, started
        By job: when it was queued, and when a worker started it, in seconds.
    """

    def __init__(self, spec: RunSpec, sink: EventSink, clock: Clock) -> None:
        self._sink = sink
        self.spec, self.emit, self.commit, self.add_items = spec, sink.emit, sink.commit, sink.add_items
        self.now, self.seconds = clock.now, clock.seconds
        self.tiles: dict[str, Tile] = dict(spec.plan.graph.nodes(data="node"))
        self.status = dict.fromkeys(spec.plan.order, NodeStatus.NOT_STARTED)
        self.items: dict[str, tuple[Item, ...]] = {}
        self.queued: dict[Key, float] = {}
        self.started: dict[Key, float] = {}
        for node in spec.resume_point.done:
            self.status[node] = NodeStatus.COMPLETED
            self.items[node] = spec.resume_point.items.get(node, ())

    def set_status(
        self,
        node: str,
        status: NodeStatus,
        message: str | None = None,
        errors: tuple[str, ...] = (),
        seconds: float | None = None,
    ) -> None:
        """Change the status of a tile. `seconds` is the time that an ended tile has taken."""
        self.status[node] = status
        self._sink.change_status(self.now(), node, status, message, errors, seconds)

    def end(self, node: str, status: NodeStatus, messages: tuple[str, ...]) -> None:
        """End a tile. Its message is the first of the messages; those of a failure are its errors."""
        started = self.started.get(node)
        seconds = round(self.seconds() - started, 3) if started is not None else None
        errors = messages if status is not NodeStatus.CANCELLED else ()
        self.set_status(node, status, messages[0] if messages else None, errors, seconds)

    def run_seconds(self, key: Key) -> float:
        """Return the seconds since a job started, or 0 if it has not."""
        started = self.started.get(key)
        return round(self.seconds() - started, 6) if started is not None else 0.0

    def queue_seconds(self, key: Key) -> float:
        """Return the seconds that a job waited in the queue, or 0 if it has not started."""
        started = self.started.get(key)
        return round(started - self.queued[key], 6) if started is not None else 0.0
