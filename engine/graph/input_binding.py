"""Which inputs go to which Video Input: the rules of the contract's section 3 that need no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tessera.errors import Fault, pointer
from tessera.graph.model import Tile
from tessera.request import Outline, RunRequest, SourceRef
from tessera.text.nearest import comma_list, suggestion

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["ALIKE", "SUGGESTIONS", "InputBinding", "bind_inputs", "input_faults", "input_nodes"]

ALIKE = 80
"""How much alike two ids must be, of 100, for one to be a slip of the other: any two are half alike."""

SUGGESTIONS = 20
"""The most ids of a request that are compared with all others: a comparison looks at every tile."""


@dataclass(frozen=True, slots=True)
class InputBinding:
    """The sources of one Video Input (or trigger), in order."""

    node: str
    sources: tuple[SourceRef, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"agent_node_id": self.node, "sources": [source.to_dict() for source in self.sources]}


def input_nodes(graph: nx.DiGraph) -> list[str]:
    """What the request fills: the Video Inputs of a runnable graph, or its triggers where it has none."""
    found: dict[str, list[str]] = {"input": [], "trigger": []}
    for node, tile in graph.nodes(data="node"):
        if tile.type.category in found:
            found[tile.type.category].append(node)
    return found["input"] or found["trigger"]


def input_faults(outline: Outline, runnable: nx.DiGraph, template: Mapping[str, Tile]) -> Iterator[Fault]:
    """Every rule about inputs that a request breaks.

    Parameters
    ----------
    runnable
        The graph of the run, after all rewrites.
    template
        Every tile of the template by its id in lower case.
    """
    nodes = input_nodes(runnable)
    if not nodes:
        for name in (*outline.fields, *(["video_inputs"] if outline.entries else []), *outline.clip):
            yield Fault(pointer(name), "request", "this agent takes no inputs: no Video Input of it runs")
        return
    if outline.fields and outline.entries:
        what = f"give 'video_inputs' or the arrays at top level ({', '.join(outline.fields)}), not both"
        yield Fault("/video_inputs", "request", what)
    for name in () if outline.fields else outline.clip:
        hint = "put it into an entry of 'video_inputs'" if outline.entries else "give a source with it"
        yield Fault(pointer(name), "request", f"{name!r} at top level has no source beside it: {hint}")
    if outline.entries:
        yield from _entry_faults(outline, nodes, template)
    elif not outline.fields:
        what = (
            f"the agent needs inputs for its Video Input{'s' if len(nodes) > 1 else ''} {comma_list(nodes)}"
        )
        yield Fault("", "request", what)
    elif len(nodes) > 1:
        several = f"the agent has {len(nodes)} Video Inputs that run ({comma_list(nodes)})"
        for name in outline.fields:
            yield Fault(pointer(name), "request", f"{several}: use 'video_inputs', one entry for each")


def _entry_faults(outline: Outline, nodes: list[str], template: Mapping[str, Tile]) -> Iterator[Fault]:
    wanted = {node.lower(): node for node in nodes}
    first_at: dict[str, int] = {}
    readable = True
    for index, node, has_sources in outline.entries:
        loc = pointer("video_inputs", index, "agent_node_id")
        if node is None:
            readable = False
            continue
        key = node.lower()
        if key in first_at:
            yield Fault(loc, "request", f"Video Input {node} has an entry already (entry {first_at[key]})")
        elif key not in wanted:
            yield Fault(loc, "request", _why_not(node, template, nodes, index))
        first_at.setdefault(key, index)
        if not has_sources:
            what = f"the entry of {node} has no source: give at least one"
            yield Fault(pointer("video_inputs", index), "request", what)
    missing = [node for key, node in wanted.items() if key not in first_at]
    if missing and readable:
        what = f"no entry for Video Input {comma_list(missing)}: each that runs needs one"
        yield Fault("/video_inputs", "request", what)


def _why_not(node: str, template: Mapping[str, Tile], wanted: Sequence[str], index: int) -> str:
    """Why the node of an entry cannot take inputs."""
    allowed = f"allowed: {comma_list(wanted)}"
    tile = template.get(node.lower())
    if tile is None:
        near = suggestion(node, wanted, least=ALIKE) if index < SUGGESTIONS else ""
        return f"unknown node {node}{near}; {allowed}"
    if not (tile.type.is_input() or tile.type.is_trigger()):
        return f"node {node} is a {tile.name}, not a Video Input; {allowed}"
    return f"{tile.name} {node} does not run (it is ignored, or a trigger beside a Video Input); {allowed}"


def bind_inputs(request: RunRequest, runnable: nx.DiGraph) -> tuple[InputBinding, ...]:
    """The sources of each Video Input of a request without faults, in the order of the template."""
    nodes = input_nodes(runnable)
    top = tuple(request.refs())
    if top:
        return (InputBinding(nodes[0], top),)
    entries = {
        entry.agent_node_id.lower(): tuple(entry.refs("video_inputs", index))
        for index, entry in enumerate(request.video_inputs or ())
    }
    return tuple(InputBinding(node, entries[node.lower()]) for node in nodes)
