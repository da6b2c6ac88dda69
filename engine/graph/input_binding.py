"""The binding of inputs to Video Inputs: the rules of the contract's section 3 that need no network."""

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
"""The least similarity (0 to 100) at which an id is suggested: any two UUIDs score about 50."""

SUGGESTIONS = 20
"""The largest number of unknown ids that get a suggestion: each is compared with the id of every tile."""


@dataclass(frozen=True, slots=True)
class InputBinding:
    """The sources of one Video Input (or trigger), in order."""

    node: str
    sources: tuple[SourceRef, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"agent_node_id": self.node, "sources": [source.to_dict() for source in self.sources]}


def input_nodes(graph: nx.DiGraph) -> list[str]:
    """Return the tiles that need sources: the Video Inputs of a runnable graph, or else its triggers."""
    found: dict[str, list[str]] = {"input": [], "trigger": []}
    for node, tile in graph.nodes(data="node"):
        if tile.type.category in found:
            found[tile.type.category].append(node)
    return found["input"] or found["trigger"]


def input_faults(outline: Outline, runnable: nx.DiGraph, template: Mapping[str, Tile]) -> Iterator[Fault]:
    """Yield a fault for every rule about inputs that a request breaks.

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
            message = "this agent takes no inputs: none of its Video Inputs run"
            yield Fault(pointer(name), "request", message, "wrong_input")
        return
    if outline.fields and outline.entries:
        message = (
            f"use either 'video_inputs' or the shared-level arrays ({', '.join(outline.fields)}), not both"
        )
        yield Fault("/video_inputs", "request", message, "wrong_input")
    for name in () if outline.fields else outline.clip:
        hint = "move it into an entry of 'video_inputs'" if outline.entries else "add a source"
        message = f"shared-level {name!r} has no source to apply to: {hint}"
        yield Fault(pointer(name), "request", message, "missing_input")
    if outline.entries:
        yield from _entry_faults(outline, nodes, template)
    elif not outline.fields:
        message = (
            f"the agent needs inputs for its Video Input{'s' if len(nodes) > 1 else ''} {comma_list(nodes)}"
        )
        yield Fault("", "request", message, "missing_input")
    elif len(nodes) > 1:
        inputs = f"{len(nodes)} Video Inputs run ({comma_list(nodes)})"
        message = f"{inputs}: use 'video_inputs', with one entry for each"
        for name in outline.fields:
            yield Fault(pointer(name), "request", message, "wrong_input")


def _entry_faults(outline: Outline, nodes: list[str], template: Mapping[str, Tile]) -> Iterator[Fault]:
    inputs = {node.lower(): node for node in nodes}
    first_at: dict[str, int] = {}
    readable = True
    for index, node, has_sources in outline.entries:
        loc = pointer("video_inputs", index, "agent_node_id")
        if node is None:
            readable = False
            continue
        key = node.lower()
        if key in first_at:
            message = f"Video Input {node} already has an entry (entry {first_at[key]})"
            yield Fault(loc, "request", message, "duplicate_entry")
        elif key not in inputs:
            yield Fault(loc, "request", _binding_problem(node, template, nodes, index), "wrong_input")
        first_at.setdefault(key, index)
        if not has_sources:
            message = f"the entry for {node} has no source: add at least one"
            yield Fault(pointer("video_inputs", index), "request", message, "missing_input")
    missing = [node for key, node in inputs.items() if key not in first_at]
    if missing and readable:
        message = f"no entry for Video Input {comma_list(missing)}: every Video Input that runs needs one"
        yield Fault("/video_inputs", "request", message, "missing_input")


def _binding_problem(node: str, template: Mapping[str, Tile], inputs: Sequence[str], index: int) -> str:
    """Return the reason why the node of an entry cannot take inputs."""
    allowed = f"allowed: {comma_list(inputs)}"
    tile = template.get(node.lower())
    if tile is None:
        hint = suggestion(node, inputs, least=ALIKE) if index < SUGGESTIONS else ""
        return f"unknown node {node}{hint}; {allowed}"
    if not (tile.type.is_input() or tile.type.is_trigger()):
        return f"node {node} is a {tile.name}, not a Video Input; {allowed}"
    reason = "it is ignored, or a trigger beside a Video Input"
    return f"{tile.name} {node} does not run ({reason}); {allowed}"


def bind_inputs(request: RunRequest, runnable: nx.DiGraph) -> tuple[InputBinding, ...]:
    """Return the sources of each Video Input, in the order of the template. The request has no faults."""
    nodes = input_nodes(runnable)
    shared = tuple(request.refs())
    if shared:
        return (InputBinding(nodes[0], shared),)
    entries = {
        entry.agent_node_id.lower(): tuple(entry.refs("video_inputs", index))
        for index, entry in enumerate(request.video_inputs or ())
    }
    return tuple(InputBinding(node, entries[node.lower()]) for node in nodes)
