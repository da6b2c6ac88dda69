"""Shrinking: the smallest agent and request that still show a problem, by delta debugging.

The search is Zeller and Hildebrandt's ddmin (IEEE TSE 28(2), 2002), over tiles, connections, parameters
and the members of the request in turn, until none of them gets smaller.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tessera.request import SOURCE_FIELDS

__all__ = ["minimise", "shrink"]

T = TypeVar("T")
Document = dict[str, Any]
Still = Callable[[Document, Document], bool]
"""Whether an agent and a request still show the problem."""


def minimise(items: Sequence[T], still: Callable[[list[T]], bool]) -> list[T]:
    """A subsequence of `items` for which `still` holds, and no longer if any one element is left out
    (1-minimal).

    `still(list(items))` must hold.
    """
    kept, parts = list(items), 2
    if kept and still([]):
        return []
    while len(kept) > 1:
        size = -(-len(kept) // parts)
        for at in range(0, len(kept), size):
            rest = kept[:at] + kept[at + size :]
            if rest and still(rest):
                kept, parts = rest, max(parts - 1, 2)
                break
        else:
            if parts >= len(kept):
                break
            parts = min(2 * parts, len(kept))
    return kept


def shrink(agent: Mapping[str, Any], request: Mapping[str, Any], still: Still) -> tuple[Document, Document]:
    """The smallest agent and request found that still show the problem.

    Parameters
    ----------
    agent
        An export of any generation.
    still
        Asked with whole documents, many times; it must not change them.

    Raises
    ------
    ValueError
        The problem does not show with the documents as they are.
    """
    best = (copy.deepcopy(dict(agent)), copy.deepcopy(dict(request)))
    if not still(*best):
        raise ValueError("the problem does not show with this agent and request")
    while True:
        size = _size(best)
        for step in (_fewer_tiles, _fewer_connections, _fewer_parameters, _smaller_request):
            best = step(*best, still)
        if _size(best) == size:
            return best


def _size(documents: tuple[Document, Document]) -> int:
    agent, request = documents
    parameters = sum(len(node.get("params_used") or {}) for node in _nodes(agent))
    return len(_nodes(agent)) + len(agent.get("connections", [])) + parameters + len(_atoms(request))


def _nodes(agent: Mapping[str, Any]) -> list[Document]:
    return list(agent.get("agent_nodes") or agent.get("nodes") or [])


def _with_nodes(agent: Document, nodes: list[Document], connections: list[Document]) -> Document:
    section = "agent_nodes" if agent.get("agent_nodes") is not None else "nodes"
    return {**agent, section: nodes, "connections": connections}


def _id(node: Mapping[str, Any]) -> str:
    return str(node.get("agent_node_id") or node.get("id")).lower()


def _fewer_tiles(agent: Document, request: Document, still: Still) -> tuple[Document, Document]:
    """Without tiles: what fed one that is gone feeds what it fed."""

    def only(nodes: list[Document]) -> tuple[Document, Document]:
        kept = {_id(node) for node in nodes}
        gone = {_id(node) for node in _nodes(agent)} - kept
        return _with_nodes(agent, nodes, _bypassed(agent, kept)), _without_nodes(request, gone)

    return only(minimise(_nodes(agent), lambda nodes: still(*only(nodes))))


def _bypassed(agent: Mapping[str, Any], kept: set[str]) -> list[Document]:
    """The connections among the kept tiles, with those led on past the tiles that are gone."""
    ends = [
        (str(one["source_agent_node_id"]).lower(), str(one["target_agent_node_id"]).lower(), one)
        for one in agent.get("connections", [])
    ]
    onward: dict[str, list[str]] = {}
    for source, target, _one in ends:
        onward.setdefault(source, []).append(target)
    found = {(source, target): one for source, target, one in ends if source in kept and target in kept}
    for start in kept:
        stack, seen = [after for after in onward.get(start, []) if after not in kept], set[str]()
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            for after in onward.get(node, []):
                if after not in kept:
                    stack.append(after)
                elif after != start:
                    edge = {"source_agent_node_id": start, "target_agent_node_id": after}
                    found.setdefault((start, after), edge)
    return list(found.values())


def _without_nodes(request: Document, gone: set[str]) -> Document:
    """The request without what it says of tiles that are gone."""
    kept = dict(request)
    if isinstance(kept.get("update_params"), dict):
        kept["update_params"] = {k: v for k, v in kept["update_params"].items() if k.lower() not in gone}
    if isinstance(kept.get("ignore_nodes"), list):
        kept["ignore_nodes"] = [one for one in kept["ignore_nodes"] if str(one).lower() not in gone]
    if isinstance(kept.get("video_inputs"), list):
        entries = kept["video_inputs"]
        kept["video_inputs"] = [one for one in entries if str(one.get("agent_node_id")).lower() not in gone]
    return {name: value for name, value in kept.items() if value not in ({}, [])}


def _fewer_connections(agent: Document, request: Document, still: Still) -> tuple[Document, Document]:
    def only(connections: list[Document]) -> Document:
        return {**agent, "connections": connections}

    kept = minimise(agent.get("connections", []), lambda connections: still(only(connections), request))
    return only(kept), request


def _fewer_parameters(agent: Document, request: Document, still: Still) -> tuple[Document, Document]:
    every = [(_id(node), name) for node in _nodes(agent) for name in node.get("params_used") or {}]

    def only(kept: list[tuple[str, str]]) -> Document:
        wanted = set(kept)
        nodes = [
            {
                **node,
                "params_used": {k: v for k, v in node["params_used"].items() if (_id(node), k) in wanted},
            }
            if node.get("params_used")
            else node
            for node in _nodes(agent)
        ]
        return _with_nodes(agent, nodes, agent.get("connections", []))

    return only(minimise(every, lambda kept: still(only(kept), request))), request


Atom = tuple[str | int, ...]
"""The path to a member of a request that can be left out by itself."""


def _atoms(request: Mapping[str, Any]) -> list[Atom]:
    atoms: list[Atom] = []
    for name, value in request.items():
        if name == "update_params" and isinstance(value, dict):
            atoms += [(name, node, one) for node, values in value.items() for one in values]
        elif name == "video_inputs" and isinstance(value, list):
            for index, entry in enumerate(value):
                atoms += [(name, index, *atom) for atom in _atoms(entry) if atom != ("agent_node_id",)]
        elif (name in SOURCE_FIELDS or name == "ignore_nodes") and isinstance(value, list):
            atoms += [(name, index) for index in range(len(value))]
        else:
            atoms.append((name,))
    return atoms


def _smaller_request(agent: Document, request: Document, still: Still) -> tuple[Document, Document]:
    def only(kept: list[Atom]) -> Document:
        return _pick(request, kept)

    return agent, only(minimise(_atoms(request), lambda kept: still(agent, only(kept))))


def _pick(request: Mapping[str, Any], atoms: Sequence[Atom]) -> Document:
    """The members of a request that these paths lead to."""
    found: Document = {}
    grouped: dict[str, list[Atom]] = {}
    for path in atoms:
        grouped.setdefault(str(path[0]), []).append(path[1:])
    for name, value in request.items():
        paths = grouped.get(name)
        if paths is None:
            continue
        if name == "update_params":
            for node, one in paths:
                found.setdefault(name, {}).setdefault(node, {})[one] = value[node][one]
        elif name == "video_inputs":
            found[name] = [
                {
                    "agent_node_id": value[index].get("agent_node_id"),
                    **_pick(value[index], [path[1:] for path in paths if path[0] == index]),
                }
                for index in sorted({int(path[0]) for path in paths})
            ]
        elif paths[0]:
            found[name] = [value[index] for index in sorted(int(path[0]) for path in paths)]
        else:
            found[name] = value
    return found
