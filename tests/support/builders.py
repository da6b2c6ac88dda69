"""Tiny agents for tests: tiles are written `"a:Mirror"`, connections `"in>a a>b"`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from tessera import Plan, RequestError, plan

IN = "in:Video Input"


def uid(name: str) -> str:
    """The node id of a short name."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def node(name: str, type_name: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A node of today's export."""
    return {
        "agent_node_id": uid(name),
        "node_type": {"node_type_id": None, "node_type_name": type_name},
        "params_used": dict(params or {}),
    }


def connection(pair: str) -> dict[str, Any]:
    """`"a>b"` as a connection."""
    source, target = pair.split(">")
    return {"source_agent_node_id": uid(source), "target_agent_node_id": uid(target)}


def agent(*tiles: str, edges: str = "", **params: Mapping[str, Any]) -> dict[str, Any]:
    """An agent of today's export; keyword arguments are the parameters of tiles, by short name."""
    named = [tile.split(":") for tile in tiles]
    return {
        "agent_nodes": [node(name, type_name, params.get(name)) for name, type_name in named],
        "connections": [connection(pair) for pair in edges.split()],
    }


def chain(*tiles: str, **params: Mapping[str, Any]) -> dict[str, Any]:
    """An agent whose tiles are connected one after the other."""
    names = [tile.split(":")[0] for tile in tiles]
    return agent(*tiles, edges=" ".join(f"{a}>{b}" for a, b in pairwise(names)), **params)


def planned(document: Any, ignore: str = "", **request: Any) -> Plan:
    """A plan with one video as input; `ignore` holds short names."""
    ignored = [uid(name) for name in ignore.split()]
    return plan(document, {"video_ids": ["v"], "ignore_nodes": ignored, **request})


@contextmanager
def refused(*faults: tuple[str, str]) -> Iterator[None]:
    """Expect a `RequestError` with exactly these (pointer, part of message), in any order."""
    with pytest.raises(RequestError) as caught:
        yield
    found = caught.value.errors
    shown = "\n".join(f"{fault.document} {fault.loc!r}: {fault.message}" for fault in found)
    assert sorted(fault.loc for fault in found) == sorted(loc for loc, _part in faults), shown
    for loc, part in faults:
        assert any(fault.loc == loc and part in fault.message for fault in found), shown
