"""The record of a run: a fold over its events, the contract's run object with members of ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.media.algebra.item import Item
from tessera.record.events import (
    Answered,
    Event,
    ItemMade,
    NodeChanged,
    NodeLog,
    NodeWork,
    OutputFailed,
    OutputMade,
    RunFinished,
    RunResumed,
    RunStarted,
)
from tessera.record.item_record import item_record
from tessera.record.status import NodeStatus, RunStatus, check_transition, counts
from tessera.text.json_text import json_text

if TYPE_CHECKING:
    # The record of a simulation holds its forecast, which is computed from the record: only the type goes up.
    from tessera.forecast.forecast import Forecast

__all__ = ["NodeRecord", "Output", "RunRecord", "fold"]


@dataclass(slots=True)
class NodeRecord:
    """What became of one tile."""

    facts: dict[str, Any]
    status: NodeStatus = NodeStatus.NOT_STARTED
    message: str | None = None
    errors: tuple[str, ...] = ()
    seconds: float | None = None
    made: int = 0
    logs: tuple[str, ...] = ()
    answers: tuple[tuple[str, str, str], ...] = ()
    needs_credits: bool = False
    work: str | None = None
    work_why: str = ""

    @property
    def id(self) -> str:
        """The template's id of the tile."""
        return str(self.facts["original_node_id"])

    @property
    def name(self) -> str:
        return str(self.facts["node_type_name"])

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.facts,
            "status": self.status.value,
            "status_message": self.message,
            "errors": list(self.errors),
            "needs_credits": self.needs_credits,
            "items": self.made,
            "seconds": self.seconds,
            "work": {"how": self.work, "why": self.work_why} if self.work else None,
            "logs": list(self.logs),
            "answers": [
                {"question": question, "about": about, "origin": origin}
                for question, about, origin in sorted(self.answers)
            ],
        }


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a run: the members of the contract, and of ours `path`, `media_type` and what it is."""

    raw: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.raw["id"])

    @property
    def node(self) -> str:
        """The template's id of the tile that made it."""
        return str(self.raw["original_node_id"])

    @property
    def path(self) -> Path | None:
        """The rendered file; None in a simulation."""
        return Path(self.raw["path"]) if self.raw["path"] else None

    @property
    def thumbnail_path(self) -> Path | None:
        return Path(self.raw["thumbnail_path"]) if self.raw["thumbnail_path"] else None

    @property
    def kind(self) -> str:
        return str(self.raw["kind"])

    @property
    def duration_ms(self) -> int | None:
        return self.raw.get("duration_ms")

    @property
    def width(self) -> int | None:
        return self.raw.get("width")

    @property
    def height(self) -> int | None:
        return self.raw.get("height")

    @property
    def fps(self) -> str | None:
        """Frames per second as an exact fraction, such as `30000/1001`."""
        return self.raw.get("fps")

    @property
    def has_audio(self) -> bool:
        return bool(self.raw.get("has_audio"))


@dataclass(slots=True)
class RunRecord:
    """The state of a run, folded from its events. `apply` is the only thing that changes it.

    Attributes
    ----------
    forecast
        Of a simulation that was asked for it: how long the run takes, and what it costs.

    Examples
    --------
    ``record.status``, ``record.outputs[0].path``, ``record.node("…").status``, ``record.to_dict()``.
    """

    start: RunStarted
    nodes: dict[str, NodeRecord]
    outputs: list[Output] = field(default_factory=list)
    made_items: list[Item | dict[str, Any]] = field(default_factory=list)
    failures: list[OutputFailed] = field(default_factory=list)
    status: RunStatus = RunStatus.RUNNING
    message: str | None = None
    updated_at: str = ""
    needs_credits: bool = False
    forecast: Forecast | None = None

    @classmethod
    def begin(cls, start: RunStarted) -> RunRecord:
        nodes = {facts["original_node_id"]: NodeRecord(facts) for facts in start.nodes}
        return cls(start, nodes, updated_at=start.at)

    def apply(self, event: Event) -> None:
        """Take in one event.

        Raises
        ------
        ValueError
            A tile may not take the status that the event gives it.
        """
        self.updated_at = event.at
        match event:
            case NodeChanged():
                node = self.nodes[event.node]
                check_transition(event.node, node.status, event.status)
                node.status, node.message = event.status, event.message
                node.errors += event.errors
                if event.seconds is not None:
                    node.seconds = event.seconds
            case NodeWork():
                self.nodes[event.node].work, self.nodes[event.node].work_why = event.how, event.why
            case ItemMade():
                self.nodes[event.node].made += 1
                self.made_items.append(event.item)
            case OutputMade():
                self.outputs.append(Output({**event.output, "delivered_by": event.by}))
            case OutputFailed():
                self.failures.append(event)
            case NodeLog():
                self.nodes[event.node].logs += (event.message,)
            case Answered():
                self.nodes[event.node].answers += ((event.question, event.about, event.origin),)
            case RunResumed():
                self._reopen()
            case RunFinished():
                self.status, self.message = event.status, event.message
                self._sort()

    def interrupt(self, why: str) -> None:
        """Say that the process that ran it is gone: what it was doing has failed, the rest was not begun."""
        self.status, self.message = RunStatus.FAILED, why
        for node in self.nodes.values():
            if node.status is NodeStatus.RUNNING:
                node.status, node.errors = NodeStatus.FAILED, (*node.errors, "interrupted")
            elif node.status is NodeStatus.QUEUED:
                node.status = NodeStatus.NOT_STARTED

    def _reopen(self) -> None:
        """Take back what is not done; outputs that are there stay."""
        self.status, self.message, self.failures = RunStatus.RUNNING, None, []
        for name, node in self.nodes.items():
            if node.status is not NodeStatus.COMPLETED:
                self.nodes[name] = NodeRecord(node.facts)
        self.made_items = [item for item in self.made_items if self.nodes[_maker(item)].made]

    def _sort(self) -> None:
        """Items and outputs by tile, then by index: the order of work on several threads is nobody's
        business.
        """
        place = {node: index for index, node in enumerate(self.nodes)}
        self.made_items.sort(key=lambda item: _place(item, place))
        self.outputs.sort(key=lambda output: (place[output.node], output.raw["index"]))

    @property
    def items(self) -> list[dict[str, Any]]:
        """What is said of each item: its id, its lineage, and what it is."""
        return [item_record(one) if isinstance(one, Item) else one for one in self.made_items]

    @property
    def run_id(self) -> str:
        return self.start.run_id

    @property
    def inputs(self) -> tuple[dict[str, Any], ...]:
        return self.start.inputs

    @property
    def warnings(self) -> tuple[dict[str, str], ...]:
        return self.start.warnings

    @property
    def errors(self) -> list[dict[str, Any]]:
        """`[{original_node_id, messages}]` of every tile that has some."""
        return [
            {"original_node_id": node.id, "messages": list(node.errors)}
            for node in self.nodes.values()
            if node.errors
        ]

    def node(self, node: str) -> NodeRecord:
        """What became of the tile with this template id.

        Raises
        ------
        KeyError
            No such tile ran.
        """
        return self.nodes[node]

    def to_dict(self, *, items: bool = True) -> dict[str, Any]:
        """The record as JSON values: the contract's run object, and of ours the members from `mode` on."""
        record = {
            "run_id": self.run_id,
            "agent_id": self.start.agent["id"],
            "started_at": self.start.at,
            "updated_at": self.updated_at,
            "status": self.status.value,
            "status_message": self.message,
            "needs_credits": self.needs_credits,
            "errors": self.errors,
            "node_status_counts": counts(node.status for node in self.nodes.values()),
            "inputs": list(self.inputs),
            "outputs": [self._with_source_info(output.raw) for output in self.outputs],
            "triggered_by": self.start.triggered_by,
            "mode": self.start.mode,
            "stubs": list(self.start.stubs),
            "faults": list(self.start.faults),
            "part": self.start.part,
            "agent_name": self.start.agent["name"],
            "nodes": [node.to_dict() for node in self.nodes.values()],
            "warnings": list(self.warnings),
            "changes": self.start.changes,
            "request": self.start.request,
        }
        if self.forecast is not None:
            record["forecast"] = self.forecast.to_dict()
        return {**record, "items": self.items} if items else record

    def _with_source_info(self, raw: dict[str, Any]) -> dict[str, Any]:
        """An output, with what an archive says of each source that it shows (contract, section 3)."""
        known = {one["video_id"]: one["source_info"] for one in self.inputs if "source_info" in one}
        if not known:
            return raw
        pieces = [
            {**piece, "source_info": known[piece["source"]]} if piece["source"] in known else piece
            for piece in raw["sources"]
        ]
        return {**raw, "sources": pieces}

    def to_json(self) -> str:
        return json_text(self.to_dict(), 1) + "\n"


def _maker(item: Item | dict[str, Any]) -> str:
    return item.node if isinstance(item, Item) else str(item["agent_node_id"])


def _place(item: Item | dict[str, Any], place: dict[str, int]) -> tuple[int, int]:
    if isinstance(item, Item):
        return place[item.node], item.index
    return place[item["agent_node_id"]], item["index"]


def fold(events: Iterable[Event]) -> RunRecord:
    """The record that a sequence of events leads to.

    Raises
    ------
    ValueError
        There is no event, or the first is not `RunStarted`.
    """
    record: RunRecord | None = None
    for event in events:
        if record is None:
            if not isinstance(event, RunStarted):
                raise ValueError("the first event of a run is RunStarted")
            record = RunRecord.begin(event)
        else:
            record.apply(event)
    if record is None:
        raise ValueError("a run has at least one event")
    return record
