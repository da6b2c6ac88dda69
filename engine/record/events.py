"""Everything that happens in a run is an event; the state of a run is a fold over its events.

Events are made by the ten thousand in a simulation, so they are plain dataclasses; pydantic checks those that
are read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PlainSerializer, TypeAdapter

from tessera.record.status import NodeStatus, RunStatus

if TYPE_CHECKING:
    from tessera.media.ffmpeg.process import Process

__all__ = [
    "EPOCH",
    "Answered",
    "AnyEvent",
    "DownloadProgress",
    "Event",
    "ItemMade",
    "NodeChanged",
    "NodeLog",
    "NodeWork",
    "OutputFailed",
    "OutputMade",
    "ProcessRan",
    "Progress",
    "RunFinished",
    "RunResumed",
    "RunStarted",
    "now",
    "process_ran",
    "read_event",
    "timestamp",
    "write_event",
]


EPOCH = "2000-01-01T00:00:00.000000Z"
"""When every simulation begins."""


def _as_record(item: Any) -> dict[str, Any]:
    """An item is written down as its record; one that was read is one already."""
    from tessera.record.item_record import item_record

    return item if isinstance(item, dict) else item_record(item)


@dataclass(slots=True, kw_only=True)
class Event:
    """Base of all events. `at`: ISO 8601 time, of the virtual clock in a simulation."""

    at: str


@dataclass(slots=True, kw_only=True)
class RunStarted(Event):
    """The first event: what runs, with which inputs.

    `part`: which part of the agent, and of which run it takes the rest; `faults`: the drills that it suffers.
    """

    event: Literal["run_started"] = "run_started"
    run_id: str
    mode: Literal["run", "simulate"]
    agent: dict[str, Any]
    nodes: tuple[dict[str, Any], ...]
    inputs: tuple[dict[str, Any], ...]
    warnings: tuple[dict[str, str], ...]
    changes: dict[str, Any]
    request: dict[str, Any]
    triggered_by: dict[str, Any] | None = None
    stubs: tuple[str, ...] = ()
    part: dict[str, Any] | None = None
    faults: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class RunResumed(Event):
    """A run that had ended, or was cut short, goes on: what was not done is begun anew."""

    event: Literal["run_resumed"] = "run_resumed"


@dataclass(slots=True, kw_only=True)
class NodeChanged(Event):
    """A tile has another status. `seconds`: how long it worked, once it has ended."""

    event: Literal["node_changed"] = "node_changed"
    node: str
    status: NodeStatus
    message: str | None = None
    errors: tuple[str, ...] = ()
    seconds: float | None = None


@dataclass(slots=True, kw_only=True)
class NodeWork(Event):
    """Whether a tile's work is done in this run (`ran`) or was before (`cached`), and why."""

    event: Literal["node_work"] = "node_work"
    node: str
    how: Literal["ran", "cached"]
    why: str


@dataclass(slots=True, kw_only=True)
class ItemMade(Event):
    """A tile has made an item. `item`: an `Item`; as JSON its record."""

    event: Literal["item_made"] = "item_made"
    node: str
    item: Annotated[Any, PlainSerializer(_as_record)]


@dataclass(slots=True, kw_only=True)
class OutputMade(Event):
    """An output of the run is there. `by`: the tile whose work it was to deliver it. `seconds`: how long that
    took; `waited`: how long it had stood in the queue before.
    """

    event: Literal["output_made"] = "output_made"
    by: str
    output: dict[str, Any]
    seconds: float = 0.0
    waited: float = 0.0


@dataclass(slots=True, kw_only=True)
class OutputFailed(Event):
    """An output could not be rendered. `seconds`, `waited`: as of one that is there."""

    event: Literal["output_failed"] = "output_failed"
    by: str
    node: str
    index: int
    message: str
    seconds: float = 0.0
    waited: float = 0.0


@dataclass(slots=True, kw_only=True)
class ProcessRan(Event):
    """An ffmpeg process of a render has ended. Of no account for the state of the run.

    `by`: the tile that delivers; `node`, `index`: the item; `scripts`: texts of files that the command names;
    `began`: when; `error`: what went wrong, if something did.
    """

    event: Literal["process_ran"] = "process_ran"
    by: str
    node: str
    index: int
    command: tuple[str, ...]
    scripts: dict[str, str]
    began: str
    seconds: float
    error: str | None = None


@dataclass(slots=True, kw_only=True)
class Progress(Event):
    """How far a tile is, 0–1. Not kept: for whoever looks on."""

    event: Literal["progress"] = "progress"
    node: str
    fraction: float


@dataclass(slots=True, kw_only=True)
class DownloadProgress(Event):
    """How far the download of an input is, before the run begins. Not kept: for whoever looks on.

    `url` is masked; `received` and `total` are bytes; None stands for what nobody knows.
    """

    event: Literal["download_progress"] = "download_progress"
    url: str
    name: str
    received: int
    total: int | None
    bytes_per_s: float
    remaining_s: float | None
    done: bool


@dataclass(slots=True, kw_only=True)
class NodeLog(Event):
    """A line of a tile's log."""

    event: Literal["node_log"] = "node_log"
    node: str
    message: str


@dataclass(slots=True, kw_only=True)
class Answered(Event):
    """A tile's question was answered. `origin`: real, cached, stubbed, facts or assumed."""

    event: Literal["answered"] = "answered"
    node: str
    question: str
    about: str
    origin: str


@dataclass(slots=True, kw_only=True)
class RunFinished(Event):
    """The last event."""

    event: Literal["run_finished"] = "run_finished"
    status: RunStatus
    message: str | None = None


AnyEvent = Annotated[
    RunStarted
    | RunResumed
    | NodeChanged
    | NodeWork
    | ItemMade
    | OutputMade
    | OutputFailed
    | ProcessRan
    | Progress
    | DownloadProgress
    | NodeLog
    | Answered
    | RunFinished,
    Field(discriminator="event"),
]


@cache
def _reader() -> TypeAdapter[Any]:
    return TypeAdapter(AnyEvent)


def process_ran(at: str, key: tuple[str, tuple[str, int]], ran: Process) -> ProcessRan:
    """The event that an ffmpeg process of this render has ended."""
    by, (node, index) = key
    return ProcessRan(
        at=at,
        by=by,
        node=node,
        index=index,
        command=ran.command,
        scripts=dict(ran.scripts),
        began=timestamp(round(ran.began * 1_000_000)),
        seconds=round(ran.seconds, 6),
        error=ran.error,
    )


def now() -> str:
    """The time of an event."""
    return timestamp(time.time_ns() // 1000)


def timestamp(micros: int) -> str:
    """A time as events have it, from microseconds since the epoch."""
    seconds, rest = divmod(micros, 1_000_000)
    return f"{_second(seconds)}.{rest:06}Z"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    """A second since the epoch in words; an event is told of every few microseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def read_event(line: str | bytes) -> Any:
    """An event from its JSON."""
    return _reader().validate_json(line)


def write_event(event: Event) -> bytes:
    """An event as one line of JSON, without its end."""
    return _writer(type(event))(event)  # type: ignore[arg-type]


@cache
def _writer(kind: type[Event]) -> Callable[[Event], bytes]:
    """What writes the events of one class: to go by the class is twice as fast as to go by the union."""
    return TypeAdapter(kind).serializer.to_json
