"""Convert the events of a run to a trace in Chrome's trace event format, for Perfetto and chrome://tracing.

The trace has four rows of lanes: waiting work, tiles, outputs and ffmpeg processes. Spans that overlap in
time are on different lanes of their row. An item is an instant event on the lane of its tile.
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
"""The process number of each row: the format groups lanes (threads) by process."""


def trace_of(events: Iterable[Event]) -> dict[str, Any]:
    """Return the trace of a run: `{"traceEvents": […]}`, with times in microseconds since the run started.

    A span (`ph` X) has the category (`cat`) waits, tiles, outputs or ffmpeg, and `args` with the id of the
    tile, the index of the item (from 0) and the final status. An instant event (`ph` i) marks an item, or the
    start, resumption or end of the run.
    """
    builder = _TraceBuilder()
    for event in events:
        builder.add(event)
    builder.end_open_spans()
    return {
        "traceEvents": [*_row_names(), *builder.instants, *_span_events(builder.spans)],
        "displayTimeUnit": "ms",
        "otherData": {"run_id": builder.run_id, "began": builder.started_at},
    }


@dataclass
class _Span:
    """A period of time in µs since the run started."""

    row: str
    name: str
    start: int
    end: int
    args: dict[str, Any]
    instants: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class _TraceBuilder:
    """Collects spans and instants from events in order.

    Attributes
    ----------
    now
        The time of the current event, in µs since the run started.
    queued
        The time at which each waiting tile was queued, in the same unit.
    running
        The open span of each running tile.
    work
        The `args` from the last `NodeWork` event of each running tile.
    """

    run_id: str = ""
    started_at: str = ""
    now: int = 0
    names: dict[str, str] = field(default_factory=dict)
    spans: list[_Span] = field(default_factory=list)
    instants: list[dict[str, Any]] = field(default_factory=list)
    queued: dict[str, int] = field(default_factory=dict)
    running: dict[str, _Span] = field(default_factory=dict)
    work: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        self.started_at = self.started_at or event.at
        # Spans that are still open when a run is resumed ended with the event before, so close them first.
        if isinstance(event, RunResumed):
            self.end_open_spans()
        self.now = self._micros_since_start(event.at)
        match event:
            case RunStarted():
                self.run_id = event.run_id
                self.names = {node["original_node_id"]: node["node_type_name"] for node in event.nodes}
                self._add_instant("run started")
            case RunResumed():
                self._add_instant("run resumed")
            case RunFinished():
                self._add_instant(f"run {event.status.replace('_', ' ')}")
            case NodeWork():
                self.work[event.node] = {"work": event.how, "why": event.why}
            case NodeChanged():
                self._change_status(event)
            case ItemMade() if event.node in self.running:
                self.running[event.node].instants.append(
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
                start = self._micros_since_start(event.began)
                args = self._args(event.node, event.index, error=event.error)
                args["command"] = list(event.command)
                name = f"ffmpeg {self._name(event.node, event.index)}"
                self._add_span("ffmpeg", name, start, event.seconds, args)
            case OutputMade(output=output):
                node, index = output["original_node_id"], output["index"]
                args = self._args(node, index, status="made", reused=bool(output.get("reused")))
                self._add_output(event, node, index, args)
            case OutputFailed():
                args = self._args(event.node, event.index, status="failed", error=event.message)
                self._add_output(event, event.node, event.index, args)

    def _change_status(self, event: NodeChanged) -> None:
        node = event.node
        if event.status == "queued":
            self.queued[node] = self.now
        elif event.status == "running":
            queued_at = self.queued.pop(node, self.now)
            self.spans.append(_Span("waits", self._name(node), queued_at, self.now, self._args(node)))
            self.running[node] = _Span("tiles", self._name(node), self.now, self.now, self._args(node))
        elif event.status in FINAL:
            if node in self.queued:
                args = self._args(node, status=event.status.value)
                self.spans.append(_Span("waits", self._name(node), self.queued.pop(node), self.now, args))
            self._end_span(node, {"status": event.status.value, "message": event.message})

    def _end_span(self, node: str, args: dict[str, Any]) -> None:
        span = self.running.pop(node, None)
        if span is not None:
            span.end = self.now
            span.args |= args | self.work.pop(node, {})
            self.spans.append(span)

    def end_open_spans(self) -> None:
        """End all open spans as interrupted at the time of the last event."""
        for node in [*self.running]:
            self._end_span(node, {"status": "interrupted"})
        self.queued.clear()

    def _add_output(
        self, event: OutputMade | OutputFailed, node: str, index: int, args: dict[str, Any]
    ) -> None:
        start = self.now - _micros(event.seconds)
        self._add_span("outputs", self._name(node, index), start, event.seconds, args)
        if event.waited:
            queued_at = start - _micros(event.waited)
            self._add_span("waits", self._name(node, index), queued_at, event.waited, self._args(node, index))

    def _add_span(self, row: str, name: str, start: int, seconds: float, args: dict[str, Any]) -> None:
        start = max(start, 0)
        self.spans.append(_Span(row, name, start, start + _micros(seconds), args))

    def _add_instant(self, name: str) -> None:
        self.instants.append(
            {"ph": "i", "s": "g", "cat": "run", "name": name, "ts": self.now, "pid": _ROWS["tiles"], "tid": 1}
        )

    def _micros_since_start(self, at: str) -> int:
        elapsed = datetime.fromisoformat(at) - datetime.fromisoformat(self.started_at)
        return max(_micros(elapsed.total_seconds()), 0)

    def _name(self, node: str, index: int | None = None) -> str:
        name = self.names.get(node, node)
        return name if index is None else f"{name} #{index + 1}"

    def _args(self, node: str, index: int | None = None, **more: Any) -> dict[str, Any]:
        item = {"agent_node_id": node} | ({} if index is None else {"index": index})
        return item | {name: value for name, value in more.items() if value is not None}


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _span_events(spans: list[_Span]) -> list[dict[str, Any]]:
    """Convert spans to trace events, each on the first lane of its row that is free when it starts."""
    events: list[dict[str, Any]] = []
    lane_ends: dict[str, list[int]] = {row: [] for row in _ROWS}
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        ends = lane_ends[span.row]
        lane = next((number for number, end in enumerate(ends) if end <= span.start), len(ends))
        # Replaces the end of a free lane, or adds a lane if all are in use.
        ends[lane : lane + 1] = [span.end]
        position = {"pid": _ROWS[span.row], "tid": lane + 1}
        events.append(
            {
                "ph": "X",
                "cat": span.row,
                "name": span.name,
                "ts": span.start,
                "dur": span.end - span.start,
                **position,
                "args": span.args,
            }
        )
        events += [instant | position for instant in span.instants]
    return events


def _row_names() -> list[dict[str, Any]]:
    """Return the metadata events that name the rows and set their order."""
    return [
        {"ph": "M", "name": kind, "pid": pid, "tid": 0, "args": args}
        for row, pid in _ROWS.items()
        for kind, args in (("process_name", {"name": row}), ("process_sort_index", {"sort_index": pid}))
    ]
