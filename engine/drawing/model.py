"""The tiles and connections of an agent and of a run of it, ready to draw in any format.

Pure functions that never recurse over the graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tessera.text.masking import masked_prose
from tessera.text.wording import count, printable, seconds_of, short_json

if TYPE_CHECKING:
    from tessera.agent import AgentTemplate

    # A plan displays itself in notebooks with these modules, so only its type is imported from there.
    from tessera.graph.plan import Plan

__all__ = [
    "Drawing",
    "DrawnEdge",
    "DrawnTile",
    "Flow",
    "draw",
    "edge_labels",
    "flows_of",
    "skip_label",
    "tile_notes",
    "unique_names",
]

TileState = Literal["runs", "removed", "skipped"]
EdgeState = Literal["kept", "gone", "rewired"]
_REMOVED: TileState = "removed"
_SKIPPED: TileState = "skipped"
_NOT_NOTED = ("completed", "")
"""Statuses that a drawing does not mention."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A tile's output in a run or a simulation, which every connection from the tile carries.

    Attributes
    ----------
    kinds
        The number of items of each kind.
    durations_ms
        The duration of each item that has one.
    status
        The tile's own status.
    """

    kinds: tuple[tuple[str, int], ...] = ()
    durations_ms: tuple[float, ...] = ()
    status: str = ""

    @property
    def items(self) -> int:
        return sum(number for _kind, number in self.kinds)

    def __str__(self) -> str:
        """Return a few words: `3 × 6 s`, `2 items, 17.5 s`, `1 image`."""
        if not self.items:
            return "no items" if self.status in _NOT_NOTED else self.status.replace("_", " ")
        noun = self.kinds[0][0] if len(self.kinds) == 1 else "item"
        if not self.durations_ms:
            return count(self.items, noun)
        first = self.durations_ms[0]
        if len(self.durations_ms) == self.items and all(duration == first for duration in self.durations_ms):
            return f"{self.items:,} × {seconds_of(first)}"
        return f"{count(self.items, 'item')}, {seconds_of(sum(self.durations_ms))}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "items": self.items,
            "kinds": dict(self.kinds),
            "durations_ms": list(self.durations_ms),
            "status": self.status,
        }


@dataclass(frozen=True, slots=True)
class DrawnTile:
    """A tile of the template with its state in the run, its overrides (name, old, new) and its output."""

    id: str
    name: str
    category: str
    state: TileState
    overrides: tuple[tuple[str, Any, Any], ...] = ()
    flow: Flow | None = None

    def to_dict(self) -> dict[str, Any]:
        overridden = [{"parameter": name, "old": old, "new": new} for name, old, new in self.overrides]
        return {
            "agent_node_id": self.id,
            "node_type_name": self.name,
            "category": self.category,
            "state": self.state,
            "overridden": overridden,
            **({"makes": self.flow.to_dict()} if self.flow else {}),
        }


@dataclass(frozen=True, slots=True)
class DrawnEdge:
    """A connection of the template or of the run, and the output that it carries.

    Attributes
    ----------
    via
        The removed tiles that a rewired connection skips.
    """

    source: str
    target: str
    state: EdgeState
    via: tuple[str, ...] = ()
    flow: Flow | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "target": self.target,
            "state": self.state,
            "via": list(self.via),
            **({"carries": self.flow.to_dict()} if self.flow else {}),
        }


@dataclass(frozen=True, slots=True)
class Drawing:
    """Tiles in the template's order and connections in the order of their tiles.

    Attributes
    ----------
    order
        The ids of all tiles: with a plan, those that run in the plan's order and then the others;
        without one, in the template's order.
    """

    tiles: tuple[DrawnTile, ...]
    edges: tuple[DrawnEdge, ...]
    order: tuple[str, ...]
    name: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "tiles": [tile.to_dict() for tile in self.tiles],
            "edges": [edge.to_dict() for edge in self.edges],
        }


def draw(
    template: AgentTemplate, plan: Plan | None = None, flows: Mapping[str, Flow] | None = None
) -> Drawing:
    """Return the drawing of a template and, with a plan, of the run's changes to it.

    Parameters
    ----------
    flows
        The output of each tile of the plan, by its id. It labels the connections.
    """
    ids = [node.id for node in template]
    pairs = [(edge.source, edge.target) for edge in template.connections]
    states: dict[str, TileState] = dict.fromkeys(ids, "runs")
    live: dict[tuple[str, str], tuple[str, ...]] = dict.fromkeys(pairs, ())
    overrides: dict[str, list[tuple[str, Any, Any]]] = {}
    order: Sequence[str] = ids
    outputs = flows or {}
    if plan is not None:
        states.update(dict.fromkeys(plan.changes.removed, _REMOVED))
        states.update(dict.fromkeys(plan.changes.skipped, _SKIPPED))
        # The plan's graph holds the edges after rewriting: kept and rewired ones.
        live = {(source, target): via for source, target, via in plan.graph.edges(data="via")}
        for change in plan.changes.overridden:
            overrides.setdefault(change.node, []).append((change.parameter, change.old, change.new))
        order = [*plan.order, *(node for node, state in states.items() if state != "runs")]
    position = {node: index for index, node in enumerate(ids)}
    edges = [
        DrawnEdge(*pair, "rewired" if via else "kept", via, outputs.get(pair[0]))
        for pair, via in live.items()
    ]
    edges += [DrawnEdge(*pair, "gone") for pair in pairs if pair not in live]
    tiles = [
        DrawnTile(
            node.id,
            node.name,
            node.type.category,
            states[node.id],
            tuple(overrides.get(node.id, ())),
            outputs.get(node.id),
        )
        for node in template
    ]
    edges.sort(key=lambda edge: (position[edge.source], position[edge.target]))
    return Drawing(tuple(tiles), tuple(edges), tuple(order), template.name or "")


def flows_of(record: Mapping[str, Any]) -> dict[str, Flow]:
    """Return the output of each tile of a run, by its id; every connection from the tile carries it."""
    kinds: dict[str, Counter[str]] = {}
    durations: dict[str, list[float]] = {}
    for item in record.get("items", ()):
        kinds.setdefault(item["agent_node_id"], Counter())[item["kind"]] += 1
        if item.get("duration_ms") is not None:
            durations.setdefault(item["agent_node_id"], []).append(item["duration_ms"])
    return {
        node: Flow(tuple(kinds.get(node, {}).items()), tuple(durations.get(node, ())), entry["status"])
        for entry in record["nodes"]
        for node in (entry["original_node_id"],)
    }


def unique_names(tiles: Sequence[DrawnTile]) -> dict[str, str]:
    """Return each tile's name by its id; tiles that share a name are numbered."""
    names = {tile.id: printable(" ".join(masked_prose(tile.name).split())) for tile in tiles}
    total, seen = Counter(names.values()), Counter[str]()
    for node, name in names.items():
        seen[name] += 1
        if total[name] > 1:
            names[node] = f"{name} #{seen[name]}"
    return names


def tile_notes(tile: DrawnTile) -> list[str]:
    """Return the notes below a tile's name: its state, its status, and each overridden parameter."""
    states: list[str] = [] if tile.state == "runs" else [tile.state]
    if tile.flow and tile.flow.status not in _NOT_NOTED:
        states.append(tile.flow.status.replace("_", " "))
    return [*states, *(f"{name}: {short_json(old)} → {short_json(new)}" for name, old, new in tile.overrides)]


def skip_label(names: Iterable[str]) -> str:
    """Return a label that names the first three tiles that a rewired connection skips."""
    skipped = list(names)
    more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return f"skips {', '.join(skipped[:3])}{more}"


def edge_labels(edge: DrawnEdge, names: Mapping[str, str]) -> list[str]:
    """Return the labels of a connection: the tiles that it skips, and the output that it carries."""
    skipped = [skip_label(names[node] for node in edge.via)] if edge.via else []
    return [*skipped, str(edge.flow)] if edge.flow else skipped
