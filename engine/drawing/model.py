"""What there is to draw of an agent and of a run of it, and its drawing as plain text.

Pure functions that never recurse over the graph. `tessera.drawing.markup` draws the same for mermaid and
Graphviz, `tessera.drawing.svg` as a picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tessera.text.wording import clean, count, seconds_of, short_ids, shown

if TYPE_CHECKING:
    from tessera.agent import AgentTemplate
    from tessera.graph.plan import Plan

__all__ = [
    "Drawing",
    "DrawnEdge",
    "DrawnTile",
    "Flow",
    "ascii_of",
    "chains",
    "draw",
    "edge_words",
    "labels",
    "notes",
    "skips",
]

TileState = Literal["runs", "removed", "skipped"]
EdgeState = Literal["kept", "gone", "rewired"]
_REMOVED: TileState = "removed"
_SKIPPED: TileState = "skipped"
_WIDTH = 110
_FINE = ("completed", "")


@dataclass(frozen=True, slots=True)
class Flow:
    """What a tile made in a run or a simulation: it goes along each connection that leaves the tile.

    Attributes
    ----------
    kinds
        How many items of each kind.
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
        """In a few words: `3 × 6 s`, `2 items, 17.5 s`, `1 image`."""
        if not self.items:
            return "no items" if self.status in _FINE else self.status.replace("_", " ")
        what = self.kinds[0][0] if len(self.kinds) == 1 else "item"
        if not self.durations_ms:
            return count(self.items, what)
        first = self.durations_ms[0]
        if len(self.durations_ms) == self.items and all(one == first for one in self.durations_ms):
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
    """A tile of the template, what becomes of it, its overrides (name, old, new), and what it makes."""

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
    """A connection of the template or of the run, and what goes along it.

    Attributes
    ----------
    via
        The removed tiles that a rewired connection leads past.
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
    """What there is to draw: tiles in the template's order, connections in that of the tiles."""

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
    """The template and, with a plan, this run's changes to it; with `flows`, what goes along the connections.

    Parameters
    ----------
    flows
        What each tile of the plan made, by its id.
    """
    ids = [node.id for node in template]
    pairs = [(edge.source, edge.target) for edge in template.connections]
    states: dict[str, TileState] = dict.fromkeys(ids, "runs")
    live: dict[tuple[str, str], tuple[str, ...]] = dict.fromkeys(pairs, ())
    overrides: dict[str, list[tuple[str, Any, Any]]] = {}
    order: Sequence[str] = ids
    made = flows or {}
    if plan is not None:
        states.update(dict.fromkeys(plan.changes.removed, _REMOVED))
        states.update(dict.fromkeys(plan.changes.skipped, _SKIPPED))
        live = {(source, target): via for source, target, via in plan.graph.edges(data="via")}
        for change in plan.changes.overridden:
            overrides.setdefault(change.node, []).append((change.parameter, change.old, change.new))
        order = [*plan.order, *(node for node, state in states.items() if state != "runs")]
    place = {node: index for index, node in enumerate(ids)}
    edges = [
        DrawnEdge(*pair, "rewired" if via else "kept", via, made.get(pair[0])) for pair, via in live.items()
    ]
    edges += [DrawnEdge(*pair, "gone") for pair in pairs if pair not in live]
    tiles = [
        DrawnTile(
            node.id,
            node.name,
            node.type.category,
            states[node.id],
            tuple(overrides.get(node.id, ())),
            made.get(node.id),
        )
        for node in template
    ]
    edges.sort(key=lambda edge: (place[edge.source], place[edge.target]))
    return Drawing(tuple(tiles), tuple(edges), tuple(order), template.name or "")


def labels(tiles: Sequence[DrawnTile]) -> dict[str, str]:
    """What a tile is called in a drawing: its name, and a number after it where several share that."""
    names = {tile.id: clean(" ".join(tile.name.split())) for tile in tiles}
    number, seen = Counter(names.values()), Counter[str]()
    for node, name in names.items():
        seen[name] += 1
        if number[name] > 1:
            names[node] = f"{name} #{seen[name]}"
    return names


def notes(tile: DrawnTile) -> list[str]:
    """What is to be said of a tile besides its name: its state, and each parameter that is overridden."""
    told: list[str] = [] if tile.state == "runs" else [tile.state]
    if tile.flow and tile.flow.status not in _FINE:
        told.append(tile.flow.status.replace("_", " "))
    return [*told, *(f"{name}: {shown(old)} → {shown(new)}" for name, old, new in tile.overrides)]


def skips(names: Iterable[str]) -> str:
    """What a rewired connection leads past, in a few words."""
    listed = list(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return f"skips {', '.join(listed[:3])}{more}"


def edge_words(edge: DrawnEdge, called: Mapping[str, str]) -> list[str]:
    """What is to be said of a connection: what it leads past, and what goes along it."""
    past = [skips(called[node] for node in edge.via)] if edge.via else []
    return [*past, str(edge.flow)] if edge.flow else past


# plain text


def ascii_of(drawing: Drawing) -> str:
    """The connections as chains, each connection once, what is not in the run apart; then the tiles."""
    called = labels(drawing.tiles)
    off = {tile.id for tile in drawing.tiles if tile.state != "runs"}
    alive = [edge for edge in drawing.edges if edge.state != "gone"]
    gone = [edge for edge in drawing.edges if edge.state == "gone"]
    lines = list(_chain_lines(alive, drawing.order, called, off))
    if gone:
        lines += ["", "Not in this run:", *_chain_lines(gone, drawing.order, called, off)]
    lines += ["", "Tiles:", *_tile_lines(drawing, called)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _tile_lines(drawing: Drawing, called: Mapping[str, str]) -> Iterator[str]:
    short = short_ids(tile.id for tile in drawing.tiles)
    wide, deep = max(map(len, called.values()), default=0), max(map(len, short.values()), default=0)
    for tile in drawing.tiles:
        made = [f"makes {tile.flow}"] if tile.flow and tile.flow.items else []
        told = ", ".join(clean(note) for note in [*notes(tile), *made])
        yield f"  {called[tile.id]:{wide}}  {short[tile.id]:{deep}}  {told}".rstrip()


def _chain_lines(
    edges: Sequence[DrawnEdge], order: Sequence[str], called: Mapping[str, str], off: set[str]
) -> Iterator[str]:
    for chain in chains(edges, order):
        words = [_struck(called[chain[0].source], chain[0].source in off)]
        words += [
            f"{_arrow(edge, called)} {_struck(called[edge.target], edge.target in off)}" for edge in chain
        ]
        yield from _wrapped(words)


def _arrow(edge: DrawnEdge, called: Mapping[str, str]) -> str:
    line = {"gone": "┄", "kept": "─", "rewired": "═"}[edge.state]
    words = "; ".join(edge_words(edge, called))
    return f"{line}({words}){line}▶" if words else f"{line}▶"


def _struck(name: str, off: bool) -> str:
    return f"~{name}~" if off else name


def chains(edges: Sequence[DrawnEdge], order: Sequence[str]) -> Iterator[list[DrawnEdge]]:
    """The edges of a DAG as chains, every edge in one of them, begun as far upstream as can be."""
    onward: dict[str, list[DrawnEdge]] = {}
    for edge in reversed(edges):
        onward.setdefault(edge.source, []).append(edge)
    for start in order:
        while onward.get(start):
            chain = [onward[start].pop()]
            while onward.get(chain[-1].target):
                chain.append(onward[chain[-1].target].pop())
            yield chain


def _wrapped(words: Sequence[str]) -> Iterator[str]:
    line = "  " + words[0]
    for word in words[1:]:
        if len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = "     "
        line += " " + word
    yield line
