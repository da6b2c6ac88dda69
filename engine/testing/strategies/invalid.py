"""Strategies for documents with exactly one fault, and the place of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tessera.agent import AgentTemplate
from tessera.errors import pointer
from tessera.request import SOURCE_FIELDS
from tessera.testing.notation.names import node_id
from tessera.testing.notation.parser import agent
from tessera.testing.request_builder import running
from tessera.testing.strategies.parameters import WRONG, wrong_parameters
from tessera.testing.strategies.valid import agents, requests

__all__ = ["Planted", "nearly_valid_agents", "nearly_valid_requests"]

_NOWHERE = "00000000-0000-4000-8000-000000000000"


class Planted(NamedTuple):
    """A document with one fault: the JSON pointer to it, and what it is."""

    document: dict[str, Any]
    loc: str
    what: str


@st.composite
def nearly_valid_agents(draw: st.DrawFn, *, max_tiles: int = 6) -> Planted:
    """Exported agents with exactly one fault."""
    template = draw(agents(max_tiles=max_tiles))
    document = template.to_dict()
    planter: _Planter = draw(st.sampled_from(_AGENT_FAULTS))
    return planter(draw, document, template)


def _extra(document: dict[str, Any], *types: str) -> list[str]:
    """Add tiles that nothing is connected to; their ids."""
    found = [node_id(f"planted {number}") for number in range(len(types))]
    for node, name in zip(found, types, strict=True):
        document["agent_nodes"].append(
            {"agent_node_id": node, "node_type": {"node_type_name": name}, "params_used": {}}
        )
    return found


def _connect(document: dict[str, Any], source: str, target: str, *member: str) -> str:
    """Add a connection; the pointer to it, or to a member of it."""
    document["connections"].append({"source_agent_node_id": source, "target_agent_node_id": target})
    return pointer("connections", len(document["connections"]) - 1, *member)


def _place(draw: st.DrawFn, document: Mapping[str, Any]) -> int:
    return draw(st.integers(0, len(document["agent_nodes"]) - 1))


def _unknown_target(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    source = _extra(document, "Mirror")[0]
    loc = _connect(document, source, _NOWHERE, "target_agent_node_id")
    return Planted(document, loc, "a connection to a node that is not there")


def _loop(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    node = _extra(document, "Mirror")[0]
    return Planted(document, _connect(document, node, node), "a node connected to itself")


def _cycle(draw: st.DrawFn, document: dict[str, Any], template: AgentTemplate) -> Planted:
    length = draw(st.integers(2, 4))
    nodes = _extra(document, *["Mirror"] * length)
    for source, target in pairwise(nodes):
        _connect(document, source, target)
    return Planted(document, _connect(document, nodes[-1], nodes[0]), "a cycle")


def _into_input(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    source, target = _extra(document, "Mirror", "Video Input")
    return Planted(document, _connect(document, source, target), "a connection into a Video Input")


def _out_of_output(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    source, target = _extra(document, "Destination", "Mirror")
    return Planted(document, _connect(document, source, target), "a connection out of a Destination")


def _kinds(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    source, target = _extra(document, "Image Generation", "Mirror")
    return Planted(document, _connect(document, source, target), "an image into a tile that takes videos")


def _unknown_type(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    at = _place(draw, document)
    document["agent_nodes"][at]["node_type"] = {"node_type_name": "Nonesuch"}
    return Planted(document, pointer("agent_nodes", at, "node_type"), "a type that nobody knows")


def _no_type(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    at = _place(draw, document)
    del document["agent_nodes"][at]["node_type"]
    return Planted(document, pointer("agent_nodes", at), "a node without a type")


def _twice(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    document["agent_nodes"].append(deepcopy(document["agent_nodes"][_place(draw, document)]))
    loc = pointer("agent_nodes", len(document["agent_nodes"]) - 1, "agent_node_id")
    return Planted(document, loc, "two nodes of one id")


def _no_id(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    _extra(document, "Mirror")
    document["agent_nodes"][-1]["agent_node_id"] = "nonesuch"
    loc = pointer("agent_nodes", len(document["agent_nodes"]) - 1, "agent_node_id")
    return Planted(document, loc, "an id that is none")


def _params_shape(draw: st.DrawFn, document: dict[str, Any], _template: AgentTemplate) -> Planted:
    at = _place(draw, document)
    document["agent_nodes"][at]["params_used"] = ["planted"]
    return Planted(document, pointer("agent_nodes", at, "params_used"), "parameters that are no object")


def _wrong_value(draw: st.DrawFn, document: dict[str, Any], template: AgentTemplate) -> Planted:
    places = [(at, name) for at, tile in enumerate(template) for name in wrong_parameters(tile.type)]
    if not places:
        _extra(document, "Mirror")
        places = [(len(document["agent_nodes"]) - 1, "horizontal_flip")]
    at, name = draw(st.sampled_from(places))
    document["agent_nodes"][at]["params_used"] = {name: dict(WRONG)}
    return Planted(document, pointer("agent_nodes", at, "params_used", name), "a parameter of a wrong kind")


def _unknown_parameter(draw: st.DrawFn, document: dict[str, Any], template: AgentTemplate) -> Planted:
    places = [at for at, tile in enumerate(template) if not tile.type.lenient()]
    if not places:
        _extra(document, "Captions")
        places = [len(document["agent_nodes"]) - 1]
    at = draw(st.sampled_from(places))
    document["agent_nodes"][at]["params_used"]["nonesuch"] = 1
    return Planted(document, pointer("agent_nodes", at, "params_used", "nonesuch"), "an unknown parameter")


_Planter = Callable[[Any, dict[str, Any], AgentTemplate], Planted]
_AGENT_FAULTS: Sequence[_Planter] = (
    _loop,
    _cycle,
    _unknown_target,
    _into_input,
    _out_of_output,
    _kinds,
    _unknown_type,
    _no_type,
    _twice,
    _no_id,
    _params_shape,
    _wrong_value,
    _unknown_parameter,
)


@st.composite
def nearly_valid_requests(draw: st.DrawFn, of_agent: Any) -> Planted:
    """Requests to an agent with exactly one fault."""
    template = agent(of_agent)
    request = draw(requests(template))
    planter = draw(st.sampled_from(_REQUEST_FAULTS))
    return planter(draw, request, template) or _unknown_member(draw, request, template)


def _unknown_member(draw: st.DrawFn, request: dict[str, Any], _template: AgentTemplate) -> Planted:
    request["nonesuch"] = 1
    return Planted(request, "/nonesuch", "an unknown member")


def _no_callback(draw: st.DrawFn, request: dict[str, Any], _template: AgentTemplate) -> Planted:
    request["callback_url"] = "nonesuch"
    return Planted(request, "/callback_url", "a callback that is no URL")


def _ignored_nowhere(draw: st.DrawFn, request: dict[str, Any], _template: AgentTemplate) -> Planted:
    ignored = request.setdefault("ignore_nodes", [])
    at = draw(st.integers(0, len(ignored)))
    ignored.insert(at, _NOWHERE)
    return Planted(request, pointer("ignore_nodes", at), "an ignored node that is not there")


def _override(request: dict[str, Any], node: str, values: dict[str, Any]) -> str:
    request.setdefault("update_params", {})[node] = values
    return pointer("update_params", node)


def _overridden_nowhere(draw: st.DrawFn, request: dict[str, Any], _template: AgentTemplate) -> Planted:
    loc = _override(request, _NOWHERE, {})
    return Planted(request, loc, "parameters of a node that is not there")


def _overridden_protected(
    draw: st.DrawFn, request: dict[str, Any], template: AgentTemplate
) -> Planted | None:
    protected = [tile.id for tile in template if tile.type.protected()]
    if not protected:
        return None
    loc = _override(request, draw(st.sampled_from(protected)), {})
    return Planted(request, loc, "parameters of a protected tile")


def _overridden_ignored(draw: st.DrawFn, request: dict[str, Any], template: AgentTemplate) -> Planted | None:
    ignored = request.get("ignore_nodes")
    if not ignored:
        return None
    loc = _override(request, draw(st.sampled_from(ignored)), {})
    return Planted(request, loc, "parameters of an ignored tile")


def _overridden_wrong(draw: st.DrawFn, request: dict[str, Any], template: AgentTemplate) -> Planted | None:
    runs = set(running(template, request.get("ignore_nodes", ())))
    places = [
        (tile.id, name)
        for tile in template
        if tile.id in runs and not tile.type.protected()
        for name in wrong_parameters(tile.type)
    ]
    if not places:
        return None
    node, name = draw(st.sampled_from(places))
    loc = _override(request, node, {name: dict(WRONG)})
    return Planted(request, loc + pointer(name), "a parameter of a wrong kind")


def _holder(request: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    """Where the first sources are, and the pointer to it."""
    if request.get("video_inputs"):
        return request["video_inputs"][0], "/video_inputs/0"
    return (request, "") if any(request.get(field) for field in SOURCE_FIELDS) else None


def _range(draw: st.DrawFn, request: dict[str, Any], _template: AgentTemplate) -> Planted | None:
    found = _holder(request)
    if found is None:
        return None
    start = draw(st.integers(0, 1000))
    found[0].update(input_clip_start_ms=start, input_clip_end_ms=draw(st.integers(0, start)))
    return Planted(request, f"{found[1]}/input_clip_end_ms", "a clip whose end is not after its start")


def _before_start(draw: st.DrawFn, request: dict[str, Any], _template: AgentTemplate) -> Planted | None:
    found = _holder(request)
    if found is None:
        return None
    found[0]["input_clip_start_ms"] = -1 - draw(st.integers(0, 1000))
    found[0].pop("input_clip_end_ms", None)
    return Planted(request, f"{found[1]}/input_clip_start_ms", "a clip that begins before its source")


def _no_inputs(draw: st.DrawFn, request: dict[str, Any], _template: AgentTemplate) -> Planted | None:
    if _holder(request) is None:
        return None
    for name in (*SOURCE_FIELDS, "video_inputs", "input_clip_start_ms", "input_clip_end_ms"):
        request.pop(name, None)
    return Planted(request, "", "an agent without its inputs")


_REQUEST_FAULTS: Sequence[Callable[[Any, dict[str, Any], AgentTemplate], Planted | None]] = (
    _unknown_member,
    _no_callback,
    _ignored_nowhere,
    _overridden_nowhere,
    _overridden_protected,
    _overridden_ignored,
    _overridden_wrong,
    _range,
    _before_start,
    _no_inputs,
)
