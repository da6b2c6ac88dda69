"""The events of a run. The state of a run is a fold over its events.

A simulation creates tens of thousands of events, so they are plain dataclasses. Pydantic validates only the
events that are read from JSON.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainSerializer, TypeAdapter

from tessera.record.status import NodeStatus, RunStatus
from tessera.text.checked import instant

if TYPE_CHECKING:
    from tessera.media.process.process import Process

__all__ = [
    "EPOCH",
    "Answered",
    "AnyEvent",
    "DownloadProgress",
    "Event",
    "ItemMade",
    "NodeChanged",
    "NodeDeviated",
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
"""The start time of every simulation."""


def _as_record(item: Any) -> dict[str, Any]:
    # An item that was read from JSON is a record already.
    from tessera.record.item_record import item_record

    return item if isinstance(item, dict) else item_record(item)


def _checked_time(text: str) -> str:
    instant(text)
    return text


# Keyword-only, since subclasses declare required fields after the default of `event`.
@dataclass(slots=True, kw_only=True)
class Event:
    """The base class of all events.

    Attributes
    ----------
    at
        The time in ISO 8601 format. In a simulation it is the time of the virtual clock.
    """

    at: Annotated[str, AfterValidator(_checked_time)]


@dataclass(slots=True, kw_only=True)
class RunStarted(Event):
    """The first event of a run.

    Attributes
    ----------
    part
        The part of the agent that runs, and the run that provides the other items. None for all tiles.
    faults
        The injected faults.
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
    """A run that had ended or was interrupted is resumed. Its unfinished tiles start again."""

    event: Literal["run_resumed"] = "run_resumed"


@dataclass(slots=True, kw_only=True)
class NodeChanged(Event):
    """The status of a tile has changed. `seconds`: the duration of its work, once it has ended."""

    event: Literal["node_changed"] = "node_changed"
    node: str
    status: NodeStatus
    message: str | None = None
    errors: tuple[str, ...] = ()
    seconds: float | None = None


@dataclass(slots=True, kw_only=True)
class NodeWork(Event):
    """The source of a tile's items: this run (`ran`) or the cache (`cached`), with the reason."""

    event: Literal["node_work"] = "node_work"
    node: str
    how: Literal["ran", "cached"]
    why: str


@dataclass(slots=True, kw_only=True)
class ItemMade(Event):
    """A tile has made an item. `item`: an `Item`, or its record in an event read from JSON."""

    event: Literal["item_made"] = "item_made"
    node: str
    item: Annotated[Any, PlainSerializer(_as_record)]


@dataclass(slots=True, kw_only=True)
class OutputMade(Event):
    """An output of the run has been rendered.

    Attributes
    ----------
    by
        The tile that delivers the output.
    output
        Its record; in a simulation that nobody observes, a `SimulatedOutput`.
    seconds
        The duration of the delivery.
    waited
        The seconds in the queue before.
    """

    event: Literal["output_made"] = "output_made"
    by: str
    output: Any
    seconds: float = 0.0
    waited: float = 0.0


@dataclass(slots=True, kw_only=True)
class OutputFailed(Event):
    """An output could not be rendered. `seconds` and `waited`: see `OutputMade`."""

    event: Literal["output_failed"] = "output_failed"
    by: str
    node: str
    index: int
    message: str
    seconds: float = 0.0
    waited: float = 0.0


@dataclass(slots=True, kw_only=True)
class ProcessRan(Event):
    """An ffmpeg process of a render has ended. The event does not change the state of the run.

    Attributes
    ----------
    by
        The tile that delivers the output.
    node, index
        The rendered item.
    scripts
        The contents of the files that the command reads, by name.
    began
        The start time in ISO 8601 format.
    error
        The error message, or None if the process succeeded.
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
    """The progress of a tile, 0–1. Only observers receive it; it is not stored."""

    event: Literal["progress"] = "progress"
    node: str
    fraction: float


@dataclass(slots=True, kw_only=True)
class DownloadProgress(Event):
    """The progress of an input's download before the run starts. Only observers receive it; it is not stored.

    `url` is masked. `received` and `total` are in bytes. None means unknown.
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
class NodeDeviated(Event):
    """A tile made fewer, shorter or smaller than a parameter asks, or something else.

    `deviation` is the result of `deviation_record`.
    """

    event: Literal["node_deviated"] = "node_deviated"
    node: str
    deviation: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Answered(Event):
    """A question of a tile was answered. `origin`: real, cached, stubbed, facts or assumed."""

    event: Literal["answered"] = "answered"
    node: str
    question: str
    about: str
    origin: str


@dataclass(slots=True, kw_only=True)
class RunFinished(Event):
    """The last event of a run.

    Attributes
    ----------
    warnings
        What is known only at the end, such as files that the run replaced.
    lost
        The ids of the outputs whose files are gone by now.
    lost_thumbnails
        The ids of those whose thumbnail alone is gone.
    """

    event: Literal["run_finished"] = "run_finished"
    status: RunStatus
    message: str | None = None
    warnings: tuple[dict[str, str], ...] = ()
    lost: tuple[str, ...] = ()
    lost_thumbnails: tuple[str, ...] = ()


# `read_event` reads only the classes in this union.
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
    | NodeDeviated
    | Answered
    | RunFinished,
    Field(discriminator="event"),
]


@cache
def _reader() -> TypeAdapter[Any]:
    return TypeAdapter(AnyEvent)


def process_ran(at: str, key: tuple[str, tuple[str, int]], ran: Process) -> ProcessRan:
    """Return the event for a finished ffmpeg process.

    Parameters
    ----------
    key
        The delivering tile, and the rendered item (node, index).
    """
    by, (node, index) = key
    return ProcessRan(
        at=at,
        by=by,
        node=node,
        index=index,
        command=ran.command,
        scripts=dict(ran.scripts),
        # `ran.began` is in seconds since the epoch.
        began=timestamp(round(ran.began * 1_000_000)),
        seconds=round(ran.seconds, 6),
        error=ran.error,
    )


def now() -> str:
    """Return the current time in the format of events."""
    return timestamp(time.time_ns() // 1000)


def timestamp(micros: int) -> str:
    """Format microseconds since the epoch as ISO 8601."""
    seconds, rest = divmod(micros, 1_000_000)
    return f"{_format_second(seconds)}.{rest:06}Z"


@lru_cache(maxsize=1)
def _format_second(seconds: int) -> str:
    # Cached, since events come every few microseconds and nearly all repeat the second of the last one.
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def read_event(line: str | bytes) -> Any:
    """Parse an event from JSON."""
    return _reader().validate_json(line)


def write_event(event: Event) -> bytes:
    """Return an event as one line of JSON without the line break."""
    return _writer(type(event))(event)  # type: ignore[arg-type]


@cache
def _writer(kind: type[Event]) -> Callable[[Event], bytes]:
    """Return the serialiser of one event class. It is twice as fast as the serialiser of the union."""
    return TypeAdapter(kind).serializer.to_json
