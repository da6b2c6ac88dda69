"""A run as a trace: Chrome's trace event format, which Perfetto and chrome://tracing show.

Four rows of lanes: what waits, tiles, outputs, ffmpeg processes. What overlaps in time stands on lanes of its
own; an item is a moment on the lane of its tile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tessera.record.events import (
    Event,
    ItemMade,
    NodeChanged,
    NodeWork,
    OutputFailed,
    OutputMade,
    ProcessRan,
    RunFinished,
    RunResumed,
    RunStarted,
)
from tessera.record.status import FINAL

__all__ = ["trace_of"]

_ROWS = {"waits": 1, "tiles": 2, "outputs": 3, "ffmpeg": 4}
"""Each row of lanes is a process of the trace, by its number."""


def trace_of(events: Iterable[Event]) -> dict[str, Any]:
    """The trace of a run, from its events: `{"traceEvents": […]}`, times in microseconds since it began.

    A span (`ph` X) has `cat` (waits, tiles, outputs or ffmpeg), and `args` with the tile's id, the item's
    index (from 0) and how it ended; a moment (`ph` i) is an item, or the run's beginning, end or going on.
    """
    told = _Told()
    for event in events:
        told.take(event)
    told.end()
    return {
        "traceEvents": [*_named(), *told.moments, *_laid(told.spans)],
        "displayTimeUnit": "ms",
        "otherData": {"run_id": told.run_id, "began": told.begun},
    }


@dataclass
class _Span:
    """What took a time, in µs since the run began."""

    row: str
    name: str
    start: int
    end: int
    args: dict[str, Any]
    moments: list[dict[str, Any]] = field(default_factory=list)
    lane: int = 0


@dataclass
class _Told:
    """Spans and moments, from events in order."""

    run_id: str = ""
    begun: str = ""
    now: int = 0
    names: dict[str, str] = field(default_factory=dict)
    spans: list[_Span] = field(default_factory=list)
    moments: list[dict[str, Any]] = field(default_factory=list)
    queued: dict[str, int] = field(default_factory=dict)
    running: dict[str, _Span] = field(default_factory=dict)
    work: dict[str, dict[str, str]] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        self.begun = self.begun or event.at
        if isinstance(event, RunResumed):
            self.end()
        self.now = self._micro(event.at)
        match event:
            case RunStarted():
                self.run_id = event.run_id
                self.names = {one["original_node_id"]: one["node_type_name"] for one in event.nodes}
                self._moment("the run begins")
            case RunResumed():
                self._moment("the run goes on")
            case RunFinished():
                self._moment(f"the run is {event.status.replace('_', ' ')}")
            case NodeWork():
                self.work[event.node] = {"work": event.how, "why": event.why}
            case NodeChanged():
                self._changed(event)
            case ItemMade() if event.node in self.running:
                self.running[event.node].moments.append(
                    {
                        "ph": "i",
                        "s": "t",
                        "cat": "items",
                        "name": f"item #{event.item['index'] + 1}",
                        "ts": self.now,
                        "args": {"agent_node_id": event.node, "index": event.item["index"]},
                    }
                )
            case ProcessRan():
                began = self._micro(event.began)
                args = self._args(event.node, event.index, error=event.error)
                args["command"] = list(event.command)
                name = f"ffmpeg {self._name(event.node, event.index)}"
                self._span("ffmpeg", name, began, event.seconds, args)
            case OutputMade(output=output):
                node, index = output["original_node_id"], output["index"]
                args = self._args(node, index, status="made", reused=bool(output.get("reused")))
                self._output(event, node, index, args)
            case OutputFailed():
                args = self._args(event.node, event.index, status="failed", error=event.message)
                self._output(event, event.node, event.index, args)

    def _changed(self, event: NodeChanged) -> None:
        node = event.node
        if event.status == "queued":
            self.queued[node] = self.now
        elif event.status == "running":
            since = self.queued.pop(node, self.now)
            self.spans.append(_Span("waits", self._name(node), since, self.now, self._args(node)))
            self.running[node] = _Span("tiles", self._name(node), self.now, self.now, self._args(node))
        elif event.status in FINAL:
            if node in self.queued:
                args = self._args(node, status=event.status.value)
                self.spans.append(_Span("waits", self._name(node), self.queued.pop(node), self.now, args))
            self._ended(node, {"status": event.status.value, "message": event.message})

    def _ended(self, node: str, args: dict[str, Any]) -> None:
        span = self.running.pop(node, None)
        if span is not None:
            span.end = self.now
            span.args |= args | self.work.pop(node, {})
            self.spans.append(span)

    def end(self) -> None:
        """What has no end was cut short after the last that is known."""
        for node in [*self.running]:
            self._ended(node, {"status": "interrupted"})
        self.queued.clear()

    def _output(self, event: OutputMade | OutputFailed, node: str, index: int, args: dict[str, Any]) -> None:
        began = self.now - _in_micro(event.seconds)
        self._span("outputs", self._name(node, index), began, event.seconds, args)
        if event.waited:
            since = began - _in_micro(event.waited)
            self._span("waits", self._name(node, index), since, event.waited, self._args(node, index))

    def _span(self, row: str, name: str, start: int, seconds: float, args: dict[str, Any]) -> None:
        start = max(start, 0)
        self.spans.append(_Span(row, name, start, start + _in_micro(seconds), args))

    def _moment(self, name: str) -> None:
        self.moments.append(
            {"ph": "i", "s": "g", "cat": "run", "name": name, "ts": self.now, "pid": _ROWS["tiles"], "tid": 1}
        )

    def _micro(self, at: str) -> int:
        passed = datetime.fromisoformat(at) - datetime.fromisoformat(self.begun)
        return max(_in_micro(passed.total_seconds()), 0)

    def _name(self, node: str, index: int | None = None) -> str:
        name = self.names.get(node, node)
        return name if index is None else f"{name} #{index + 1}"

    def _args(self, node: str, index: int | None = None, **more: Any) -> dict[str, Any]:
        place = {"agent_node_id": node} | ({} if index is None else {"index": index})
        return place | {name: value for name, value in more.items() if value is not None}


def _in_micro(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _laid(spans: list[_Span]) -> list[dict[str, Any]]:
    """Spans as events, each on the first lane of its row that is free when it begins."""
    laid: list[dict[str, Any]] = []
    free: dict[str, list[int]] = {row: [] for row in _ROWS}
    for span in sorted(spans, key=lambda one: (one.start, one.end)):
        ends = free[span.row]
        lane = next((at for at, end in enumerate(ends) if end <= span.start), len(ends))
        ends[lane : lane + 1] = [span.end]
        place = {"pid": _ROWS[span.row], "tid": lane + 1}
        laid.append(
            {
                "ph": "X",
                "cat": span.row,
                "name": span.name,
                "ts": span.start,
                "dur": span.end - span.start,
                **place,
                "args": span.args,
            }
        )
        laid += [moment | place for moment in span.moments]
    return laid


def _named() -> list[dict[str, Any]]:
    """What the rows are called, and in which order they stand."""
    return [
        {"ph": "M", "name": kind, "pid": pid, "tid": 0, "args": args}
        for row, pid in _ROWS.items()
        for kind, args in (("process_name", {"name": row}), ("process_sort_index", {"sort_index": pid}))
    ]
