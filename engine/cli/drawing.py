"""An agent and what a run makes of it, drawn as text. Pure functions that never recurse over the graph."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from engine.cli.output import clean

if TYPE_CHECKING:
    from engine.agent import AgentTemplate
    from engine.graph.plan import Plan

__all__ = ["Drawing", "DrawnEdge", "DrawnTile", "ascii_of", "draw", "mermaid_of", "short_ids", "shown"]

TileState = Literal["runs", "removed", "skipped"]
EdgeState = Literal["kept", "gone", "rewired"]
_REMOVED: TileState = "removed"
_SKIPPED: TileState = "skipped"
_WIDTH = 110
_SHORTEST = 8


@dataclass(frozen=True, slots=True)
class DrawnTile:
    """A tile of the template, what becomes of it in the run, and its overrides: (name, old, new)."""

    id: str
    name: str
    category: str
    state: TileState
    overrides: tuple[tuple[str, Any, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        overridden = [{"parameter": name, "old": old, "new": new} for name, old, new in self.overrides]
        return {
            "agent_node_id": self.id,
            "node_type_name": self.name,
            "category": self.category,
            "state": self.state,
            "overridden": overridden,
        }


@dataclass(frozen=True, slots=True)
class DrawnEdge:
    """A connection of the template or of the run; `via`: the removed tiles that a rewired one leads past."""

    source: str
    target: str
    state: EdgeState
    via: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {"source": self.source, "target": self.target, "state": self.state, "via": list(self.via)}


@dataclass(frozen=True, slots=True)
class Drawing:
    """What there is to draw: tiles in the template's order, connections in that of the tiles."""

    tiles: tuple[DrawnTile, ...]
    edges: tuple[DrawnEdge, ...]
    order: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "tiles": [tile.to_dict() for tile in self.tiles],
            "edges": [edge.to_dict() for edge in self.edges],
        }


def draw(template: AgentTemplate, plan: Plan | None = None) -> Drawing:
    """The template and, with a plan, this run's changes to it."""
    ids = [node.id for node in template]
    pairs = [(edge.source, edge.target) for edge in template.connections]
    states: dict[str, TileState] = dict.fromkeys(ids, "runs")
    live: dict[tuple[str, str], tuple[str, ...]] = dict.fromkeys(pairs, ())
    overrides: dict[str, list[tuple[str, Any, Any]]] = {}
    order: Sequence[str] = ids
    if plan is not None:
        states.update(dict.fromkeys(plan.changes.removed, _REMOVED))
        states.update(dict.fromkeys(plan.changes.skipped, _SKIPPED))
        live = {(source, target): via for source, target, via in plan.graph.edges(data="via")}
        for change in plan.changes.overridden:
            overrides.setdefault(change.node, []).append((change.parameter, change.old, change.new))
        order = [*plan.order, *(node for node, state in states.items() if state != "runs")]
    place = {node: index for index, node in enumerate(ids)}
    edges = [DrawnEdge(*pair, "rewired" if via else "kept", via) for pair, via in live.items()]
    edges += [DrawnEdge(*pair, "gone") for pair in pairs if pair not in live]
    tiles = [
        DrawnTile(node.id, node.name, node.type.category, states[node.id], tuple(overrides.get(node.id, ())))
        for node in template
    ]
    edges.sort(key=lambda edge: (place[edge.source], place[edge.target]))
    return Drawing(tuple(tiles), tuple(edges), tuple(order))


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """The shortest beginning of each id, of eight characters at least, that no other id shares.

    >>> short_ids(["11111111-aaaa", "11111111-abbb", "22222222-cccc"])
    {'11111111-aaaa': '11111111-aa', '11111111-abbb': '11111111-ab', '22222222-cccc': '22222222'}
    """
    known = list(dict.fromkeys(ids))
    ranked = sorted(known, key=str.lower)
    need = dict.fromkeys(known, _SHORTEST)
    for before, after in pairwise(ranked):
        common = _common(before.lower(), after.lower()) + 1
        need[before], need[after] = max(need[before], common), max(need[after], common)
    return {node: node[: need[node]] for node in known}


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    for index, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return index
    return min(len(one), len(other))


def labels(tiles: Sequence[DrawnTile]) -> dict[str, str]:
    """What a tile is called in a drawing: its name, and a number after it where several share that."""
    names = {tile.id: clean(" ".join(tile.name.split())) for tile in tiles}
    count, seen = Counter(names.values()), Counter[str]()
    for node, name in names.items():
        seen[name] += 1
        if count[name] > 1:
            names[node] = f"{name} #{seen[name]}"
    return names


def shown(value: Any, limit: int = 40) -> str:
    """A parameter's value on one line, cut at `limit` characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _state(tile: DrawnTile) -> list[str]:
    return [] if tile.state == "runs" else [tile.state]


def _overrides(tile: DrawnTile) -> list[str]:
    return [f"{name}: {shown(old)} → {shown(new)}" for name, old, new in tile.overrides]


# mermaid


_STYLES = (
    "classDef removed stroke-dasharray:5 5,opacity:0.5,text-decoration:line-through",
    "classDef skipped stroke-dasharray:2 4,opacity:0.5",
    "classDef overridden stroke-width:3px",
)
_SHAPES: Mapping[str, tuple[str, str]] = {
    "input": ("([", "])"),
    "trigger": ("([", "])"),
    "output": ("[[", "]]"),
    "export": ("[[", "]]"),
}
_ARROWS: Mapping[EdgeState, str] = {"kept": "-->", "gone": "-.->", "rewired": "==>"}


def mermaid_of(drawing: Drawing) -> str:
    """A mermaid flowchart: removed tiles dashed and struck through, rewired edges thick and labelled."""
    names = {tile.id: f"n{index}" for index, tile in enumerate(drawing.tiles)}
    short, called = short_ids(names), {tile.id: tile.name for tile in drawing.tiles}
    lines = ["flowchart LR"]
    used = set()
    for tile in drawing.tiles:
        before, after = _SHAPES.get(tile.category, ("[", "]"))
        parts = [tile.name, short[tile.id], *_state(tile)]
        parts += _overrides(tile)
        style = tile.state if tile.state != "runs" else "overridden" if tile.overrides else ""
        used.add(style)
        lines.append(f"  {names[tile.id]}{before}{_quoted(parts)}{after}{':::' * bool(style)}{style}")
    for edge in drawing.edges:
        label = f"|{_quoted([_skips(called[node] for node in edge.via)])}|" if edge.via else ""
        lines.append(f"  {names[edge.source]} {_ARROWS[edge.state]}{label} {names[edge.target]}")
    lines += [f"  {style}" for style in _STYLES if style.split()[1] in used]
    return "\n".join(lines) + "\n"


def _quoted(parts: Iterable[str]) -> str:
    return '"' + "<br/>".join(_escaped(part) for part in parts) + '"'


def _escaped(text: str) -> str:
    """Text as a quoted mermaid label holds it: whatever has a meaning there as a character code."""
    return "".join(
        character if character.isalnum() or character in " .,:/+-_=→…·()" else f"#{ord(character)};"
        for character in " ".join(text.split())
    )


def _skips(names: Iterable[str]) -> str:
    """What a rewired connection leads past, in a few words."""
    listed = list(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return f"skips {', '.join(listed[:3])}{more}"


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
        notes = [*_state(tile), *_overrides(tile)]
        yield f"  {called[tile.id]:{wide}}  {short[tile.id]:{deep}}  {', '.join(notes)}".rstrip()


def _chain_lines(
    edges: Sequence[DrawnEdge], order: Sequence[str], called: Mapping[str, str], off: set[str]
) -> Iterator[str]:
    for chain in chains(edges, order):
        words = [_struck(called[chain[0].source], chain[0].source in off)]
        for edge in chain:
            arrow = "┄▶" if edge.state == "gone" else "─▶"
            if edge.via:
                arrow = f"═({_skips(called[node] for node in edge.via)})═▶"
            words.append(f"{arrow} {_struck(called[edge.target], edge.target in off)}")
        yield from _wrapped(words)


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
