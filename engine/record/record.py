"""The record of a run: the state folded from its events.

Its JSON is the run object of the contract with additional members.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tessera.media.algebra.item import Item
from tessera.record.deviation_record import deviation_warning
from tessera.record.events import (
    Answered,
    Event,
    ItemMade,
    NodeChanged,
    NodeDeviated,
    NodeLog,
    NodeWork,
    OutputFailed,
    OutputMade,
    RunFinished,
    RunResumed,
    RunStarted,
)
from tessera.record.item_record import item_record
from tessera.record.output import Output
from tessera.record.status import NodeStatus, RunStatus, check_transition, counts
from tessera.text.json_text import json_text

if TYPE_CHECKING:
    # The forecast of a simulation is computed from its record, so only the type is imported from above.
    from tessera.forecast.forecast import Forecast

__all__ = ["NodeRecord", "RunRecord", "fold"]


@dataclass(slots=True)
class NodeRecord:
    """The state of one tile."""

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
    deviations: tuple[dict[str, Any], ...] = ()

    @property
    def id(self) -> str:
        """The id of the tile in the template."""
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
            "not_as_asked": list(self.deviations),
            "logs": list(self.logs),
            "answers": [
                {"question": question, "about": about, "origin": origin}
                for question, about, origin in sorted(self.answers)
            ],
        }


def _as_left(output: Output, event: RunFinished) -> Output:
    """Return an output that claims no file which is gone. Its medium stays in the workspace."""
    gone = output.id in event.lost
    if not gone and output.id not in event.lost_thumbnails:
        return output
    files = ("path", "video_url") if gone else ()
    return Output({**output.raw, **dict.fromkeys((*files, "thumbnail_path", "thumbnail_url"))})


@dataclass(slots=True)
class RunRecord:
    """The state of a run, folded from its events. Nothing but its events changes it.

    Attributes
    ----------
    forecast
        The expected duration and cost, in a simulation that computes them.

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
    last_warnings: tuple[dict[str, str], ...] = ()
    forecast: Forecast | None = None

    @classmethod
    def begin(cls, start: RunStarted) -> RunRecord:
        nodes = {facts["original_node_id"]: NodeRecord(facts) for facts in start.nodes}
        return cls(start, nodes, updated_at=start.at)

    def apply(self, event: Event) -> None:
        """Apply one event.

        Raises
        ------
        ValueError
            If the event changes the status of a tile in a way that is not allowed.
        """
        self.updated_at = event.at
        match event:
            case NodeChanged():
                self.change_status(event.node, event.status, event.message, event.errors, event.seconds)
            case NodeWork():
                self.nodes[event.node].work, self.nodes[event.node].work_why = event.how, event.why
            case ItemMade():
                self.add_items(event.node, (event.item,))
            case OutputMade():
                self.outputs.append(Output(event.output, event.by))
            case OutputFailed():
                self.failures.append(event)
            case NodeLog():
                self.nodes[event.node].logs += (event.message,)
            case NodeDeviated():
                self.nodes[event.node].deviations += (event.deviation,)
            case Answered():
                self.nodes[event.node].answers += ((event.question, event.about, event.origin),)
            case RunResumed():
                self._reopen()
            case RunFinished():
                self.status, self.message = event.status, event.message
                self.last_warnings = event.warnings
                if event.lost or event.lost_thumbnails:
                    self.outputs = [_as_left(output, event) for output in self.outputs]
                self._sort()

    def change_status(
        self,
        node: str,
        status: NodeStatus,
        message: str | None,
        errors: tuple[str, ...],
        seconds: float | None,
    ) -> None:
        """Change the status of a tile as `NodeChanged` says.

        Raises
        ------
        ValueError
            If the change is not allowed.
        """
        entry = self.nodes[node]
        check_transition(node, entry.status, status)
        entry.status, entry.message = status, message
        if errors:
            entry.errors += errors
        if seconds is not None:
            entry.seconds = seconds

    def add_items(self, node: str, items: Sequence[Item | dict[str, Any]]) -> None:
        """Add items that a tile made, as `ItemMade` says for each."""
        self.nodes[node].made += len(items)
        self.made_items.extend(items)

    def interrupt(self, why: str) -> None:
        """Mark the run as failed after its process died: running tiles failed, queued ones did not start."""
        self.status, self.message = RunStatus.FAILED, why
        for node in self.nodes.values():
            if node.status is NodeStatus.RUNNING:
                node.status, node.errors = NodeStatus.FAILED, (*node.errors, "interrupted")
            elif node.status is NodeStatus.QUEUED:
                node.status = NodeStatus.NOT_STARTED

    def _reopen(self) -> None:
        """Reset all tiles that are not completed, with their items. Existing outputs stay."""
        self.status, self.message, self.failures = RunStatus.RUNNING, None, []
        self.last_warnings = ()
        for node_id, node in self.nodes.items():
            if node.status is not NodeStatus.COMPLETED:
                self.nodes[node_id] = NodeRecord(node.facts)
        self.made_items = [item for item in self.made_items if self.nodes[_node_of(item)].made]

    def _sort(self) -> None:
        """Sort items and outputs by tile, then by index."""
        # The order in which threads finish varies; the record of a run must not.
        position = {node: index for index, node in enumerate(self.nodes)}
        self.made_items.sort(key=lambda item: (position[_node_of(item)], _index_of(item)))
        self.outputs.sort(key=lambda output: (position[output.node], output.index))

    @property
    def items(self) -> list[dict[str, Any]]:
        """The record of each item: its id, its lineage and its media properties."""
        return [item_record(item) if isinstance(item, Item) else item for item in self.made_items]

    @property
    def run_id(self) -> str:
        return self.start.run_id

    @property
    def inputs(self) -> tuple[dict[str, Any], ...]:
        return self.start.inputs

    @property
    def warnings(self) -> tuple[dict[str, str], ...]:
        made = (
            deviation_warning(found, f"{node.name} {node.id}")
            for node in self.nodes.values()
            if node.deviations
            for found in node.deviations
        )
        return (*self.start.warnings, *made, *self.last_warnings)

    @property
    def errors(self) -> list[dict[str, Any]]:
        """`[{original_node_id, messages}]` of each tile with errors."""
        return [
            {"original_node_id": node.id, "messages": list(node.errors)}
            for node in self.nodes.values()
            if node.errors
        ]

    def node(self, node: str) -> NodeRecord:
        """Return the state of the tile with this template id.

        Raises
        ------
        KeyError
            If no such tile ran.
        """
        return self.nodes[node]

    def to_dict(self, *, items: bool = True) -> dict[str, Any]:
        """Return the record as JSON values. The members from `mode` on are additions to the contract."""
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
        """Return an output with the `source_info` of each source from an archive (contract, section 3)."""
        known = {entry["video_id"]: entry["source_info"] for entry in self.inputs if "source_info" in entry}
        if not known:
            return raw
        pieces = [
            {**piece, "source_info": known[piece["source"]]} if piece["source"] in known else piece
            for piece in raw["sources"]
        ]
        return {**raw, "sources": pieces}

    def to_json(self) -> str:
        return json_text(self.to_dict(), 1) + "\n"

    def _repr_html_(self) -> str:
        """Return the display of the record in a notebook."""
        # Imported here, because only notebooks need it, and drawing is slow to import.
        from tessera.reports.notebook import run_html

        return run_html(self.to_dict(), None if self.forecast is None else self.forecast.plan)


# Items are values while the run is in memory, and records (JSON) when its events were read back.
def _node_of(item: Item | dict[str, Any]) -> str:
    return item.node if isinstance(item, Item) else str(item["agent_node_id"])


def _index_of(item: Item | dict[str, Any]) -> int:
    return item.index if isinstance(item, Item) else int(item["index"])


def fold(events: Iterable[Event]) -> RunRecord:
    """Return the record that a sequence of events results in.

    Raises
    ------
    ValueError
        If there is no event, or the first is not `RunStarted`.
    """
    record: RunRecord | None = None
    for event in events:
        if record is None:
            if not isinstance(event, RunStarted):
                raise ValueError("the first event of a run must be RunStarted")
            record = RunRecord.begin(event)
        else:
            record.apply(event)
    if record is None:
        raise ValueError("a run must have at least one event")
    return record
