"""A plan read back from its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.agent import read_json
from engine.errors import Fault, RequestError
from engine.graph.bind import InputBinding
from engine.graph.load import check_params
from engine.graph.model import Tile
from engine.graph.plan import Change, Changes, Plan, Rewire
from engine.node import Catalogue, opaque
from engine.notice import Notice
from engine.request import RunRequest

__all__ = ["read_plan"]


def read_plan(source: Any, catalogue: Catalogue | None = None) -> Plan:
    """The plan in a path, JSON text or dict; see `Plan.from_dict`."""
    if catalogue is None:
        from engine.settings import default_catalogue

        catalogue = default_catalogue()
    raw = read_json(source, "request")
    try:
        return _read(raw, catalogue)
    except RequestError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        what = f"not a plan that this version wrote: {type(error).__name__} {error}"
        raise RequestError([Fault("", "request", what)]) from None


def _read(raw: Mapping[str, Any], catalogue: Catalogue) -> Plan:
    import networkx as nx

    graph = nx.DiGraph()
    tiles = [_tile(index, one, catalogue) for index, one in enumerate(raw["tiles"])]
    for tile in sorted(tiles, key=lambda tile: tile.index):
        graph.add_node(tile.id, node=tile)
    for edge in raw["edges"]:
        if edge["source"] not in graph or edge["target"] not in graph:
            raise ValueError(f"edge {edge['source']} → {edge['target']} joins a tile that is not there")
        graph.add_edge(edge["source"], edge["target"], via=tuple(edge["via"]))
    order = tuple(raw["order"])
    place = {node: index for index, node in enumerate(order)}
    if set(place) != set(graph) or any(place[source] >= place[target] for source, target in graph.edges):
        raise ValueError("'order' is not a topological order of its tiles")
    changes = raw["changes"]
    return Plan(
        graph=graph,
        order=order,
        inputs=tuple(InputBinding.from_dict(one) for one in raw["inputs"]),
        changes=Changes(
            removed=tuple(changes["removed"]),
            rewired=tuple(Rewire(one["source"], one["target"], tuple(one["via"])) for one in changes["rewired"]),
            overridden=tuple(
                Change(one["agent_node_id"], one["parameter"], one["old"], one["new"]) for one in changes["overridden"]
            ),
            skipped=tuple(changes["skipped"]),
        ),
        warnings=tuple(Notice(**one) for one in raw["warnings"]),
        request=RunRequest.model_validate(raw["request"]),
        agent_id=raw["agent"]["id"],
        agent_name=raw["agent"]["name"],
    )


def _tile(index: int, raw: Mapping[str, Any], catalogue: Catalogue) -> Tile:
    type_id, name = raw["node_type_id"], raw["node_type_name"]
    node_type = opaque(type_id, name) if raw["opaque"] else catalogue.find(type_id, name)
    if node_type is None:
        raise RequestError([Fault(f"/tiles/{index}/node_type_id", "request", f"unknown node type {name!r}")])
    by_origin: dict[str, dict[str, Any]] = {"default": {}, "template": {}, "override": {}}
    for parameter, one in raw["parameters"].items():
        by_origin[one["origin"]][parameter] = one["value"]
    explicit, overrides = by_origin["template"], by_origin["override"]
    base = ("tiles", index, "parameters")
    params, unknown, found, _notices = check_params(
        node_type, {**explicit, **overrides}, "request", base, raw["agent_node_id"]
    )
    if params is None:
        raise RequestError([fault for _path, fault in found])
    return Tile(raw["agent_node_id"], node_type, params, explicit, overrides, unknown, raw["index"], raw["loc"])
