"""Reduces an agent and a request to a minimal pair that still fails, by delta debugging.

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
Fails = Callable[[Document, Document], bool]
"""A predicate: True if an agent and a request still show the problem."""


def minimise(items: Sequence[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """Return a 1-minimal subsequence of `items` for which `fails` is true.

    1-minimal: without any single element of it, `fails` is false. `fails(list(items))` must be true.

    >>> minimise([1, 2, 3, 4], lambda items: 3 in items)
    [3]
    """
    kept, parts = list(items), 2
    if kept and fails([]):
        return []
    while len(kept) > 1:
        size = -(-len(kept) // parts)
        for at in range(0, len(kept), size):
            rest = kept[:at] + kept[at + size :]
            if rest and fails(rest):
                kept, parts = rest, max(parts - 1, 2)
                break
        else:
            if parts >= len(kept):
                break
            parts = min(2 * parts, len(kept))
    return kept


def shrink(agent: Mapping[str, Any], request: Mapping[str, Any], fails: Fails) -> tuple[Document, Document]:
    """Return the smallest agent and request found that still show the problem.

    Parameters
    ----------
    agent
        An export of any generation.
    fails
        Called many times with whole documents; returns True if they show the problem. It must not change
        them.

    Raises
    ------
    ValueError
        If the original documents do not show the problem.
    """
    best = (copy.deepcopy(dict(agent)), copy.deepcopy(dict(request)))
    if not fails(*best):
        raise ValueError("the problem does not show with this agent and request")
    while True:
        size = _size(best)
        for step in (_fewer_tiles, _fewer_connections, _fewer_parameters, _fewer_members):
            best = step(*best, fails)
        if _size(best) == size:
            return best


def _size(documents: tuple[Document, Document]) -> int:
    agent, request = documents
    parameters = sum(len(node.get("params_used") or {}) for node in _nodes(agent))
    return len(_nodes(agent)) + len(agent.get("connections", [])) + parameters + len(_member_paths(request))


def _nodes(agent: Mapping[str, Any]) -> list[Document]:
    return list(agent.get("agent_nodes") or agent.get("nodes") or [])


def _with_nodes(agent: Document, nodes: list[Document], connections: list[Document]) -> Document:
    section = "agent_nodes" if agent.get("agent_nodes") is not None else "nodes"
    return {**agent, section: nodes, "connections": connections}


def _id(node: Mapping[str, Any]) -> str:
    return str(node.get("agent_node_id") or node.get("id")).lower()


def _fewer_tiles(agent: Document, request: Document, fails: Fails) -> tuple[Document, Document]:
    """Remove tiles; the feeders of a removed tile feed its targets instead."""

    def only(nodes: list[Document]) -> tuple[Document, Document]:
        kept = {_id(node) for node in nodes}
        removed = {_id(node) for node in _nodes(agent)} - kept
        return _with_nodes(agent, nodes, _bypass(agent, kept)), _without_nodes(request, removed)

    return only(minimise(_nodes(agent), lambda nodes: fails(*only(nodes))))


def _bypass(agent: Mapping[str, Any], kept: set[str]) -> list[Document]:
    """Return the connections among the kept tiles, including new ones past the removed tiles."""
    ends = [
        (str(wire["source_agent_node_id"]).lower(), str(wire["target_agent_node_id"]).lower(), wire)
        for wire in agent.get("connections", [])
    ]
    onward: dict[str, list[str]] = {}
    for source, target, _wire in ends:
        onward.setdefault(source, []).append(target)
    found = {(source, target): wire for source, target, wire in ends if source in kept and target in kept}
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


def _without_nodes(request: Document, removed: set[str]) -> Document:
    """Return the request without the members that refer to removed tiles."""
    kept = dict(request)
    if isinstance(kept.get("update_params"), dict):
        kept["update_params"] = {k: v for k, v in kept["update_params"].items() if k.lower() not in removed}
    if isinstance(kept.get("ignore_nodes"), list):
        kept["ignore_nodes"] = [node for node in kept["ignore_nodes"] if str(node).lower() not in removed]
    if isinstance(kept.get("video_inputs"), list):
        entries = kept["video_inputs"]
        kept["video_inputs"] = [
            entry for entry in entries if str(entry.get("agent_node_id")).lower() not in removed
        ]
    return {name: value for name, value in kept.items() if value not in ({}, [])}


def _fewer_connections(agent: Document, request: Document, fails: Fails) -> tuple[Document, Document]:
    def only(connections: list[Document]) -> Document:
        return {**agent, "connections": connections}

    kept = minimise(agent.get("connections", []), lambda connections: fails(only(connections), request))
    return only(kept), request


def _fewer_parameters(agent: Document, request: Document, fails: Fails) -> tuple[Document, Document]:
    parameters = [(_id(node), name) for node in _nodes(agent) for name in node.get("params_used") or {}]

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

    return only(minimise(parameters, lambda kept: fails(only(kept), request))), request


MemberPath = tuple[str | int, ...]
"""The path of a member of a request that can be removed alone."""


def _member_paths(request: Mapping[str, Any]) -> list[MemberPath]:
    paths: list[MemberPath] = []
    for name, value in request.items():
        if name == "update_params" and isinstance(value, dict):
            paths += [(name, node, parameter) for node, values in value.items() for parameter in values]
        elif name == "video_inputs" and isinstance(value, list):
            for index, entry in enumerate(value):
                paths += [(name, index, *path) for path in _member_paths(entry) if path != ("agent_node_id",)]
        elif (name in SOURCE_FIELDS or name == "ignore_nodes") and isinstance(value, list):
            paths += [(name, index) for index in range(len(value))]
        else:
            paths.append((name,))
    return paths


def _fewer_members(agent: Document, request: Document, fails: Fails) -> tuple[Document, Document]:
    def only(kept: list[MemberPath]) -> Document:
        return _only_paths(request, kept)

    return agent, only(minimise(_member_paths(request), lambda kept: fails(agent, only(kept))))


def _only_paths(request: Mapping[str, Any], kept: Sequence[MemberPath]) -> Document:
    """Return a copy of a request with only the members at these paths."""
    found: Document = {}
    grouped: dict[str, list[MemberPath]] = {}
    for path in kept:
        grouped.setdefault(str(path[0]), []).append(path[1:])
    for name, value in request.items():
        paths = grouped.get(name)
        if paths is None:
            continue
        if name == "update_params":
            for node, parameter in paths:
                found.setdefault(name, {}).setdefault(node, {})[parameter] = value[node][parameter]
        elif name == "video_inputs":
            found[name] = [
                {
                    "agent_node_id": value[index].get("agent_node_id"),
                    **_only_paths(value[index], [path[1:] for path in paths if path[0] == index]),
                }
                for index in sorted({int(path[0]) for path in paths})
            ]
        elif paths[0]:
            found[name] = [value[index] for index in sorted(int(path[0]) for path in paths)]
        else:
            found[name] = value
    return found
